//! What one plugin may use.

use std::time::Duration;

/// The limits of one plugin's instances. Every call is bounded by all of them; none defaults to infinity.
///
/// What happens at each limit is said beside it. "Ends" means: the call fails with that class, the instance is thrown
/// away, and the next event gets a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest one call may take, by the wall clock, the wait for a free instance included: 30 s. Ends: `timeout`
    /// (`overloaded` while it waited). A handler may ask for less, never for more.
    pub timeout: Duration,
    /// How much fuel one call may burn, about one unit an instruction; `None`: not metered. Ends: `out-of-fuel`.
    pub fuel: Option<u64>,
    /// How much memory an instance may have in all, all its linear memories and its GC heap together: 64 MiB. The guest
    /// sees a growth beyond it fail; where it can't go on, ends: `out-of-memory`.
    pub memory: usize,
    /// How many elements its tables may have in all: 100,000, and no single table more than that. The guest sees a growth
    /// beyond it fail; where it can't go on, ends: `host-limit`.
    pub table_elements: usize,
    /// How many tables it may have: 64. A component that has more is refused at load.
    pub tables: usize,
    /// How many linear memories it may have: 16. A component that has more is refused at load.
    pub memories: usize,
    /// How many core instances one component may be made of: 128. A component that has more is refused at load.
    pub instances: usize,
    /// How many bytes one call of the host may carry, and one answer of the guest: 8 MiB. Ends: `host-limit`.
    pub hostcall_bytes: usize,
    /// How many WASI resources (files, streams, pollables) it may hold at a time: 256. Ends: `host-limit`. Open files and HTTP
    /// connections are the process's too (`ulimit -n`), which keeps a quarter of them to itself: beyond eight of its own a
    /// plugin may have no more, all its instances together, than it leaves to others. The guest is told `quota`, or
    /// `connection-limit-reached`.
    pub handles: usize,
    /// How many random bytes it may ask for at a time: 64 KiB. Ends: `host-limit`.
    pub random_bytes: u64,
    /// How many bytes of log, stdout and stderr it may write a second, with as much again as a burst: 64 KiB; a line counts
    /// for 64 more than it has. What is beyond is dropped and counted in the log.
    pub log_bytes: u64,
    /// How many events one call may publish: 64. The guest is told `over-limit`.
    pub publish_events: u32,
    /// How many bytes of events one call may publish: 1 MiB. The guest is told `over-limit`.
    pub publish_bytes: usize,
    /// How many subscriptions the plugin may have in all: 256. The guest is told `over-limit`; a `describe` with more is
    /// refused at load.
    pub subscriptions: usize,
    /// How many bytes each directory may hold that the plugin may write to, other people's files in it included: 64 MiB.
    /// The guest is told `quota`.
    pub directory_bytes: u64,
    /// How many entries a directory may have that the plugin lists: 10,000. The guest is told `quota`.
    pub directory_entries: usize,
    /// How many keys its key-value store may hold: 10,000. The guest is told `other`, with this limit.
    pub key_value_keys: usize,
    /// How many bytes all keys and values together may have: 16 MiB. The guest is told `other`, with this limit.
    pub key_value_bytes: usize,
    /// How many bytes one value may have: 256 KiB; a key may have 256 bytes. The guest is told `other`, with this limit.
    pub key_value_value_bytes: usize,
    /// How many HTTP requests an instance may have under way at a time, until it has read the response or dropped it: 8. The
    /// guest is told `connection-limit-reached`. Those still open when a call returns are closed.
    pub http_requests: usize,
    /// How many bytes an HTTP request may have, its body, method, path and headers together: 1 MiB. The guest is told
    /// `HTTP-request-body-size`, or `HTTP-request-header-section-size` where there is no room for a body at all. A method has
    /// at most 64 bytes, an authority 300, path and query 8 KiB; the guest's setting a longer one fails.
    pub http_request_bytes: u64,
    /// How many bytes the body of an HTTP response may have: 8 MiB. The guest is told `HTTP-response-body-size`.
    pub http_response_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            fuel: None,
            memory: 64 * 1024 * 1024,
            table_elements: 100_000,
            tables: 64,
            memories: 16,
            instances: 128,
            hostcall_bytes: 8 * 1024 * 1024,
            handles: 256,
            random_bytes: 64 * 1024,
            log_bytes: 64 * 1024,
            publish_events: 64,
            publish_bytes: 1024 * 1024,
            subscriptions: 256,
            directory_bytes: 64 * 1024 * 1024,
            directory_entries: 10_000,
            key_value_keys: 10_000,
            key_value_bytes: 16 * 1024 * 1024,
            key_value_value_bytes: 256 * 1024,
            http_requests: 8,
            http_request_bytes: 1024 * 1024,
            http_response_bytes: 8 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// These limits, each cut to the operator's ceiling. With a ceiling on fuel, a plugin that is not metered becomes so.
    #[must_use]
    pub fn within(&self, ceiling: &Limits) -> Limits {
        Limits {
            timeout: self.timeout.min(ceiling.timeout),
            fuel: match (self.fuel, ceiling.fuel) {
                (Some(own), Some(ceiling)) => Some(own.min(ceiling)),
                (own, ceiling) => own.or(ceiling),
            },
            memory: self.memory.min(ceiling.memory),
            table_elements: self.table_elements.min(ceiling.table_elements),
            tables: self.tables.min(ceiling.tables),
            memories: self.memories.min(ceiling.memories),
            instances: self.instances.min(ceiling.instances),
            hostcall_bytes: self.hostcall_bytes.min(ceiling.hostcall_bytes),
            handles: self.handles.min(ceiling.handles),
            random_bytes: self.random_bytes.min(ceiling.random_bytes),
            log_bytes: self.log_bytes.min(ceiling.log_bytes),
            publish_events: self.publish_events.min(ceiling.publish_events),
            publish_bytes: self.publish_bytes.min(ceiling.publish_bytes),
            subscriptions: self.subscriptions.min(ceiling.subscriptions),
            directory_bytes: self.directory_bytes.min(ceiling.directory_bytes),
            directory_entries: self.directory_entries.min(ceiling.directory_entries),
            key_value_keys: self.key_value_keys.min(ceiling.key_value_keys),
            key_value_bytes: self.key_value_bytes.min(ceiling.key_value_bytes),
            key_value_value_bytes: self.key_value_value_bytes.min(ceiling.key_value_value_bytes),
            http_requests: self.http_requests.min(ceiling.http_requests),
            http_request_bytes: self.http_request_bytes.min(ceiling.http_request_bytes),
            http_response_bytes: self.http_response_bytes.min(ceiling.http_response_bytes),
        }
    }
}

