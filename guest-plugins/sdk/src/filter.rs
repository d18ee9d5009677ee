use crate::{Config, Event, Info, StartError};

/// A plugin that decides which events go on. Hand it to [`filter!`](crate::filter!) and it is a component.
///
/// It is asked once for each event, when that is published. A filter can't publish, and has no handlers. What it means
/// when one panics or takes too long (100 ms by default) is the operator's choice, `on-fault`.
///
/// ```
/// use palisade_sdk::prelude::*;
///
/// struct Small;
///
/// impl Filter for Small {
///     fn info() -> Info {
///         Info::new("small", "1.0.0")
///     }
///     fn start(_config: &Config) -> Result<Self, StartError> {
///         Ok(Self)
///     }
///     fn accepts(&mut self, event: &Event) -> bool {
///         event.data().len() < 1000
///     }
/// }
///
/// palisade_sdk::filter!(Small);
/// # fn main() {}
/// ```
pub trait Filter: Sized + 'static {
    /// Who it is. Called at load, without config and before any grant is in force; always the same answer.
    fn info() -> Info;

    /// Makes the instance. An error keeps the filter from starting and is shown to the operator.
    fn start(config: &Config) -> Result<Self, StartError>;

    /// Whether the event may go on.
    fn accepts(&mut self, event: &Event) -> bool;

    /// Called when the filter is stopped in order, never after a fault.
    fn stop(&mut self) {}

    /// Asked now and then while no event is being filtered. An error marks the filter unhealthy, with its text.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}
