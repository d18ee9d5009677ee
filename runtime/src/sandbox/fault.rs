//! Tells faults apart (S11): by type where wasmtime has one, in one place by its words where it has none.

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::handler::Fault;
use crate::outcome::Class;
use crate::sandbox::bindings::cut;
use crate::sandbox::log::{is_unsafe_to_show, printable};
use crate::sandbox::state::HostState;

/// What an error of a guest's call was, in words for the operator.
pub(super) fn classify(error: &Error, state: &HostState) -> Fault {
    let (class, what) = class_of(error, state);
    let name = state.plugin();
    let said = panic_of(&state.stderr_tail());
    let message = match said {
        Some(panic) if class == Class::Trap => format!("{name} {panic}"),
        Some(panic) => format!("{name} {what} ({panic})"),
        None => format!("{name} {what}"),
    };
    Fault::new(class, cut(state.shown(message))).with_backtrace(backtrace(error))
}

fn class_of(error: &Error, state: &HostState) -> (Class, String) {
    let limits = state.limits();
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        // WASI 0.2 carries no other code than whether it is a success.
        let how = if exit.0 == 0 { "successful" } else { "failing" };
        return (Class::Trap, format!("called exit with a {how} status"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return (
            Class::Overloaded,
            "found no room for another instance (engine.max-instances)".to_owned(),
        );
    }
    if let Some(limit) = host_limit(error) {
        return (Class::HostLimit, limit.words(limits));
    }
    let trap = error.downcast_ref::<Trap>();
    // Before memory: a guest that was refused some and went on was ended by these, not by that.
    if let Some(ended) = trap.and_then(|trap| ended_by_the_host(*trap, state)) {
        return ended;
    }
    if let Some(asked) = state.memory_denied() {
        let words = format!(
            "asked for {} of memory; its limit is {} (plugin.limits.memory)",
            mebibytes(asked),
            mebibytes(limits.memory)
        );
        return (Class::OutOfMemory, words);
    }
    match trap {
        Some(Trap::AllocationTooLarge) => (Class::OutOfMemory, format!("trapped: {}", Trap::AllocationTooLarge)),
        Some(trap) => (Class::Trap, format!("trapped: {trap}")),
        None => (Class::Trap, format!("failed: {}", error.root_cause())),
    }
}

/// The traps that are limits of ours and not the guest's own doing.
fn ended_by_the_host(trap: Trap, state: &HostState) -> Option<(Class, String)> {
    match trap {
        Trap::StackOverflow => Some((Class::StackOverflow, "used up its stack (engine.wasm-stack)".to_owned())),
        Trap::OutOfFuel => {
            let fuel = state.limits().fuel.unwrap_or_default();
            let words = format!("burnt the {fuel} units of fuel that one call may (plugin.limits.fuel)");
            Some((Class::OutOfFuel, words))
        }
        Trap::Interrupt => {
            let words = format!(
                "did not end {} by its deadline and was stopped",
                state.call.phase.as_str()
            );
            Some((Class::Timeout, words))
        }
        _ => None,
    }
}

/// A limit for which wasmtime 48 has no public type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostLimit {
    Bytes,
    Handles,
    Random,
}

impl HostLimit {
    fn words(self, limits: &crate::Limits) -> String {
        match self {
            HostLimit::Bytes => format!(
                "passed more than {} bytes in one call of the host or one answer (plugin.limits.hostcall-bytes)",
                limits.hostcall_bytes
            ),
            HostLimit::Handles => format!("held more than {} handles (plugin.limits.handles)", limits.handles),
            HostLimit::Random => {
                format!(
                    "asked for more than {} random bytes at a time (plugin.limits.random-bytes)",
                    limits.random_bytes
                )
            }
        }
    }
}

/// The words of wasmtime 48 for host limits, which it gives no type. Tests provoke each with a real guest, so that an
/// upgrade that changes them fails a test.
fn host_limit(error: &Error) -> Option<HostLimit> {
    const WORDS: [(&str, HostLimit); 4] = [
        ("fuel allocated for hostcalls has been exhausted", HostLimit::Bytes),
        ("store handle limit exceeded", HostLimit::Handles),
        ("resource table has no free keys", HostLimit::Handles),
        ("requested len", HostLimit::Random),
    ];
    // A trap's text is the guest's business; only what the host says counts.
    if error.is::<Trap>() {
        return None;
    }
    let mut causes = error.chain().map(ToString::to_string);
    causes.find_map(|cause| {
        WORDS
            .iter()
            .find(|(words, _)| cause.contains(words))
            .map(|(_, limit)| *limit)
    })
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

fn mebibytes(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    let (whole, tenth) = (bytes / MIB, bytes % MIB * 10 / MIB);
    if tenth == 0 {
        format!("{whole} MiB")
    } else {
        format!("{whole}.{tenth} MiB")
    }
}
