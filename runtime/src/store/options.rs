//! What the store may have.

use std::time::Duration;

/// The bounds of a [`DurableStore`](super::DurableStore).
///
/// What is owed to handlers is bounded by [`BacklogPolicy`](crate::BacklogPolicy), what plugins keep by their
/// [`Limits`](crate::Limits); these bound the store as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// How many bytes the database may have; 8 GiB. What does not fit fails with [`StoreError::Full`](crate::StoreError::Full)
    /// and has no effect. The log beside it (`palisade.db-wal`) comes on top: some MiB, and as much as is written at once. A
    /// database that is larger already does not grow.
    pub max_bytes: u64,
    /// How many dead letters are kept; 100,000, and always one. The oldest make room for the newest.
    pub dead_letters: usize,
    /// How long a dead letter is kept; 30 days.
    pub dead_letter_age: Duration,
    /// How long a handler is not given the same source and id again; 24 h. Zero: it always is.
    pub deduplication: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_bytes: 8 * 1024 * 1024 * 1024,
            dead_letters: 100_000,
            dead_letter_age: DAY * 30,
            deduplication: DAY,
        }
    }
}

impl StoreOptions {
    /// How many bytes the database may have.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many dead letters are kept.
    #[must_use]
    pub fn dead_letters(mut self, most: usize) -> Self {
        self.dead_letters = most;
        self
    }

    /// How long a dead letter is kept.
    #[must_use]
    pub fn dead_letter_age(mut self, age: Duration) -> Self {
        self.dead_letter_age = age;
        self
    }

    /// How long a handler is not given the same source and id again.
    #[must_use]
    pub fn deduplication(mut self, window: Duration) -> Self {
        self.deduplication = window;
        self
    }
}
