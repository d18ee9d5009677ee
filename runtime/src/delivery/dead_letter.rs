//! What could not be delivered, kept for a person to look at, send again or throw away.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::event::Event;
use crate::handler::BoxFuture;
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
    /// It was owed to a handler that is gone, until its maximal age (`retry.max-age`).
    Orphaned,
    /// The last attempt ended in this class, or the queue refused it so.
    Failed(Class),
}

impl DeadLetterReason {
    /// The name that logs and summaries use, such as `hop-limit` or `timeout`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HopLimit => "hop-limit",
            Self::Orphaned => "orphaned",
            Self::Failed(class) => class.as_str(),
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let classes = Class::ALL.into_iter().filter(|class| *class != Class::Ok);
        [Self::HopLimit, Self::Orphaned]
            .into_iter()
            .chain(classes.map(Self::Failed))
    }
}

impl std::str::FromStr for DeadLetterReason {
    type Err = UnknownReason;

    /// The reason of this name.
    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::all().find(|reason| reason.as_str() == name).ok_or(UnknownReason)
    }
}

/// No reason has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reason for a dead letter; one is hop-limit, orphaned, or a class such as timeout or trap")]
pub struct UnknownReason;

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

/// Which dead letters are meant: those that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterFilter {
    /// Those of this handler, by its shown name; the name of a plugin means all its handlers.
    pub handler: Option<String>,
    /// Those that are here for this reason.
    pub reason: Option<DeadLetterReason>,
    /// Those that ended here then or later.
    pub since: Option<SystemTime>,
    /// Those that ended here before.
    pub until: Option<SystemTime>,
}

impl DeadLetterFilter {
    /// All of them.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those of a handler, by its shown name; the name of a plugin means all its handlers.
    #[must_use]
    pub fn handler(mut self, handler: impl Into<String>) -> Self {
        self.handler = Some(handler.into());
        self
    }

    /// Those that are here for this reason.
    #[must_use]
    pub fn reason(mut self, reason: DeadLetterReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Those that ended here then or later.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Those that ended here before.
    #[must_use]
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether this one is meant.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is_of = |wanted: &String| {
            letter
                .handler
                .as_ref()
                .is_some_and(|name| name.plugin() == Some(wanted) || name.to_string() == *wanted)
        };
        self.handler.as_ref().is_none_or(is_of)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.since.is_none_or(|since| letter.last >= since)
            && self.until.is_none_or(|until| letter.last < until)
    }
}

/// The store of dead letters did not do what it was asked; with its words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store of dead letters failed: {0}")]
pub struct DeadLetterError(pub String);

/// Where dead letters are kept.
///
/// The methods are asynchronous because a store on disk waits for its fsync. A future may be dropped at any await, and then
/// has no effect or all of it.
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Keeps one; `letter.id` is ignored and a new one returned, larger than all before.
    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<DeadLetterId, DeadLetterError>>;

    /// Those that are meant, the oldest first: from the first one after `after`, at most `most`.
    fn list<'a>(
        &'a self,
        which: &'a DeadLetterFilter,
        after: Option<DeadLetterId>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, DeadLetterError>>;

    /// One of them.
    fn get(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>>;

    /// Removes and returns one.
    fn take(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>>;

    /// Throws those away that are meant, and says how many there were.
    fn purge<'a>(&'a self, which: &'a DeadLetterFilter) -> BoxFuture<'a, Result<u64, DeadLetterError>>;
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

impl MemoryDeadLetters {
    fn put_now(&self, mut letter: DeadLetter) -> DeadLetterId {
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

    fn purge_now(&self, which: &DeadLetterFilter) -> u64 {
        let mut state = self.state();
        let before = std::mem::take(&mut state.letters);
        let all = before.len();
        state.letters = before.into_iter().filter(|letter| !which.matches(letter)).collect();
        state.bytes = state.letters.iter().map(DeadLetter::size_bytes).sum();
        (all - state.letters.len()) as u64
    }
}

/// Answers at once.
impl DeadLetterStore for MemoryDeadLetters {
    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<DeadLetterId, DeadLetterError>> {
        Box::pin(async move { Ok(self.put_now(letter)) })
    }

    fn list<'a>(
        &'a self,
        which: &'a DeadLetterFilter,
        after: Option<DeadLetterId>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, DeadLetterError>> {
        let state = self.state();
        let after = state
            .letters
            .iter()
            .filter(|letter| after.is_none_or(|after| letter.id > after));
        let found = after
            .filter(|letter| which.matches(letter))
            .take(most)
            .cloned()
            .collect();
        Box::pin(ready(Ok(found)))
    }

    fn get(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>> {
        let found = self.state().letters.iter().find(|letter| letter.id == id).cloned();
        Box::pin(ready(Ok(found)))
    }

    fn take(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>> {
        Box::pin(async move {
            let mut state = self.state();
            let at = state.letters.iter().position(|letter| letter.id == id);
            Ok(at.and_then(|at| state.remove(at)))
        })
    }

    fn purge<'a>(&'a self, which: &'a DeadLetterFilter) -> BoxFuture<'a, Result<u64, DeadLetterError>> {
        Box::pin(async move { Ok(self.purge_now(which)) })
    }
}
