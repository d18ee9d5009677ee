//! What travels on the bus: an [`Event`], the limits it is held to, and its CloudEvents JSON form.
//!
//! An event comes into being in two ways, from code by [`Event::builder`] and from outside by [`Event::from_json`]; both
//! end in the same checks against [`EventLimits`], so no event that breaks a limit exists. From then on it never changes:
//! a clone is another pointer to it, and its data is neither parsed nor copied on the way to a handler.

mod attributes;
mod builder;
mod check;
mod cloudevents;
mod depth;
mod envelope;
mod error;
mod extension;
mod limits;
mod parts;
mod payload;
mod time;
pub mod types;

pub use builder::EventBuilder;
pub use envelope::Event;
pub use error::EventError;
pub(crate) use error::excerpt;
pub use extension::ExtensionValue;
pub use limits::EventLimits;
pub use time::EventTime;
pub use types::is_reserved;
