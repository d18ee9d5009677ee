//! Words and numbers for people.

use std::time::Duration;

use bytesize::ByteSize;

use crate::terminal::is_unsafe_to_show;

/// A text of somebody else, on one line and without what would move a terminal's cursor or turn the text's direction.
pub(crate) fn printable(text: &str) -> String {
    escape(text, false)
}

/// The same, with its lines.
pub(crate) fn printable_lines(text: &str) -> String {
    escape(text, true)
}

/// The same JSON, without such characters in its texts. Those of ASCII are escaped in any JSON.
pub(crate) fn json(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unsafe_to_show(character) && character >= '\u{7f}' {
            printable.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            printable.push(character);
        }
    }
    printable
}

fn escape(text: &str, keep_lines: bool) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe_to_show(character) && !(keep_lines && character == '\n') {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// 1234567 as `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// 1234 as `1,234 events`.
pub(crate) fn events(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        _ => format!("{} events", number(count)),
    }
}

/// 1536 as `1.5 KiB`.
pub(crate) fn bytes(bytes: usize) -> String {
    size(bytes as u64)
}

/// The same, of what is on a disk.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A time that was set: `1m 30s`.
pub(crate) fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// A time that was measured: `1.23ms`.
pub(crate) fn measured(time: Duration) -> String {
    format!("{time:.2?}")
}

/// Whole milliseconds with three decimals, for JSON.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([0, 1, 2000].map(events), ["0 events", "1 event", "2,000 events"]);
    }

    /// H20
    #[test]
    fn h20_control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(printable_lines("a\n\rb"), "a\n\\rb");
        assert_eq!(printable("a\u{9b}2J\u{202e}b\u{2028}"), "a\\u{9b}2J\\u{202e}b\\u{2028}");
    }

    /// H20: JSON that a terminal can't act on is the same JSON.
    #[test]
    fn h20_json_for_people_is_the_same_json() {
        let shown = json("[\"a\u{9b}2J\u{7f}\u{202e}b\u{e9}\",\t1]");
        assert_eq!(shown, "[\"a\\u009b2J\\u007f\\u202eb\u{e9}\",\t1]");
        let value: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(value[0], "a\u{9b}2J\u{7f}\u{202e}b\u{e9}");
    }

    #[test]
    fn measures_have_units() {
        assert_eq!((bytes(1536), bytes(12)), ("1.5 KiB".to_owned(), "12 B".to_owned()));
        assert_eq!(measured(Duration::from_micros(1234)), "1.23ms");
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
