//! What the child tells the judge, a line of JSON each.

use serde_json::{Value, json};

use super::name::Name;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A life begins; all up to the next one belongs to it.
    Life(u32),
    /// An event is about to be published.
    Trying(Name),
    /// Its publish has returned, and these handlers are owed it.
    Acked(Name, Vec<String>),
    /// An event that handlers were owed in an earlier life was published again; to how many it was known.
    Again(Name, u64),
    /// A native handler was called: which one, with which event, at which attempt.
    Attempt(String, Name, u32),
    /// `sink` was called: the event's id, and the one that it names as its cause.
    Sink(String, Name),
    /// `audit` was called with a report of the plugin: its id, its cause, and how far the plugin has counted.
    Report(String, Name, u64),
    /// What the plugin's key-value store has in the end.
    Total(u64),
    /// There is a dead letter in the end: of which handler, the event's id, and after how many attempts.
    Letter(String, String, u32),
    /// A handler is owed events in the end, and how many.
    Owed(String, u64),
    /// A shutdown has come to its end: how many deliveries were kept, and how many given up.
    Ended(u64, u64),
    /// Something must not be.
    Wrong(String),
}

impl Record {
    /// In one line, its end included. No part of it reads as another record.
    pub(super) fn to_line(&self) -> String {
        let value = match self {
            Self::Life(life) => json!(["life", life]),
            Self::Trying(name) => json!(["trying", name.to_string()]),
            Self::Acked(name, by) => json!(["acked", name.to_string(), by]),
            Self::Again(name, known) => json!(["again", name.to_string(), known]),
            Self::Attempt(handler, name, attempt) => json!(["attempt", handler, name.to_string(), attempt]),
            Self::Sink(id, cause) => json!(["sink", id, cause.to_string()]),
            Self::Report(id, cause, count) => json!(["report", id, cause.to_string(), count]),
            Self::Total(total) => json!(["total", total]),
            Self::Letter(handler, id, attempts) => json!(["letter", handler, id, attempts]),
            Self::Owed(handler, events) => json!(["owed", handler, events]),
            Self::Ended(kept, abandoned) => json!(["ended", kept, abandoned]),
            Self::Wrong(words) => json!(["wrong", words]),
        };
        format!("{value}\n")
    }

    /// None where the line is torn.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let parts: Vec<Value> = serde_json::from_str(line).ok()?;
        let (tag, parts) = parts.split_first()?;
        let number = |at: usize| parts.get(at)?.as_u64();
        let small = |at: usize| number(at)?.try_into().ok();
        let text = |at: usize| parts.get(at)?.as_str().map(str::to_owned);
        let name = |at: usize| parts.get(at)?.as_str()?.parse::<Name>().ok();
        let texts = |at: usize| {
            let all = parts.get(at)?.as_array()?;
            all.iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        Some(match tag.as_str()? {
            "life" => Self::Life(small(0)?),
            "trying" => Self::Trying(name(0)?),
            "acked" => Self::Acked(name(0)?, texts(1)?),
            "again" => Self::Again(name(0)?, number(1)?),
            "attempt" => Self::Attempt(text(0)?, name(1)?, small(2)?),
            "sink" => Self::Sink(text(0)?, name(1)?),
            "report" => Self::Report(text(0)?, name(1)?, number(2)?),
            "total" => Self::Total(number(0)?),
            "letter" => Self::Letter(text(0)?, text(1)?, small(2)?),
            "owed" => Self::Owed(text(0)?, number(1)?),
            "ended" => Self::Ended(number(0)?, number(1)?),
            "wrong" => Self::Wrong(text(0)?),
            _ => return None,
        })
    }
}
