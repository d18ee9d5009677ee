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
        let alike = self.by_head.entry(*head).or_default();
        let place = alike.partition_point(|other| (other.len(), &**other) > (form.len(), form));
        if alike.get(place).is_none_or(|other| **other != *form) {
            alike.insert(place, form.into());
        }
    }

    /// A text with everything that is in a secret replaced, secrets that overlap included.
    pub(super) fn hidden<'a>(&self, said: Cow<'a, str>) -> Cow<'a, str> {
        let (mut shown, mut hidden_to) = (String::new(), 0);
        for (at, head) in said.as_bytes().array_windows().enumerate() {
            let Some(length) = self.length_at(&said, at, head) else {
                continue;
            };
            if at >= hidden_to {
                shown.push_str(said.get(hidden_to..at).unwrap_or_default());
                shown.push_str(REDACTED);
            }
            hidden_to = hidden_to.max(at + length);
        }
        if hidden_to == 0 {
            return said;
        }
        shown.push_str(said.get(hidden_to..).unwrap_or_default());
        Cow::Owned(shown)
    }

    /// How long the longest secret is that stands at a place.
    fn length_at(&self, said: &str, at: usize, head: &[u8; SHORTEST]) -> Option<usize> {
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
        all.hidden(said.into()).into_owned()
    }

    /// L4: no end of a secret is left where another begins in it, nor of a longer one that begins alike.
    #[test]
    fn l4_secrets_that_overlap_are_hidden_whole() {
        assert_eq!(hidden(&["abcdef", "efghij"], "-abcdefghij-"), "-[redacted]-");
        assert_eq!(hidden(&["abcd", "abcdef"], "abcdef abcde"), "[redacted] [redacted]e");
        assert_eq!(hidden(&["abcd"], "abcdabcd"), "[redacted][redacted]");
        assert_eq!(hidden(&["\u{e9}\u{e9}"], "\u{e9}\u{e9}\u{e9}!"), "[redacted]!");
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
