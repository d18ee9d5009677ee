//! Drives a plugin on the host, without wasm, as the runtime would: for unit tests of a plugin's logic.
//!
//! [`Harness`] is for a [`Plugin`](crate::Plugin), [`FilterHarness`] for a [`Filter`](crate::Filter). Both keep to the
//! contract: what a call publishes and stores is released when it succeeds, drafts are checked as the host checks them, and events
//! reach the handlers whose patterns match. What they don't do is limit time and memory, retry, or order; and a panic
//! is a panic.

mod depth;
mod describe;
mod draft;
mod event;
mod filter;
mod harness;
pub(crate) mod host;
mod store;
mod subject;

pub use event::TestEvent;
pub use filter::FilterHarness;
pub use harness::{Grants, Harness};
pub use host::LogLine;
