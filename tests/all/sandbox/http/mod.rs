//! Outbound HTTP: what is granted works, what is not is denied, and nothing of it is endless.

mod bounds;
mod denied;
mod granted;
mod server;
mod time;
mod words;
