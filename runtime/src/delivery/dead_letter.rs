//! What could not be delivered, kept for a person to look at, send again or throw away.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::event::Event;
use crate::outcome::{Class, HandlerName};

/// Tells dead letters apart, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

/// One event that one handler did not get, or could not handle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Given by the store.
    pub id: DeadLetterId,
    /// The event as it was published.
    pub event: Event,
    /// Who should have handled it; `None` when it was stopped before it was matched, as by the hop limit.
    pub handler: Option<HandlerName>,
    /// The SHA-256 of the plugin that was to handle it, where a plugin was.
    pub plugin_digest: Option<String>,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// The last error.
    pub error: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// When it was first given to the handler's queue.
    pub first: SystemTime,
    /// When it ended here.
    pub last: SystemTime,
}

/// Why an event is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// It came from too long a chain of handlers that publish (`events.max-hops`, 16).
    HopLimit,
    /// The last attempt ended in this class, or the queue refused it so.
    Failed(Class),
}

impl DeadLetterReason {
    /// The name that logs and summaries use, such as `hop-limit` or `timeout`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HopLimit => "hop-limit",
            Self::Failed(class) => class.as_str(),
        }
    }

    /// The reason of this name.
    #[cfg(feature = "durable")]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == Self::HopLimit.as_str() {
            return Some(Self::HopLimit);
        }
        Class::ALL
            .into_iter()
            .find(|class| class.as_str() == name)
            .map(Self::Failed)
    }
}

impl std::fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl DeadLetter {
    /// About what it holds in memory.
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.event.size_bytes() + self.error.len()
    }
}

/// Where dead letters are kept. The bus calls it from whatever task is at work, so it must not block for long.
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Keeps one; `letter.id` is ignored and a new one returned.
    fn put(&self, letter: DeadLetter) -> DeadLetterId;
    /// The kept ones, oldest first.
    fn list(&self) -> Vec<DeadLetter>;
    /// One of them.
    fn get(&self, id: DeadLetterId) -> Option<DeadLetter>;
    /// Removes and returns one.
    fn take(&self, id: DeadLetterId) -> Option<DeadLetter>;
    /// Throws all away and says how many there were.
    fn purge(&self) -> usize;
    /// How many there have been since the start, the ones no longer kept included.
    fn total(&self) -> u64;
}

/// Keeps the last ones in memory, by default 1,000 and 64 MiB; the oldest make room for the newest, which is kept in any case.
/// Each is logged when it comes.
#[derive(Debug)]
pub struct MemoryDeadLetters {
    capacity: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    total: u64,
}

/// As much as all letters of a store may hold.
const MAX_BYTES: usize = 64 * 1024 * 1024;

impl MemoryDeadLetters {
    /// Keeps at most `capacity` of them.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            max_bytes: MAX_BYTES,
            state: Mutex::default(),
        }
    }

    /// And at most so many bytes of them. An event that several handlers did not get counts for each.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, at: usize) -> Option<DeadLetter> {
        let letter = self.letters.remove(at)?;
        self.bytes = self.bytes.saturating_sub(letter.size_bytes());
        Some(letter)
    }
}

impl Default for MemoryDeadLetters {
    fn default() -> Self {
        Self::new(1000)
    }
}

impl DeadLetterStore for MemoryDeadLetters {
    fn put(&self, mut letter: DeadLetter) -> DeadLetterId {
        let mut state = self.state();
        state.total += 1;
        letter.id = DeadLetterId(state.total);
        let id = letter.id;
        let bytes = letter.size_bytes();
        while state.letters.len() >= self.capacity || state.bytes.saturating_add(bytes) > self.max_bytes {
            let Some(oldest) = state.remove(0) else { break };
            tracing::debug!(event = oldest.event.id(), reason = %oldest.reason, "the oldest dead letter made room");
        }
        state.bytes += bytes;
        state.letters.push_back(letter);
        id
    }

    fn list(&self) -> Vec<DeadLetter> {
        self.state().letters.iter().cloned().collect()
    }

    fn get(&self, id: DeadLetterId) -> Option<DeadLetter> {
        self.state().letters.iter().find(|letter| letter.id == id).cloned()
    }

    fn take(&self, id: DeadLetterId) -> Option<DeadLetter> {
        let mut state = self.state();
        let at = state.letters.iter().position(|letter| letter.id == id)?;
        state.remove(at)
    }

    fn purge(&self) -> usize {
        let mut state = self.state();
        state.bytes = 0;
        std::mem::take(&mut state.letters).len()
    }

    fn total(&self) -> u64 {
        self.state().total
    }
}
