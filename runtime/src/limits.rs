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
    /// How many elements its tables may have in all: 100,000. The guest sees a growth beyond it fail.
    pub table_elements: usize,
    /// How many tables it may have: 64. A component that has more is refused at load.
    pub tables: usize,
    /// How many linear memories it may have: 16. A component that has more is refused at load.
    pub memories: usize,
    /// How many core instances one component may be made of: 128. A component that has more is refused at load.
    pub instances: usize,
    /// How many bytes one call of the host may carry, and one answer of the guest: 8 MiB. Ends: `host-limit`.
    pub hostcall_bytes: usize,
    /// How many WASI resources (files, streams, pollables) it may hold at a time: 1,024. Ends: `host-limit`.
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
            handles: 1024,
            random_bytes: 64 * 1024,
            log_bytes: 64 * 1024,
            publish_events: 64,
            publish_bytes: 1024 * 1024,
            subscriptions: 256,
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
        }
    }
}
