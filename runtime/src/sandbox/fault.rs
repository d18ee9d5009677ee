//! Tells faults apart (S11): by type where wasmtime has one, in one place by its words where it has none.

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::handler::Fault;
use crate::limits::{LimitKind, Limits, bytes_shown};
use crate::outcome::Class;
use crate::sandbox::bindings::cut;
use crate::sandbox::interface::INTERFACE_VERSION;
use crate::sandbox::limiter::Denied;
use crate::sandbox::log::{is_unsafe_to_show, printable};
use crate::sandbox::state::HostState;

/// What an error of a guest's call was, in words for the operator.
pub(super) fn classify(error: &Error, state: &HostState) -> Fault {
    let Found { class, what, limit } = find(error, state);
    let name = state.plugin();
    let said = panic_of(&state.stderr_tail());
    let message = match said {
        Some(panic) if class == Class::Trap => format!("{name} {panic}"),
        Some(panic) => format!("{name} {what} ({panic})"),
        None => format!("{name} {what}"),
    };
    Fault::new(class, cut(state.shown(message)))
        .with_limit(limit)
        .with_backtrace(backtrace(error))
}

/// The deadline passed while the guest waited in the host.
pub(super) fn late(state: &HostState) -> Fault {
    let Found { class, what, limit } = Found::hit(Hit::Timeout, state);
    Fault::new(class, format!("{} {what}", state.plugin())).with_limit(limit)
}

/// H35: what an interface of ours exports has other types than the contract's. The engine finds that at the first instance.
pub(super) fn other_types(name: &str, interface: &str, error: &Error) -> Fault {
    let found = error.root_cause();
    let message = format!(
        "{name} exports palisade:plugin/{interface} with other types than {INTERFACE_VERSION} has ({found}); build it with the \
         SDK of this version"
    );
    Fault::new(Class::Unavailable, cut(message))
}

/// An error, told apart.
struct Found {
    class: Class,
    what: String,
    limit: Option<LimitKind>,
}

impl Found {
    fn new(class: Class, what: impl Into<String>) -> Self {
        let (what, limit) = (what.into(), None);
        Self { class, what, limit }
    }

    fn hit(hit: Hit, state: &HostState) -> Self {
        let given = Given {
            limits: state.limits(),
            wasm_stack: state.wasm_stack(),
            phase: state.call.phase.as_str(),
        };
        Self {
            class: hit.class(),
            what: hit.words(&given),
            limit: Some(hit.limit()),
        }
    }
}

fn find(error: &Error, state: &HostState) -> Found {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        // WASI 0.2 carries no other code than whether it is a success.
        let how = if exit.0 == 0 { "successful" } else { "failing" };
        return Found::new(Class::Trap, format!("called exit with a {how} status"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        let what = "found no room for another instance (engine.max-instances)";
        return Found::new(Class::Overloaded, what);
    }
    let trap = error.downcast_ref::<Trap>();
    // A limit that has a trap of its own is what ended the call, whatever was refused before. Any other trap may come of a
    // refusal: a guest that is given no memory has nothing better to do.
    if let Some(hit) = trap.and_then(limit_of_trap).or_else(|| host_limit(error)) {
        return Found::hit(hit, state);
    }
    if let Some(denied) = state.denied() {
        return Found::hit(denied.into(), state);
    }
    match trap {
        Some(Trap::AllocationTooLarge) => Found::hit(Hit::Memory(None), state),
        Some(trap) => Found::new(Class::Trap, format!("trapped: {trap}")),
        None => Found::new(Class::Trap, format!("failed: {}", error.root_cause())),
    }
}

fn limit_of_trap(trap: &Trap) -> Option<Hit> {
    match trap {
        Trap::StackOverflow => Some(Hit::Stack),
        Trap::OutOfFuel => Some(Hit::Fuel),
        Trap::Interrupt => Some(Hit::Timeout),
        _ => None,
    }
}

/// A limit that ended a call, and how much was asked for where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    Timeout,
    Fuel,
    Memory(Option<u64>),
    TableElements(u64),
    /// Tables, memories or core instances.
    Count(LimitKind, u64),
    Stack,
    HostcallBytes,
    Handles,
    RandomBytes(Option<u64>),
}

