//! Grants and handlers, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use palisade::{ClockGrant, DeliveryMode, FsMode, Grants, HandlerInfo, Inspection, Isolation, PluginKind, PluginSpec};
use serde_json::{Value, json};

use crate::text;

/// Prints to stdout. A reader that has gone away, as `head` does, is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    print_on(text).map(drop)
}

/// The same; false when it has gone away.
pub(crate) fn print_on(text: &str) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A line a grant.
pub(crate) fn grants(grants: &Grants) -> String {
    let patterns = |patterns: &[palisade::Pattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut lines = Vec::new();
    for (key, values) in [
        ("publish", patterns(&grants.publish)),
        ("subscribe", patterns(&grants.subscribe)),
    ] {
        if !values.is_empty() {
            lines.push(format!("{key} {}", values.join(", ")));
        }
    }
    lines.extend(grants.env.iter().map(|name| match std::env::var_os(name) {
        Some(_) => format!("env {name}"),
        None => format!("env {name} (not set now)"),
    }));
    lines.extend(grants.fs.iter().map(|fs| {
        let mode = match fs.mode {
            FsMode::Read => "read",
            FsMode::Write => "write",
        };
        format!("fs {} as {} ({mode})", fs.host.display(), fs.guest)
    }));
    if grants.clocks == ClockGrant::Precise {
        lines.push("clocks precise".to_owned());
    }
    if grants.key_value {
        lines.push("key-value".to_owned());
    }
    lines.extend(grants.http.iter().map(|http| {
        let private = if http.private { " (private)" } else { "" };
        format!("http {}{private}", http.origin)
    }));
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
        .iter()
        .map(|line| format!("    {}\n", text::printable(line)))
        .collect()
}

/// How it is run: one line.
pub(crate) fn manner(inspection: &Inspection, spec: &PluginSpec) -> String {
    let how = match inspection.kind {
        PluginKind::Filter => format!("timeout {}", text::time(spec.filter.timeout)),
        PluginKind::Event => isolation(spec).to_owned(),
    };
    format!("  {how}, {} at a time\n", spec.concurrency)
}

/// As in a config file.
pub(crate) fn isolation(spec: &PluginSpec) -> &'static str {
    match spec.isolation {
        Isolation::Persistent => "persistent",
        Isolation::PerEvent => "per-event",
    }
}

/// A line a handler and a line a pattern, each handler with the time it has when it is run as the spec says.
pub(crate) fn handlers(inspection: &Inspection, spec: &PluginSpec) -> String {
    let handlers = inspection.info.handlers.iter();
    handlers.map(|one| handler(one, inspection, spec)).collect()
}

fn handler(handler: &HandlerInfo, inspection: &Inspection, spec: &PluginSpec) -> String {
    let has = spec.handler_timeout(handler, &inspection.limits);
    let timeout = match handler.timeout {
        Some(asked) if asked != has => format!(" (timeout {}; it asks for {})", text::time(has), text::time(asked)),
        None if has == inspection.limits.timeout => String::new(),
        _ => format!(" (timeout {})", text::time(has)),
    };
    let patterns = handler
        .patterns
        .iter()
        .map(|pattern| format!("    {}\n", text::printable(pattern)));
    let durable = if is_durable(handler, spec) { " durable" } else { "" };
    format!(
        "  handler {}{durable}{timeout}\n{}",
        handler.name,
        patterns.collect::<String>()
    )
}

fn is_durable(handler: &HandlerInfo, spec: &PluginSpec) -> bool {
    let own = spec.handlers.get(&handler.name).and_then(|own| own.mode);
    own.unwrap_or(spec.mode) == DeliveryMode::Durable
}

/// A time that was set, for JSON.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The handlers as JSON: the time that each asks for, the time it has, and whether it is durable.
pub(crate) fn handlers_json(inspection: &Inspection, spec: &PluginSpec) -> Value {
    let handler = |handler: &HandlerInfo| {
        json!({
            "name": handler.name,
            "patterns": handler.patterns,
            "timeout_ms": handler.timeout.map(milliseconds),
            "effective_timeout_ms": milliseconds(spec.handler_timeout(handler, &inspection.limits)),
            "durable": is_durable(handler, spec),
        })
    };
    inspection.info.handlers.iter().map(handler).collect()
}
