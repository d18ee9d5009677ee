//! How a call into a guest is run to its end, and what it comes to.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use wasmtime::Store;

use crate::clock::Timer;
use crate::handler::{Fault, panic_message};
use crate::outcome::Class;
use crate::sandbox::deadline::Deadline;
use crate::sandbox::engine::Engines;
use crate::sandbox::fault::{classify, late};
use crate::sandbox::instance::Failed;
use crate::sandbox::state::HostState;
use crate::sandbox::turn::Turn;

/// How a call into a guest ended.
pub(super) enum Answer<T> {
    Returned(wasmtime::Result<T>),
    /// The deadline passed while it waited in the host.
    Late,
    /// A host function that it called panicked, with these words.
    HostPanic(String),
}

/// Runs a call to its end or its deadline. S9: a panic in a host function is an end like others, whatever the call is for.
///
/// The call is pinned by the caller, since a future that is given away is copied. A timer is made only for a call that waits.
pub(super) fn bounded<'a, T, F>(
    engines: &'a Engines,
    deadline: Deadline,
    turn: &'a Turn,
    mut call: Pin<&'a mut F>,
) -> impl Future<Output = Answer<T>> + use<'a, T, F>
where
    F: Future<Output = wasmtime::Result<T>>,
{
    let running = turn.enter();
    let mut timer = Timer::new(deadline.at);
    poll_fn(move |context| {
        let _ = &running;
        engines.keep_ticking();
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)));
        turn.release();
        match polled {
            Ok(Poll::Ready(returned)) => Poll::Ready(Answer::Returned(returned)),
            Ok(Poll::Pending) => timer.poll(context).map(|()| Answer::Late),
            Err(panic) => Poll::Ready(Answer::HostPanic(panic_message(&*panic))),
        }
    })
}

/// What a call came to: its value, or the fault that ended it.
#[inline]
pub(super) fn settle<T>(store: &mut Store<HostState>, answer: Answer<T>) -> Result<T, Failed> {
    match answer {
        Answer::Returned(Ok(value)) => Ok(value),
        Answer::Returned(Err(error)) => Err(failed(store, classify(&error, store.data()))),
        Answer::Late => Err(failed(store, late(store.data()))),
        Answer::HostPanic(words) => Err(panicked(store, &words)),
    }
}

#[cold]
fn panicked(store: &Store<HostState>, words: &str) -> Failed {
    let (name, phase) = (store.data().plugin(), store.data().call.phase.as_str());
    let message = format!("a host function that {name} called in {phase} panicked: {words}");
    failed(store, Fault::new(Class::HostPanic, message))
}

#[cold]
fn failed(store: &Store<HostState>, fault: Fault) -> Failed {
    Failed {
        fault,
        outbox: Vec::new(),
        fuel: fuel_used(store),
    }
}

pub(super) fn fuel_used(store: &Store<HostState>) -> Option<u64> {
    let limit = store.data().limits().fuel?;
    store.get_fuel().ok().map(|left| limit.saturating_sub(left))
}
