//! One dead letter, in words and as JSON.

use palisade::DeadLetter;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{moment, text};

/// Who should have handled it.
pub(super) fn handler(letter: &DeadLetter) -> String {
    let handler = letter.handler.as_ref().map(ToString::to_string);
    handler.map_or_else(|| "-".to_owned(), |name| text::printable(&name))
}

/// As [`json_line`] has it.
#[derive(Serialize)]
struct Shown<'a> {
    id: u64,
    handler: Option<String>,
    class: &'a str,
    error: &'a str,
    attempts: u32,
    first: String,
    last: String,
    plugin_digest: Option<&'a str>,
    event: Option<Box<RawValue>>,
}

/// All of it, its event as a CloudEvent, on one line.
pub(super) fn json_line(letter: &DeadLetter) -> String {
    let shown = Shown {
        id: letter.id.0,
        handler: letter.handler.as_ref().map(ToString::to_string),
        class: letter.reason.as_str(),
        error: &letter.error,
        attempts: letter.attempts,
        first: moment::milliseconds(letter.first),
        last: moment::milliseconds(letter.last),
        plugin_digest: letter.plugin_digest.as_deref(),
        event: RawValue::from_string(letter.event.to_json()).ok(),
    };
    let json = serde_json::to_string(&shown).unwrap_or_default();
    format!("{}\n", text::json(&json))
}

/// All of it.
pub(super) fn in_words(letter: &DeadLetter) -> String {
    let rows = [
        ("handler", handler(letter)),
        ("class", letter.reason.to_string()),
        ("attempts", letter.attempts.to_string()),
        ("first", moment::milliseconds(letter.first)),
        ("last", moment::milliseconds(letter.last)),
        ("plugin", letter.plugin_digest.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("  {name:<8}  {}\n", text::printable(value)))
        .collect();
    let error: String = text::printable_lines(&letter.error)
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "dead letter {}\n{rows}  error\n{error}  event\n    {}\n",
        letter.id.0,
        text::json(&letter.event.to_json())
    )
}
