//! The `auth.bruteforce` alerts among what `palisade` writes to stdout.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TYPE: &str = "auth.bruteforce";

/// One alert. It is shown in short and, on a second line, as it came.
pub(super) struct Alert {
    ip: String,
    failures: u64,
    first: String,
    last: String,
    raw: String,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ip,
            failures,
            first,
            last,
            raw,
        } = self;
        write!(
            f,
            "  {ip:<16} {failures} failed logins from {first} to {last}\n    {raw}"
        )
    }
}

/// Each line of `published` must be an event; those of other types are passed over.
pub(super) fn parse(published: &str) -> Result<Vec<Alert>> {
    let alerts = published.lines().map(|line| {
        alert(line).with_context(|| {
            format!("palisade wrote a line to stdout that is neither an alert nor another event: {line}")
        })
    });
    alerts.filter_map(Result::transpose).collect()
}

fn alert(line: &str) -> Result<Option<Alert>> {
    let event: Value = serde_json::from_str(line)?;
    if text(&event, "type")? != TYPE {
        return Ok(None);
    }
    let data = event.get("data").context("it has no `data`")?;
    Ok(Some(Alert {
        ip: text(data, "ip")?,
        failures: data
            .get("failures")
            .and_then(Value::as_u64)
            .context("`failures` is not a number")?,
        first: text(data, "first")?,
        last: text(data, "last")?,
        raw: line.to_owned(),
    }))
}

fn text(value: &Value, key: &str) -> Result<String> {
    Ok(value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("`{key}` is not a string"))?
        .to_owned())
}

/// `expected` has a line for each alert: the address and the time of the failure that raised it, in any order.
pub(super) fn compare(alerts: &[Alert], expected: &str) -> Result<()> {
    let mut got: Vec<String> = alerts
        .iter()
        .map(|alert| format!("{} {}", alert.ip, alert.last))
        .collect();
    let mut expected: Vec<&str> = expected.lines().collect();
    got.sort();
    expected.sort_unstable();
    if got != expected {
        bail!(
            "{} alerts expected:\n{}\n{} came:\n{}",
            expected.len(),
            expected.join("\n"),
            got.len(),
            got.join("\n")
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const PUBLISHED: &str = r#"{"type":"auth.bruteforce","data":{"ip":"203.0.113.7","failures":5,"first":"08:02:10","last":"08:02:26"}}
{"type":"auth.other","data":null}
{"type":"auth.bruteforce","data":{"ip":"198.51.100.23","failures":5,"first":"08:05:00","last":"08:06:00"}}"#;

    #[test]
    fn alerts_are_picked_out_and_shown_in_short_and_raw() {
        let alerts = parse(PUBLISHED).unwrap();
        assert_eq!(alerts.len(), 2);
        let shown = alerts[0].to_string();
        assert!(
            shown.starts_with("  203.0.113.7      5 failed logins from 08:02:10 to 08:02:26\n    {\"type\""),
            "{shown}"
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error() {
        assert!(parse("INFO started").is_err());
        assert!(parse(r#"{"type":"auth.bruteforce","data":{"ip":"203.0.113.7"}}"#).is_err());
    }

    #[test]
    fn the_expected_alerts_in_any_order_pass() {
        let alerts = parse(PUBLISHED).unwrap();
        compare(&alerts, "198.51.100.23 08:06:00\n203.0.113.7 08:02:26\n").unwrap();
    }

    #[test]
    fn one_too_few_too_many_or_at_another_time_fails() {
        let alerts = parse(PUBLISHED).unwrap();
        assert!(compare(&alerts, "203.0.113.7 08:02:26").is_err());
        assert!(compare(&alerts[..1], "203.0.113.7 08:02:26\n198.51.100.23 08:06:00").is_err());
        assert!(compare(&alerts[..1], "203.0.113.7 08:02:30").is_err());
    }
}
