//! The call of a handler, on the caller's task.

use std::any::Any;
use std::future::{Future, ready};
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
    /// None when it is over.
    runs: Option<BoxFuture<'a, Completion>>,
}

impl<'a> Call<'a> {
    /// Begins it.
    #[inline]
    pub(super) fn begin(name: &'a HandlerName, handler: &'a dyn Handler, delivery: Delivery) -> Self {
        let begun = catch_unwind(AssertUnwindSafe(|| handler.handle(delivery)));
        let runs = begun.unwrap_or_else(|panic| Box::pin(ready(panicked(name, &*panic))));
        Self { name, runs: Some(runs) }
    }

    /// Throws away what is at work. S9: should that panic, it concerns nobody else.
    #[inline]
    pub(super) fn end(&mut self) {
        if let Some(runs) = self.runs.take() {
            end(self.name, runs);
        }
    }
}

impl Future for Call<'_> {
    type Output = Completion;

    /// S9: a panic, of a native handler or of a host function that a guest called, fails this attempt only.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let call = self.get_mut();
        let Some(mut runs) = call.runs.take() else {
            return Poll::Pending;
        };
        Poll::Ready(match catch_unwind(AssertUnwindSafe(|| runs.as_mut().poll(context))) {
            Ok(Poll::Pending) => {
                call.runs = Some(runs);
                return Poll::Pending;
            }
            // What it leaves behind is its own still, and so is a panic of that.
            Ok(Poll::Ready(completion)) => match catch_unwind(AssertUnwindSafe(|| drop(runs))) {
                Ok(()) => completion,
                Err(panic) => panicked(call.name, &*panic),
            },
            Err(panic) => {
                end(call.name, runs);
                panicked(call.name, &*panic)
            }
        })
    }
}

/// Throws away what is at work, or has panicked.
#[cold]
fn end(name: &HandlerName, runs: BoxFuture<'_, Completion>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(runs))) {
        let panic = panic_message(&*panic);
        tracing::error!(handler = %name, panic, "a call that was thrown away panicked");
    }
}

#[cold]
fn panicked(name: &HandlerName, panic: &(dyn Any + Send)) -> Completion {
    let message = format!("{name} panicked: {}", panic_message(panic));
    Completion::failed(Fault::new(Class::HostPanic, message))
}