/// Which of a plugin's limits something ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// The wall time of one call.
    Timeout,
    /// The wall time of one event, where the handler itself or its part of the config gives it less than the plugin has.
    HandlerTimeout,
    /// The wall time of a filter's verdict.
    FilterTimeout,
    /// The fuel of one call.
    Fuel,
    /// All memory of an instance.
    Memory,
    /// The elements of all tables.
    TableElements,
    /// The number of tables.
    Tables,
    /// The number of linear memories.
    Memories,
    /// The number of core instances.
    Instances,
    /// The stack, which is the engine's.
    WasmStack,
    /// The bytes of one call of the host, or of one answer.
    HostcallBytes,
    /// WASI resources held at a time.
    Handles,
    /// Random bytes asked for at a time.
    RandomBytes,
    /// Bytes of log, stdout and stderr a second.
    LogBytes,
    /// Events that one call publishes.
    PublishEvents,
    /// Bytes of events that one call publishes.
    PublishBytes,
    /// Subscriptions of the plugin.
    Subscriptions,
    /// Bytes in a directory with a write grant.
    DirectoryBytes,
    /// Entries of a directory that is listed.
    DirectoryEntries,
    /// Keys of the key-value store.
    KeyValueKeys,
    /// Bytes of the key-value store.
    KeyValueBytes,
    /// Bytes of one value.
    KeyValueValueBytes,
    /// HTTP requests under way at a time.
    HttpRequests,
    /// Bytes of an HTTP request's body.
    HttpRequestBytes,
    /// Bytes of an HTTP response's body.
    HttpResponseBytes,
}

