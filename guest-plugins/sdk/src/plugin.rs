use std::fmt;

use crate::{Bus, Config, Handler, Info};

/// A plugin that handles events. Hand it to [`plugin!`](crate::plugin!) and it is a component.
///
/// An instance handles one event at a time and keeps its fields between events, unless the operator asked for a fresh
/// instance for each event. A call that panics, traps or passes its deadline loses the instance: the next event gets a
/// fresh one, through [`start`](Self::start).
pub trait Plugin: Sized + 'static {
    /// Who it is. Called at load, without config and before any grant is in force; always the same answer.
    fn info() -> Info;

    /// What it handles. Called at load and before `start`; always the same answer.
    fn handlers() -> Vec<Handler<Self>>;

    /// Makes the instance. May publish and subscribe. An error keeps the plugin from starting and is shown to the
    /// operator.
    fn start(config: &Config, bus: &Bus<'_>) -> Result<Self, StartError>;

    /// Called when the plugin is stopped in order, never after a fault. May publish.
    fn stop(&mut self, bus: &Bus<'_>) {
        let _ = bus;
    }

    /// Asked now and then while no event is being handled. An error marks the plugin unhealthy, with its text.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Why a plugin could not start: a text for the operator. Every error, and every string, becomes one by `?` or `into`.
#[derive(Clone, PartialEq, Eq)]
pub struct StartError(String);

// That StartError itself has no Display is what makes this impl possible.
impl<T: fmt::Display> From<T> for StartError {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StartError {
    pub(crate) fn into_message(self) -> String {
        self.0
    }
}
