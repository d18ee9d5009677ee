//! What happens between the bus and a handler: bounded queues, retries, dead letters.

mod dead_letter;
mod policy;

pub use dead_letter::{DeadLetter, DeadLetterId, DeadLetterReason, DeadLetterStore, MemoryDeadLetters};
pub use policy::{Overflow, QueuePolicy, RetryPolicy};
