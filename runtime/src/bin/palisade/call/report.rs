//! What came of the call, for people and for machines.

use anyhow::Result;
use palisade::{Class, Fault, Outcome, Pattern, PluginInfo};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::one::{Answer, Called};
use crate::console::with_causes;
use crate::text;

pub(super) fn in_words(called: &Called) -> String {
    let name = &called.plugin.name;
    let answer = match &called.answer {
        Answer::Refused(why) => format!("refused: {}\n", text::printable(why)),
        Answer::Unmatched => format!(
            "{name} does not take this type of event; it takes {}\n",
            patterns(&called.plugin.info)
        ),
        Answer::NotGranted(grants) => format!("{name} {}\n", not_granted(&called.plugin.info, grants)),
        Answer::Handled(outcomes) => outcomes.iter().map(outcome).collect(),
        Answer::Judged { accepted: true } => format!("{name}: accepted\n"),
        Answer::Judged { accepted: false } => format!("{name}: not accepted\n"),
        Answer::NoVerdict => format!("{name}: failed, so that `on-fault` decides; the log says how\n"),
    };
    let published: String = called
        .published
        .iter()
        .map(|event| format!("{}\n", text::json(&event.to_json())))
        .collect();
    let count = match called.published.len() {
        0 => "published nothing".to_owned(),
        1 => "published 1 event".to_owned(),
        count => format!("published {count} events"),
    };
    let memory: String = called
        .plugin
        .instance_memory
        .iter()
        .map(|bytes| format!("memory {}\n", text::bytes(*bytes)))
        .collect();
    format!("{answer}{memory}{count}\n{published}")
}

fn outcome(outcome: &Outcome) -> String {
    let fuel = outcome
        .fuel
        .map_or_else(String::new, |fuel| format!(", fuel {}", text::number(fuel)));
    let mut shown = format!(
        "{}: {}, {}{fuel}\n",
        outcome.handler,
        outcome.class,
        text::measured(outcome.duration)
    );
    if let Some(fault) = &outcome.fault {
        let details = [Some(fault.message()), fault.backtrace()].into_iter().flatten();
        for line in details.flat_map(str::lines) {
            shown += &format!("  {}\n", text::printable(line));
        }
        shown += &asked_again(fault);
    }
    shown
}

/// A run would try it again, when its retry policy lets it.
fn asked_again(fault: &Fault) -> String {
    let after = match (fault.class(), fault.retry_after()) {
        (_, Some(after)) => format!(" after {}", text::time(after)),
        (Class::Retry, None) => String::new(),
        (_, None) => return String::new(),
    };
    format!("  it asks to be tried again{after}; call makes one attempt only\n")
}

fn not_granted(info: &PluginInfo, grants: &[Pattern]) -> String {
    let grants: Vec<_> = grants.iter().map(Pattern::as_str).collect();
    format!(
        "takes this type of event ({}), but its subscribe grant leaves it out; that grant names {}",
        patterns(info),
        grants.join(", ")
    )
}

fn patterns(info: &PluginInfo) -> String {
    let patterns = info.handlers.iter().flat_map(|handler| &handler.patterns);
    text::printable(&patterns.map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// Published events are shown as they are, with the digits of their numbers.
#[derive(Serialize)]
struct Shown<'a> {
    plugin: &'a str,
    version: &'a str,
    answer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<bool>,
    outcomes: Vec<ShownOutcome<'a>>,
    published: Vec<Box<RawValue>>,
    /// In bytes, of each instance.
    memory: &'a [usize],
}

#[derive(Serialize)]
struct ShownOutcome<'a> {
    handler: &'a str,
    class: &'static str,
    /// Always 1: a call makes no retries.
    attempts: u32,
    /// The delay that the handler asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<f64>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtrace: Option<&'a str>,
}

pub(super) fn in_json(called: &Called) -> Result<String> {
    let published = called
        .published
        .iter()
        .map(|event| RawValue::from_string(event.to_json()));
    let mut shown = Shown {
        plugin: &called.plugin.name,
        version: &called.plugin.info.version,
        answer: "",
        error: None,
        accepted: None,
        outcomes: Vec::new(),
        published: published.collect::<Result<_, _>>()?,
        memory: &called.plugin.instance_memory,
    };
    match &called.answer {
        Answer::Refused(why) => (shown.answer, shown.error) = ("refused", Some(why.clone())),
        Answer::Unmatched => shown.answer = "unmatched",
        Answer::NotGranted(grants) => {
            (shown.answer, shown.error) = ("not-granted", Some(not_granted(&called.plugin.info, grants)));
        }
        Answer::Handled(outcomes) => {
            (shown.answer, shown.outcomes) = ("handled", outcomes.iter().map(ShownOutcome::of).collect())
        }
        Answer::Judged { accepted } => (shown.answer, shown.accepted) = ("judged", Some(*accepted)),
        Answer::NoVerdict => shown.answer = "no-verdict",
    }
    Ok(format!("{}\n", serde_json::to_string(&shown)?))
}

/// Why there was no call.
pub(super) fn error_in_json(error: &anyhow::Error) -> String {
    let object = json!({ "answer": "not-called", "error": with_causes(error) });
    format!("{object}\n")
}

impl<'a> ShownOutcome<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        Self {
            handler: outcome.handler.handler(),
            class: outcome.class.as_str(),
            attempts: outcome.attempts,
            retry_after_ms: outcome
                .fault
                .as_ref()
                .and_then(Fault::retry_after)
                .map(text::milliseconds),
            duration_ms: text::milliseconds(outcome.duration),
            fuel: outcome.fuel,
            message: outcome.fault.as_ref().map(Fault::message),
            backtrace: outcome.fault.as_ref().and_then(Fault::backtrace),
        }
    }
}
