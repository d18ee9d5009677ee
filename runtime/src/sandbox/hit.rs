//! The limits that can end a call, each with its class and its words: what was asked, what the limit is, and its key.

use wasmtime::{Error, Trap};

use crate::handler::DeadlineOf;
use crate::limits::{LimitKind, Limits, bytes_shown};
use crate::outcome::Class;
use crate::sandbox::deadline::SetBy;
use crate::sandbox::limiter::Denied;

/// A limit that ended a call, and how much was asked for where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// Wall time, and who allows no more.
    Timeout(SetBy),
    Fuel,
    Memory(Option<u64>),
    TableElements(u64),
    /// Tables, memories or core instances.
    Count(LimitKind, u64),
    Stack,
    HostcallBytes,
    Handles,
    RandomBytes(Option<u64>),
    /// A list of HTTP headers; what it may have is wasmtime's to say.
    HttpHeaders,
}

/// What the guest was given, for the words.
pub(super) struct Given<'a> {
    pub(super) limits: &'a Limits,
    pub(super) wasm_stack: usize,
    pub(super) phase: &'static str,
}

impl From<Denied> for Hit {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Memory(asked) => Hit::Memory(Some(asked as u64)),
            Denied::TableElements(asked) => Hit::TableElements(asked as u64),
        }
    }
}

impl Hit {
    /// The limit that an error of a call tells of by itself: by the trap's type, or where there is none by the host's words.
    /// The call's deadline was set by `deadline`.
    pub(super) fn of(error: &Error, deadline: SetBy) -> Option<Self> {
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Some(Hit::Stack),
            Some(Trap::OutOfFuel) => Some(Hit::Fuel),
            Some(Trap::Interrupt) => Some(Hit::Timeout(deadline)),
            // A trap's text is the guest's business; only what the host says counts.
            Some(_) => None,
            // The root alone is the host's: what is around it tells where in the guest it was, in the guest's words.
            None => of_words(&error.root_cause().to_string()),
        }
    }

    /// Which limit of the plugin's that is; none where others had no more time for it.
    pub(super) fn limit(self) -> Option<LimitKind> {
        Some(match self {
            Hit::Timeout(deadline) => return deadline.limit(),
            Hit::Fuel => LimitKind::Fuel,
            Hit::Memory(_) => LimitKind::Memory,
            Hit::TableElements(_) => LimitKind::TableElements,
            Hit::Count(kind, _) => kind,
            Hit::Stack => LimitKind::WasmStack,
            Hit::HostcallBytes => LimitKind::HostcallBytes,
            Hit::Handles => LimitKind::Handles,
            Hit::RandomBytes(_) => LimitKind::RandomBytes,
            Hit::HttpHeaders => LimitKind::HttpRequestBytes,
        })
    }

    /// Whose deadline it was, if it was one.
    pub(super) fn deadline_of(self) -> Option<DeadlineOf> {
        match self {
            Hit::Timeout(deadline) => deadline.of(),
            _ => None,
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Hit::Timeout(_) => Class::Timeout,
            Hit::Fuel => Class::OutOfFuel,
            Hit::Memory(_) => Class::OutOfMemory,
            Hit::Stack => Class::StackOverflow,
            _ => Class::HostLimit,
        }
    }

    /// What was asked, what the limit is, and the key that sets it; after the plugin's name.
    pub(super) fn words(self, given: &Given) -> String {
        let asked = self.asked(given);
        // What headers may have no key sets.
        match self.limit().filter(|_| self != Hit::HttpHeaders) {
            Some(limit) => format!("{asked}; its limit is {} ({limit})", self.allowed(given)),
            None => asked,
        }
    }

    fn asked(self, Given { phase, limits, .. }: &Given) -> String {
        match self {
            Hit::Timeout(deadline) => format!("did not end {phase} by {} and was stopped", deadline.shown()),
            Hit::Fuel => "burnt all the fuel of one call".to_owned(),
            Hit::Memory(None) => "asked for more memory than there can be".to_owned(),
            Hit::Memory(Some(asked)) => {
                let asked = LimitKind::Memory.counted_above(asked, limits.memory as u64);
                format!("asked for {asked}")
            }
            Hit::TableElements(asked) => format!("asked for {}", LimitKind::TableElements.counted(asked)),
            Hit::Count(kind, asked) => format!("asked for {}", kind.counted(asked)),
            Hit::Stack => "used up its stack".to_owned(),
            Hit::HttpHeaders => "made a list of HTTP headers of more than 32 KiB".to_owned(),
            Hit::HostcallBytes => "passed too much in one call of the host or one answer".to_owned(),
            Hit::Handles => "asked for one handle more than it may hold".to_owned(),
            Hit::RandomBytes(None) => "asked for too many random bytes at a time".to_owned(),
            Hit::RandomBytes(Some(asked)) => format!("asked for {} of random bytes at a time", bytes_shown(asked)),
        }
    }

    fn allowed(self, Given { limits, wasm_stack, .. }: &Given) -> String {
        let bytes = |bytes: usize| bytes_shown(bytes as u64);
        match self {
            Hit::Timeout(deadline) => format!("{:?}", deadline.allowed(limits)),
            Hit::Fuel => format!("{} units", limits.fuel.unwrap_or_default()),
            Hit::Memory(_) => bytes(limits.memory),
            Hit::TableElements(_) => limits.table_elements.to_string(),
            Hit::Count(LimitKind::Tables, _) => limits.tables.to_string(),
            Hit::Count(LimitKind::Memories, _) => limits.memories.to_string(),
            Hit::Count(..) => limits.instances.to_string(),
            Hit::Stack => bytes(*wasm_stack),
            Hit::HostcallBytes => bytes(limits.hostcall_bytes),
            Hit::Handles => limits.handles.to_string(),
            Hit::RandomBytes(_) => bytes_shown(limits.random_bytes),
            Hit::HttpHeaders => bytes(32 * 1024),
        }
    }
}

