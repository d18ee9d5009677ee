//! Limits and grants, for people and as JSON.

use std::io::{self, Write};

use anyhow::Result;
use palisade::{FsMode, Grants, HandlerInfo, Limits, PluginInfo};
use serde_json::{Map, Value, json};

use crate::text;

/// Prints to stdout. A reader that has gone away, as `head` does, is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A limit by its key: as people read it, and as JSON does.
type Row = (&'static str, String, Value);

fn rows(limits: &Limits) -> [Row; 22] {
    let count = |key, count: usize| (key, text::number(count as u64), count.into());
    let size = |key, bytes: usize| (key, text::bytes(bytes), bytes.into());
    let long_size = |key, bytes: u64| size(key, usize::try_from(bytes).unwrap_or(usize::MAX));
    let fuel = limits.fuel.map_or_else(|| "not metered".to_owned(), text::number);
    [
        ("timeout", text::time(limits.timeout), text::time(limits.timeout).into()),
        ("fuel", fuel, limits.fuel.into()),
        size("memory", limits.memory),
        count("table-elements", limits.table_elements),
        count("tables", limits.tables),
        count("memories", limits.memories),
        count("instances", limits.instances),
        size("hostcall-bytes", limits.hostcall_bytes),
        count("handles", limits.handles),
        long_size("random-bytes", limits.random_bytes),
        long_size("log-bytes", limits.log_bytes),
        count("publish-events", limits.publish_events as usize),
        size("publish-bytes", limits.publish_bytes),
        count("subscriptions", limits.subscriptions),
        long_size("directory-bytes", limits.directory_bytes),
        count("directory-entries", limits.directory_entries),
        count("key-value-keys", limits.key_value_keys),
        size("key-value-bytes", limits.key_value_bytes),
        size("key-value-value-bytes", limits.key_value_value_bytes),
        count("http-requests", limits.http_requests),
        long_size("http-request-bytes", limits.http_request_bytes),
        long_size("http-response-bytes", limits.http_response_bytes),
    ]
}

/// A line a limit.
pub(crate) fn limits(limits: &Limits) -> String {
    rows(limits).iter().map(line).collect()
}

fn line((key, shown, _): &Row) -> String {
    format!("    {key:<21} {shown}\n")
}

/// A line a limit that differs from the default.
pub(crate) fn other_limits(limits: &Limits) -> String {
    let (rows, defaults) = (rows(limits), rows(&Limits::default()));
    let differs = rows.iter().zip(&defaults).filter(|(row, default)| row != default);
    let lines: String = differs.map(|(row, _)| line(row)).collect();
    if lines.is_empty() {
        "  limits: defaults\n".to_owned()
    } else {
        format!("  limits that differ from the defaults\n{lines}")
    }
}

/// With the keys of a config file.
pub(crate) fn limits_json(limits: &Limits) -> Value {
    Value::Object(
        rows(limits)
            .into_iter()
            .map(|(key, _, value)| (key.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
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
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
        .iter()
        .map(|line| format!("    {}\n", text::printable(line)))
        .collect()
}

/// A line a handler and a line a pattern.
pub(crate) fn handlers(info: &PluginInfo) -> String {
    info.handlers.iter().map(handler).collect()
}

fn handler(handler: &HandlerInfo) -> String {
    let timeout = handler
        .timeout
        .map_or_else(String::new, |timeout| format!(" (timeout {})", text::time(timeout)));
    let patterns = handler
        .patterns
        .iter()
        .map(|pattern| format!("    {}\n", text::printable(pattern)));
    format!("  handler {}{timeout}\n{}", handler.name, patterns.collect::<String>())
}

/// The handlers as JSON.
pub(crate) fn handlers_json(info: &PluginInfo) -> Value {
    let handler = |handler: &HandlerInfo| {
        let timeout = handler
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        json!({ "name": handler.name, "patterns": handler.patterns, "timeout_ms": timeout })
    };
    info.handlers.iter().map(handler).collect()
}
