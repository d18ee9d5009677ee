//! What audit-logger has written.

use anyhow::{Context, Result};
use serde_json::Value;

/// The types that audit-logger handles, apart from the lifecycle events, which are not in the sample.
const AUDITED: [&str; 5] = [
    "user.login",
    "user.logout",
    "data.created",
    "data.updated",
    "data.deleted",
];

/// How many lines are shown.
const SHOWN: usize = 5;

pub(super) fn show(log: &str) {
    log.lines().take(SHOWN).for_each(|line| println!("  {line}"));
    let rest = log.lines().count().saturating_sub(SHOWN);
    if rest > 0 {
        println!("  ... and {rest} more");
    }
}

/// The ids of those events of the sample that should be in the log and are not.
pub(super) fn missing(events: &str, log: &str) -> Result<Vec<String>> {
    let ids: Vec<Option<String>> = events
        .lines()
        .map(|line| audited_id(line).with_context(|| format!("a line of the sample is not an event: {line}")))
        .collect::<Result<_>>()?;
    Ok(ids
        .into_iter()
        .flatten()
        .filter(|id| !log.contains(id.as_str()))
        .collect())
}

fn audited_id(line: &str) -> Result<Option<String>> {
    let event: Value = serde_json::from_str(line)?;
    let kind = event.get("type").and_then(Value::as_str).context("it has no `type`")?;
    let id = event.get("id").and_then(Value::as_str).context("it has no `id`")?;
    Ok(AUDITED.contains(&kind).then(|| id.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_audited_event_without_a_line_is_missing() {
        let events = "{\"type\":\"user.login\",\"id\":\"a-1\"}\n{\"type\":\"user.login.failed\",\"id\":\"b-2\"}\n\
                      {\"type\":\"data.deleted\",\"id\":\"c-3\"}";
        assert_eq!(missing(events, "{\"id\":\"a-1\"}").unwrap(), ["c-3"]);
        assert!(missing("not an event", "").is_err());
    }
}