/// The words of wasmtime 48 for host limits, which it gives no type. Tests provoke each with a real guest, so that an
/// upgrade that changes them fails a test.
fn of_words(words: &str) -> Option<Hit> {
    if words.ends_with(": fuel allocated for hostcalls has been exhausted") {
        return Some(Hit::HostcallBytes);
    }
    if words.ends_with(": store handle limit exceeded") || words == "resource table has no free keys" {
        return Some(Hit::Handles);
    }
    if words == "total size of fields exceeds limit" {
        return Some(Hit::HttpHeaders);
    }
    if let Some(rest) = words.strip_prefix("requested len ") {
        let asked = rest.split(' ').next().and_then(|asked| asked.parse().ok());
        return Some(Hit::RandomBytes(asked));
    }
    let (what, count) = words
        .strip_prefix("resource limit exceeded: ")?
        .split_once(" count too high at ")?;
    let kind = match what {
        "memory" => LimitKind::Memories,
        "table" => LimitKind::Tables,
        _ => LimitKind::Instances,
    };
    count.parse().ok().map(|count| Hit::Count(kind, count))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// S1, S11: each limit in its own words: what was asked, what the limit is, and its key.
    #[test]
    fn s1_s11_each_limit_has_its_own_words() {
        let limits = Limits {
            fuel: Some(5_000_000),
            ..Limits::default()
        };
        let given = Given {
            limits: &limits,
            wasm_stack: 512 * 1024,
            phase: "handle",
        };
        let table = [
            (
                Hit::Timeout(SetBy::Limits),
                Class::Timeout,
                "did not end handle by its deadline and was stopped; its limit is 30s (plugin.limits.timeout)",
            ),
            (
                Hit::Timeout(SetBy::Handler(Duration::from_secs(10))),
                Class::Timeout,
                "did not end handle by its deadline and was stopped; its limit is 10s (plugin.handler.NAME.timeout)",
            ),
            (
                Hit::Timeout(SetBy::Filter(Duration::from_millis(100))),
                Class::Timeout,
                "did not end handle by its deadline and was stopped; its limit is 100ms (filter.timeout)",
            ),
            (
                Hit::Fuel,
                Class::OutOfFuel,
                "burnt all the fuel of one call; its limit is 5000000 units (plugin.limits.fuel)",
            ),
            (
                Hit::Memory(Some(71 * MIB)),
                Class::OutOfMemory,
                "asked for 71 MiB of memory; its limit is 64 MiB (plugin.limits.memory)",
            ),
            (
                Hit::Memory(None),
                Class::OutOfMemory,
                "asked for more memory than there can be; its limit is 64 MiB (plugin.limits.memory)",
            ),
            (
                Hit::TableElements(100_001),
                Class::HostLimit,
                "asked for 100001 table elements; its limit is 100000 (plugin.limits.table-elements)",
            ),
            (
                Hit::Count(LimitKind::Tables, 65),
                Class::HostLimit,
                "asked for 65 tables; its limit is 64 (plugin.limits.tables)",
            ),
            (
                Hit::Count(LimitKind::Memories, 17),
                Class::HostLimit,
                "asked for 17 memories; its limit is 16 (plugin.limits.memories)",
            ),
            (
                Hit::Count(LimitKind::Instances, 129),
                Class::HostLimit,
                "asked for 129 core instances; its limit is 128 (plugin.limits.instances)",
            ),
            (
                Hit::Stack,
                Class::StackOverflow,
                "used up its stack; its limit is 512 KiB (engine.wasm-stack)",
            ),
            (
                Hit::HostcallBytes,
                Class::HostLimit,
                "passed too much in one call of the host or one answer; its limit is 8 MiB \
                 (plugin.limits.hostcall-bytes)",
            ),
            (
                Hit::Handles,
                Class::HostLimit,
                "asked for one handle more than it may hold; its limit is 256 (plugin.limits.handles)",
            ),
            (
                Hit::RandomBytes(Some(MIB)),
                Class::HostLimit,
                "asked for 1 MiB of random bytes at a time; its limit is 64 KiB (plugin.limits.random-bytes)",
            ),
            (
                Hit::RandomBytes(None),
                Class::HostLimit,
                "asked for too many random bytes at a time; its limit is 64 KiB (plugin.limits.random-bytes)",
            ),
        ];
        for (hit, class, words) in table {
            assert_eq!((hit.class(), hit.words(&given)), (class, words.to_owned()));
            assert!(words.ends_with(&format!("({})", hit.limit().unwrap())), "{words}");
        }
    }

    /// B3, S1, S7: a deadline that is no limit of the plugin's is told as whose it is, and no key is named.
    #[test]
    fn b3_s7_deadlines_of_others_name_no_key() {
        let limits = Limits::default();
        let given = |phase| Given {
            limits: &limits,
            wasm_stack: 0,
            phase,
        };
        let publisher = Hit::Timeout(SetBy::Publisher);
        assert_eq!(
            publisher.words(&given("handle")),
            "did not end handle by the publisher's deadline and was stopped"
        );
        let shutdown = Hit::Timeout(SetBy::Shutdown);
        assert_eq!(
            shutdown.words(&given("stop")),
            "did not end stop by the end of the shutdown and was stopped"
        );
        for hit in [publisher, shutdown] {
            assert_eq!((hit.class(), hit.limit()), (Class::Timeout, None));
        }
        assert_eq!(publisher.deadline_of(), Some(DeadlineOf::Publisher));
        assert_eq!(shutdown.deadline_of(), None);
        assert_eq!(Hit::Fuel.deadline_of(), None);
    }

    /// S11: what wasmtime says where it has no type.
    #[test]
    fn s11_the_engines_words_are_understood() {
        let table = [
            (
                "too much: fuel allocated for hostcalls has been exhausted",
                Some(Hit::HostcallBytes),
            ),
            (
                "cannot allocate another handle: store handle limit exceeded",
                Some(Hit::Handles),
            ),
            ("resource table has no free keys", Some(Hit::Handles)),
            (
                "requested len 1048576 exceeds limit 65536",
                Some(Hit::RandomBytes(Some(MIB))),
            ),
            (
                "resource limit exceeded: instance count too high at 129",
                Some(Hit::Count(LimitKind::Instances, 129)),
            ),
            (
                "resource limit exceeded: table count too high at 65",
                Some(Hit::Count(LimitKind::Tables, 65)),
            ),
            (
                "resource limit exceeded: memory count too high at 17",
                Some(Hit::Count(LimitKind::Memories, 17)),
            ),
            ("unknown handle index 7", None),
        ];
        for (words, hit) in table {
            assert_eq!(of_words(words), hit, "{words}");
        }
    }
}
