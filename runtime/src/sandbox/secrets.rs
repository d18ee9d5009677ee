//! What a plugin was told in confidence, found again in what it says (L4).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::plugin::REDACTED;

/// A shorter text is not looked for: it would hide every other word.
const SHORTEST: usize = 4;

/// How many lines of a config's secrets are looked for, each for itself; those after them only as part of the whole.
const MOST_LINES: usize = 4096;

/// The secrets of one plugin, by their first bytes: a text is gone through once, however many there are.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    /// Those that begin alike, the longest first.
    by_head: HashMap<[u8; SHORTEST], Vec<Box<str>>>,
    /// The bytes that any of them begins with: most of a text begins none, and needs no look into the table.
    begins: Bytes,
}

/// A set of bytes.
#[derive(Clone, Copy, Default)]
struct Bytes([u64; 4]);

impl Bytes {
    fn add(&mut self, byte: u8) {
        if let Some(bits) = self.0.get_mut(usize::from(byte / 64)) {
            *bits |= 1 << (byte % 64);
        }
    }

    fn contains(self, byte: u8) -> bool {
        let bits = self.0.get(usize::from(byte / 64)).copied().unwrap_or_default();
        bits & (1 << (byte % 64)) != 0
    }
}

impl Secrets {
    /// Adds texts in the forms in which a plugin may say them: whole, and line by line, as a log does with a key of several
    /// lines; each as it is, escaped as in JSON, and as Rust's `{:?}` does it.
    pub(super) fn add(&mut self, texts: &[String]) {
        let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
        let lines = lines.filter(|line| line.len() >= SHORTEST).take(MOST_LINES);
        for text in texts.iter().map(String::as_str).chain(lines) {
            self.add_form(text);
            self.add_form(unquoted(&serde_json::Value::from(text).to_string()));
            self.add_form(unquoted(&format!("{text:?}")));
        }
    }

    fn add_form(&mut self, form: &str) {
        let Some(head) = form.as_bytes().first_chunk() else {
            return;
        };
        head.first().into_iter().for_each(|first| self.begins.add(*first));
        let alike = self.by_head.entry(*head).or_default();
        let place = alike.partition_point(|other| (other.len(), &**other) > (form.len(), form));
        if alike.get(place).is_none_or(|other| **other != *form) {
            alike.insert(place, form.into());
        }
    }

    /// The first bytes of a text, about so many, with everything that is in a secret replaced, secrets that overlap and those
    /// that go on beyond included; and how many bytes there are after those. What it costs goes by `most`, not by the text.
    pub(super) fn hidden<'a>(&self, said: &'a str, most: usize) -> (Cow<'a, str>, usize) {
        let end = said.floor_char_boundary(most);
        let (first, beyond) = (said.get(..end).unwrap_or_default(), said.len() - end);
        if self.by_head.is_empty() {
            return (Cow::Borrowed(first), beyond);
        }
        let (mut shown, mut hidden_to) = (String::new(), 0);
        for (at, head) in said.as_bytes().array_windows().take(end).enumerate() {
            let Some(length) = self.length_at(said, at, head) else {
                continue;
            };
            if at >= hidden_to {
                shown.push_str(said.get(hidden_to..at).unwrap_or_default());
                shown.push_str(REDACTED);
            }
            hidden_to = hidden_to.max(at + length);
        }
        if hidden_to == 0 {
            return (Cow::Borrowed(first), beyond);
        }
        shown.push_str(said.get(hidden_to..end).unwrap_or_default());
        (Cow::Owned(shown), said.len() - end.max(hidden_to))
    }

    /// How long the longest secret is that stands at a place.
    fn length_at(&self, said: &str, at: usize, head: &[u8; SHORTEST]) -> Option<usize> {
        let first = head.first()?;
        if !self.begins.contains(*first) {
            return None;
        }
        let rest = said.as_bytes().get(at..)?;
        let alike = self.by_head.get(head)?;
        let secret = alike.iter().find(|secret| rest.starts_with(secret.as_bytes()))?;
        Some(secret.len())
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn hidden(secrets: &[&str], said: &str) -> String {
        let mut all = Secrets::default();
        all.add(&secrets.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>());
        let (shown, beyond) = all.hidden(said, usize::MAX);
        assert_eq!(beyond, 0);
        shown.into_owned()
    }

    /// L4: no end of a secret is left where another begins in it, nor of a longer one that begins alike.
    #[test]
    fn l4_secrets_that_overlap_are_hidden_whole() {
        assert_eq!(hidden(&["abcdef", "efghij"], "-abcdefghij-"), "-[redacted]-");
        assert_eq!(hidden(&["abcd", "abcdef"], "abcdef abcde"), "[redacted] [redacted]e");
        assert_eq!(hidden(&["abcd"], "abcdabcd"), "[redacted][redacted]");
        assert_eq!(hidden(&["\u{e9}\u{e9}"], "\u{e9}\u{e9}\u{e9}!"), "[redacted]!");
    }

    /// L4, S4: only so much of a text is looked at, and a secret that goes on beyond that is hidden all the same.
    #[test]
    fn l4_s4_only_what_is_shown_is_looked_at() {
        let mut all = Secrets::default();
        all.add(&["a secret".to_owned()]);
        assert_eq!(all.hidden("it is a secret that", 9), ("it is [redacted]".into(), 5));
        assert_eq!(all.hidden("it is no more than that", 9), ("it is no ".into(), 14));
        assert_eq!(all.hidden("\u{e9}\u{e9}", 3), ("\u{e9}".into(), 2));
        assert_eq!(Secrets::default().hidden("a secret", 4), ("a se".into(), 4));
    }

    /// L4: shorter ones hide nothing, alone or as a line.
    #[test]
    fn l4_short_texts_and_short_lines_are_left_alone() {
        assert_eq!(hidden(&["abc", "one \n two!"], "abc one two!"), "abc one [redacted]");
    }

    /// L4: of more lines than are looked for, the first are, and the whole.
    #[test]
    fn l4_only_so_many_lines_are_looked_for() {
        let lines: Vec<_> = (0..=MOST_LINES).map(|line| format!("line {line:06}")).collect();
        let secret = lines.join("\n");
        let (last, beyond) = (&lines[MOST_LINES - 1], &lines[MOST_LINES]);
        assert_eq!(hidden(&[&secret], last), REDACTED);
        assert_eq!(hidden(&[&secret], beyond), *beyond);
        assert_eq!(hidden(&[&secret], &secret), REDACTED);
    }
}