impl LimitKind {
    /// The key of the config that sets it, such as `plugin.limits.memory`.
    pub fn key(self) -> &'static str {
        match self {
            LimitKind::Timeout => "plugin.limits.timeout",
            LimitKind::HandlerTimeout => "plugin.handler.NAME.timeout",
            LimitKind::FilterTimeout => "filter.timeout",
            LimitKind::Fuel => "plugin.limits.fuel",
            LimitKind::Memory => "plugin.limits.memory",
            LimitKind::TableElements => "plugin.limits.table-elements",
            LimitKind::Tables => "plugin.limits.tables",
            LimitKind::Memories => "plugin.limits.memories",
            LimitKind::Instances => "plugin.limits.instances",
            LimitKind::WasmStack => "engine.wasm-stack",
            LimitKind::HostcallBytes => "plugin.limits.hostcall-bytes",
            LimitKind::Handles => "plugin.limits.handles",
            LimitKind::RandomBytes => "plugin.limits.random-bytes",
            LimitKind::LogBytes => "plugin.limits.log-bytes",
            LimitKind::PublishEvents => "plugin.limits.publish-events",
            LimitKind::PublishBytes => "plugin.limits.publish-bytes",
            LimitKind::Subscriptions => "plugin.limits.subscriptions",
            LimitKind::DirectoryBytes => "plugin.limits.directory-bytes",
            LimitKind::DirectoryEntries => "plugin.limits.directory-entries",
            LimitKind::KeyValueKeys => "plugin.limits.key-value-keys",
            LimitKind::KeyValueBytes => "plugin.limits.key-value-bytes",
            LimitKind::KeyValueValueBytes => "plugin.limits.key-value-value-bytes",
            LimitKind::HttpRequests => "plugin.limits.http-requests",
            LimitKind::HttpRequestBytes => "plugin.limits.http-request-bytes",
            LimitKind::HttpResponseBytes => "plugin.limits.http-response-bytes",
        }
    }
}

impl LimitKind {
    /// What it counts, as in "71 MiB of memory" and "65 tables"; for limits that a component can be too large for.
    pub(crate) fn counted(self, amount: u64) -> String {
        match self {
            LimitKind::Memory => format!("{} of memory", bytes_shown(amount)),
            LimitKind::TableElements => format!("{amount} table elements"),
            LimitKind::Tables => format!("{amount} tables"),
            LimitKind::Memories => format!("{amount} memories"),
            LimitKind::Instances => format!("{amount} core instances"),
            other => format!("{amount} of {other}"),
        }
    }

    /// The same of what is above a limit, in a unit in which that shows.
    pub(crate) fn counted_above(self, amount: u64, limit: u64) -> String {
        match self {
            LimitKind::Memory if bytes_shown(amount) == bytes_shown(limit) => format!("{amount} bytes of memory"),
            _ => self.counted(amount),
        }
    }

    /// A number of it, in its unit.
    pub(crate) fn amount(self, amount: u64) -> String {
        match self {
            LimitKind::Memory => bytes_shown(amount),
            _ => amount.to_string(),
        }
    }
}

/// 65536 as `64 KiB`; at most one digit after the point, and never more than there are.
pub(crate) fn bytes_shown(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, size)) = UNITS.iter().find(|(_, size)| bytes >= *size) else {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    };
    match (bytes / size, bytes % size * 10 / size) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S1: bytes are told in the unit that fits.
    #[test]
    fn s1_bytes_are_shown_in_their_unit() {
        let shown = [0, 1, 1023, 1024, 65_536, 71 << 20, (64 << 20) + (1 << 19), u64::MAX].map(bytes_shown);
        let expected = [
            "0 bytes",
            "1 byte",
            "1023 bytes",
            "1 KiB",
            "64 KiB",
            "71 MiB",
            "64.5 MiB",
            "17179869183.9 GiB",
        ];
        assert_eq!(shown, expected);
    }

    /// S1: what is a little above a limit does not look like it.
    #[test]
    fn s1_what_is_above_a_limit_differs_from_it() {
        let above = |amount| LimitKind::Memory.counted_above(amount, 1 << 20);
        assert_eq!(above((1 << 20) + 65_536), "1114112 bytes of memory");
        assert_eq!(above(2 << 20), "2 MiB of memory");
    }
}