/// What the guest was given, for the words.
struct Given<'a> {
    limits: &'a Limits,
    wasm_stack: usize,
    phase: &'static str,
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
    fn limit(self) -> LimitKind {
        match self {
            Hit::Timeout => LimitKind::Timeout,
            Hit::Fuel => LimitKind::Fuel,
            Hit::Memory(_) => LimitKind::Memory,
            Hit::TableElements(_) => LimitKind::TableElements,
            Hit::Count(kind, _) => kind,
            Hit::Stack => LimitKind::WasmStack,
            Hit::HostcallBytes => LimitKind::HostcallBytes,
            Hit::Handles => LimitKind::Handles,
            Hit::RandomBytes(_) => LimitKind::RandomBytes,
        }
    }

    fn class(self) -> Class {
        match self {
            Hit::Timeout => Class::Timeout,
            Hit::Fuel => Class::OutOfFuel,
            Hit::Memory(_) => Class::OutOfMemory,
            Hit::Stack => Class::StackOverflow,
            _ => Class::HostLimit,
        }
    }

    /// What was asked, what the limit is, and the key that sets it; after the plugin's name.
    fn words(self, given: &Given) -> String {
        format!(
            "{}; its limit is {} ({})",
            self.asked(given.phase),
            self.allowed(given),
            self.limit()
        )
    }

    fn asked(self, phase: &str) -> String {
        match self {
            Hit::Timeout => format!("did not end {phase} by its deadline and was stopped"),
            Hit::Fuel => "burnt all the fuel of one call".to_owned(),
            Hit::Memory(None) => "asked for more memory than there can be".to_owned(),
            Hit::Memory(Some(asked)) | Hit::TableElements(asked) | Hit::Count(_, asked) => {
                format!("asked for {}", self.limit().counted(asked))
            }
            Hit::Stack => "used up its stack".to_owned(),
            Hit::HostcallBytes => "passed too much in one call of the host or one answer".to_owned(),
            Hit::Handles => "asked for one handle more than it may hold".to_owned(),
            Hit::RandomBytes(None) => "asked for too many random bytes at a time".to_owned(),
            Hit::RandomBytes(Some(asked)) => format!("asked for {} of random bytes at a time", bytes_shown(asked)),
        }
    }

    fn allowed(self, Given { limits, wasm_stack, .. }: &Given) -> String {
        let bytes = |bytes: usize| bytes_shown(bytes as u64);
        match self {
            Hit::Timeout => format!("{:?}", limits.timeout),
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
        }
    }
}

/// The words of wasmtime 48 for host limits, which it gives no type. Tests provoke each with a real guest, so that an
/// upgrade that changes them fails a test.
fn host_limit(error: &Error) -> Option<Hit> {
    // A trap's text is the guest's business; only what the host says counts.
    if error.is::<Trap>() {
        return None;
    }
    error.chain().find_map(|cause| limit_of_words(&cause.to_string()))
}

fn limit_of_words(words: &str) -> Option<Hit> {
    if words.contains("fuel allocated for hostcalls has been exhausted") {
        return Some(Hit::HostcallBytes);
    }
    if words.contains("store handle limit exceeded") || words.contains("resource table has no free keys") {
        return Some(Hit::Handles);
    }
    if let Some((_, rest)) = words.split_once("requested len ") {
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

/// What a Rust panic (or another language's last words) left on stderr, on one line.
fn panic_of(stderr: &str) -> Option<String> {
    let said = stderr.trim();
    if said.is_empty() {
        return None;
    }
    let from = said
        .rfind("panicked at")
        .map_or(said, |at| said.get(at..).unwrap_or(said));
    let useful = from
        .lines()
        .take_while(|line| !line.starts_with("note: run with `RUST_BACKTRACE"));
    let line = useful
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let printable: String = line
        .chars()
        .filter(|character| !is_unsafe_to_show(*character))
        .collect();
    (!printable.is_empty()).then_some(printable)
}

/// Where in the guest it happened, a frame a line, innermost first, names demangled.
fn backtrace(error: &Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    let text = trace.to_string();
    // Names are the guest's own, so they are shown like anything it says.
    let frames = text
        .lines()
        .map(str::trim)
        .filter(|line| is_frame(line))
        .map(|line| printable(line, MAX_FRAME));
    let frames: Vec<_> = frames.collect();
    (!frames.is_empty()).then(|| frames.join("\n"))
}

/// The longest frame that is kept; wasmtime keeps at most 20 of them.
const MAX_FRAME: usize = 256;

/// `3:   0x1f2e - plugin.wasm!name`; what follows without a number is the source line of an inlined function.
fn is_frame(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(_, address)| address.trim_start().starts_with("0x"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
                Hit::Timeout,
                Class::Timeout,
                "did not end handle by its deadline and was stopped; its limit is 30s (plugin.limits.timeout)",
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
            assert!(words.ends_with(&format!("({})", hit.limit().key())), "{words}");
        }
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
            assert_eq!(limit_of_words(words), hit, "{words}");
        }
    }
}
