//! What a handler lends for a moment, to be read ahead of its call.

/// Of a handler that one event goes to among many: see [`Handler::touch`](crate::Handler::touch).
#[doc(hidden)]
pub trait Loan {
    /// Reads what a call begins with.
    fn touch(&mut self);
}
