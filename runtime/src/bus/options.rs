//! What a handler is subscribed with.

use std::time::Duration;

use crate::delivery::{BacklogPolicy, BreakerPolicy, DeliveryMode, EventOrder, QueuePolicy, RetryPolicy};

/// What a handler is subscribed with; plugins get theirs from `[plugin.delivery]`, native handlers from the caller.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// The longest one attempt may take; 30 s unless given.
    pub timeout: Duration,
    /// How many events a native handler takes at a time; 1 unless given, so that events come in publish order.
    pub concurrency: usize,
    /// The bounds of its queue, and what happens when it is full.
    pub queue: QueuePolicy,
    /// What happens after a failed attempt at a queued event.
    pub retry: RetryPolicy,
    /// In which order its events come; none across retries unless given.
    pub ordering: EventOrder,
    /// When it is left in peace because it fails too often; `None`: never.
    pub breaker: Option<BreakerPolicy>,
    /// Whether its events survive the process; ephemeral unless given.
    pub mode: DeliveryMode,
    /// How much it may be owed on the disk, where it is durable.
    pub backlog: BacklogPolicy,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            concurrency: 1,
            queue: QueuePolicy::default(),
            retry: RetryPolicy::default(),
            ordering: EventOrder::None,
            breaker: Some(BreakerPolicy::default()),
            mode: DeliveryMode::Ephemeral,
            backlog: BacklogPolicy::default(),
        }
    }
}

impl SubscribeOptions {
    /// Sets the longest one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many events a native handler takes at a time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the bounds of its queue.
    #[must_use]
    pub fn queue(mut self, queue: QueuePolicy) -> Self {
        self.queue = queue;
        self
    }

    /// Sets what happens after a failed attempt at a queued event.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets in which order its events come.
    #[must_use]
    pub fn ordering(mut self, ordering: EventOrder) -> Self {
        self.ordering = ordering;
        self
    }

    /// Sets when it is left in peace because it fails too often; `None`: never.
    #[must_use]
    pub fn breaker(mut self, policy: impl Into<Option<BreakerPolicy>>) -> Self {
        self.breaker = policy.into();
        self
    }

    /// Sets whether its events survive the process: `Durable` needs a [store](crate::RuntimeBuilder::store).
    #[must_use]
    pub fn mode(mut self, mode: DeliveryMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how much it may be owed on the disk, where it is durable.
    #[must_use]
    pub fn backlog(mut self, backlog: BacklogPolicy) -> Self {
        self.backlog = backlog;
        self
    }
}
