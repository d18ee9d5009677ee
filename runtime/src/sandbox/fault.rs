//! Tells faults apart (S11): by type where wasmtime has one, in one place by its words where it has none.

use wasmtime::{Error, PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::handler::{DeadlineOf, Fault};
use crate::limits::LimitKind;
use crate::outcome::Class;
use crate::sandbox::bindings::cut;
use crate::sandbox::hit::{Given, Hit};
use crate::sandbox::interface::INTERFACE_VERSION;
use crate::sandbox::state::HostState;
use crate::sandbox::trace::backtrace;
use crate::terminal::is_unsafe_to_show;

/// How the words of a Rust panic begin.
const PANIC: &str = "panicked at";

/// What an error of a guest's call was, in words for the operator.
pub(super) fn classify(error: &Error, state: &HostState) -> Fault {
    let found = find(error, state);
    let (class, what) = (found.class, &found.what);
    let name = state.plugin();
    let said = last_words(&state.stderr_tail());
    let message = match said {
        // A panic says what happened; other words need not.
        Some(said) if class == Class::Trap && said.starts_with(PANIC) => format!("{name} {said}"),
        Some(said) => format!("{name} {what} ({said})"),
        None => format!("{name} {what}"),
    };
    found.fault(state.shown(&message)).with_backtrace(backtrace(error))
}

/// The deadline passed while the guest waited in the host.
pub(super) fn late(state: &HostState) -> Fault {
    let found = Found::hit(Hit::Timeout(state.call.deadline.set_by), state);
    found.fault(format!("{} {}", state.plugin(), found.what))
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
    deadline_of: Option<DeadlineOf>,
}

impl Found {
    fn new(class: Class, what: impl Into<String>) -> Self {
        Self {
            class,
            what: what.into(),
            limit: None,
            deadline_of: None,
        }
    }

    fn fault(&self, message: String) -> Fault {
        Fault::new(self.class, message)
            .with_limit(self.limit)
            .with_deadline_of(self.deadline_of)
    }

    /// A limit, in its words.
    fn hit(hit: Hit, state: &HostState) -> Self {
        let given = Given {
            limits: state.limits(),
            wasm_stack: state.wasm_stack(),
            phase: state.call.phase.as_str(),
        };
        Self {
            class: hit.class(),
            what: hit.words(&given),
            limit: hit.limit(),
            deadline_of: hit.deadline_of(),
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
    if let Some(hit) = Hit::of(error, state.call.deadline.set_by) {
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

/// What a Rust panic (or another language's last words) left on stderr, on one line.
fn last_words(stderr: &str) -> Option<String> {
    let said = stderr.trim();
    if said.is_empty() {
        return None;
    }
    let from = said.rfind(PANIC).map_or(said, |at| said.get(at..).unwrap_or(said));
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
