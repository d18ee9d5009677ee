//! What happens between the bus and a handler: bounded queues, retries, dead letters.

mod breaker;
mod calls;
mod dead_letter;
mod policy;
mod store;

pub(crate) use breaker::{Breaker, Change, Passage, Sign, Tripped};
pub use breaker::{BreakerPolicy, BreakerState};
pub use dead_letter::{
    DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterReason, DeadLetterStore, MemoryDeadLetters,
    UnknownReason,
};
pub use policy::{BacklogPolicy, DeliveryMode, EventOrder, Overflow, QueuePolicy, RetryPolicy};
#[cfg(feature = "durable")]
pub(crate) use store::Then;
pub(crate) use store::{
    Appending, DeliveryId, DeliveryStore, NewEvent, Owed, Page, PageLimits, PluginWrites, Recipient, Settled,
    Settlement, Stored, StoredDelivery, Verdict,
};
pub use store::{Backlog, StoreError};
