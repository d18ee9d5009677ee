//! How a runtime feels.

use crate::sandbox::{Health, TickerHealth};

/// How the runtime feels.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuntimeHealth {
    /// The clock that stops spinning guests.
    pub ticker: TickerHealth,
    /// How many instances live now.
    pub instances: usize,
    /// How many may live (`engine.max-instances`).
    pub max_instances: u32,
    /// Each plugin, by name.
    pub plugins: Vec<(String, Health)>,
}
