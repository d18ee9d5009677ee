//! The limits of a plugin, for people and as JSON.

use palisade::Limits;
use serde_json::{Map, Value, json};

use crate::text;

/// A limit by its key: as people read it, and as JSON does.
type Row = (&'static str, String, Value);

/// The limits in force, and where they are from.
pub(crate) struct Effective<'a> {
    /// Those in force.
    pub(crate) limits: &'a Limits,
    /// What they would be without ceilings.
    pub(crate) asked: &'a Limits,
}

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

/// One limit beside its default, and beside what it would be without a ceiling: a table that asks for more than its ceiling is an
/// error, so that only what a plugin inherits is cut.
struct Compared {
    row: Row,
    default: Row,
    asked: Row,
}

impl Effective<'_> {
    fn compared(&self) -> impl Iterator<Item = Compared> {
        let others = rows(&Limits::default()).into_iter().zip(rows(self.asked));
        let rows = rows(self.limits).into_iter().zip(others);
        rows.map(|(row, (default, asked))| Compared { row, default, asked })
    }

    /// A line a limit; one that is not the default says so.
    pub(crate) fn in_words(&self) -> String {
        self.compared().map(|limit| limit.line()).collect()
    }

    /// A line a limit that differs from the default.
    pub(crate) fn others_in_words(&self) -> String {
        let lines: String = self
            .compared()
            .filter(Compared::is_changed)
            .map(|limit| limit.line())
            .collect();
        if lines.is_empty() {
            "  limits: defaults\n".to_owned()
        } else {
            format!("  limits that differ from the defaults\n{lines}")
        }
    }

    /// With the keys of a config file.
    pub(crate) fn in_json(&self) -> Value {
        let limits = rows(self.limits).into_iter();
        limits
            .map(|(key, _, value)| (key.to_owned(), value))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Those that differ from the defaults, by key.
    pub(crate) fn others_in_json(&self) -> Value {
        let others = self
            .compared()
            .filter(Compared::is_changed)
            .map(|limit| (limit.row.0.to_owned(), limit.in_json()));
        others.collect::<Map<_, _>>().into()
    }
}

impl Compared {
    fn is_changed(&self) -> bool {
        self.row != self.default
    }

    fn is_cut(&self) -> bool {
        self.row != self.asked
    }

    fn line(&self) -> String {
        let (key, shown, _) = &self.row;
        let mut notes = Vec::new();
        if self.is_changed() {
            notes.push(format!("default: {}", self.default.1));
        }
        if self.is_cut() {
            notes.push(format!("cut to ceilings.{key}"));
        }
        if notes.is_empty() {
            return format!("    {key:<21} {shown}\n");
        }
        format!("    {key:<21} {shown}  ({})\n", notes.join("; "))
    }

    fn in_json(&self) -> Value {
        json!({ "default": self.default.2, "cut_to_ceiling": self.is_cut() })
    }
}
