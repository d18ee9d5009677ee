//! The call of a handler, on the caller's task.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handler::{BoxFuture, Completion, Delivery, Fault, Handler, panic_message};
use crate::outcome::{Class, HandlerName};

/// One call, from its beginning to its end.
///
/// Written by hand, for the delivery goes from the publisher's hands into the handler's: each async function in between would
/// copy it.
pub(super) struct Call<'a> {
    name: &'a HandlerName,
    state: State<'a>,
}

enum State<'a> {
    Runs(BoxFuture<'a, Completion>),
    /// It panicked before it could be waited for.
    Panicked(Box<Completion>),
    Over,
}

impl<'a> Call<'a> {
    /// Begins it.
    #[inline]
    pub(super) fn begin(name: &'a HandlerName, handler: &'a dyn Handler, delivery: Delivery) -> Self {
        let state = match catch_unwind(AssertUnwindSafe(|| handler.handle(delivery))) {
            Ok(runs) => State::Runs(runs),
            Err(panic) => State::Panicked(Box::new(panicked(name, &*panic))),
        };
        Self { name, state }
    }

    /// Throws away what is at work. S9: should that panic, it concerns nobody else.
    #[inline]
    pub(super) fn end(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        if !matches!(state, State::Over) {
            end(self.name, state);
        }
    }
}

impl Future for Call<'_> {
    type Output = Completion;

    /// S9: a panic, of a native handler or of a host function that a guest called, fails this attempt only.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let call = self.get_mut();
        let completion = match std::mem::replace(&mut call.state, State::Over) {
            State::Runs(mut runs) => match catch_unwind(AssertUnwindSafe(|| runs.as_mut().poll(context))) {
                Ok(Poll::Pending) => {
                    call.state = State::Runs(runs);
                    return Poll::Pending;
                }
                // What it leaves behind is its own still, and so is a panic of that.
                Ok(Poll::Ready(completion)) => match catch_unwind(AssertUnwindSafe(|| drop(runs))) {
                    Ok(()) => completion,
                    Err(panic) => panicked(call.name, &*panic),
                },
                Err(panic) => {
                    end(call.name, State::Runs(runs));
                    panicked(call.name, &*panic)
                }
            },
            State::Panicked(completion) => *completion,
            State::Over => return Poll::Pending,
        };
        Poll::Ready(completion)
    }
}

/// Throws away what is at work, or has panicked.
#[cold]
fn end(name: &HandlerName, state: State<'_>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(state))) {
        let panic = panic_message(&*panic);
        tracing::error!(handler = %name, panic, "a call that was thrown away panicked");
    }
}

#[cold]
fn panicked(name: &HandlerName, panic: &(dyn Any + Send)) -> Completion {
    let message = format!("{name} panicked: {}", panic_message(panic));
    Completion::failed(Fault::new(Class::HostPanic, message))
}
