//! The call of a handler, on the caller's task.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handler::{BoxFuture, Completion, Delivery, Fault, Handler, panic_message};
use crate::outcome::{Class, HandlerName};

/// One call, which begins when it is polled first.
///
/// Written by hand, for the delivery goes from the publisher's hands into the handler's: each async function in between would
/// copy it.
pub(super) struct Call<'a> {
    name: &'a HandlerName,
    handler: &'a dyn Handler,
    state: State<'a>,
}

enum State<'a> {
    Begins(Delivery),
    Runs(BoxFuture<'a, Completion>),
    Over,
}

impl<'a> Call<'a> {
    pub(super) fn new(name: &'a HandlerName, handler: &'a dyn Handler, delivery: Delivery) -> Self {
        let state = State::Begins(delivery);
        Self { name, handler, state }
    }

    /// Throws away what is at work.
    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    fn poll_handler(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        if let State::Begins(_) = self.state
            && let State::Begins(delivery) = std::mem::replace(&mut self.state, State::Over)
        {
            self.state = State::Runs(self.handler.handle(delivery));
        }
        match &mut self.state {
            State::Runs(handler) => handler.as_mut().poll(context),
            State::Begins(_) | State::Over => Poll::Pending,
        }
    }
}

impl Future for Call<'_> {
    type Output = Completion;

    /// S9: a panic, of a native handler or of a host function that a guest called, fails this attempt only.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let call = self.get_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| call.poll_handler(context)));
        let completion = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(completion)) => completion,
            Err(panic) => panicked(call.name, &*panic),
        };
        call.end();
        Poll::Ready(completion)
    }
}

#[cold]
fn panicked(name: &HandlerName, panic: &(dyn Any + Send)) -> Completion {
    let message = format!("{name} panicked: {}", panic_message(panic));
    Completion::failed(Fault::new(Class::HostPanic, message))
}
