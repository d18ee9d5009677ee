//! Outbound HTTP: what is granted works, what is not is denied, and nothing of it is endless.

mod bounds;
mod denied;
mod filters;
mod granted;
mod head;
mod memory;
mod server;
mod stalled;
mod time;
mod words;
