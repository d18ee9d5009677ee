//! What a handler lends for a moment, to be read ahead of its call.

use std::any::Any;

/// Of a handler that one event goes to among many: see [`Handler::touch`](crate::Handler::touch).
#[doc(hidden)]
pub trait Loan: Send {
    /// Reads what a call begins with.
    fn touch(&mut self);

    /// For who takes it back.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}
