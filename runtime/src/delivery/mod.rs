//! What happens between the bus and a handler: bounded queues, retries, dead letters.

mod breaker;
mod dead_letter;
mod policy;

pub(crate) use breaker::{Breaker, Change, Passage, Sign, Tripped};
pub use breaker::{BreakerPolicy, BreakerState};
pub use dead_letter::{DeadLetter, DeadLetterId, DeadLetterReason, DeadLetterStore, MemoryDeadLetters};
pub use policy::{EventOrder, Overflow, QueuePolicy, RetryPolicy};
