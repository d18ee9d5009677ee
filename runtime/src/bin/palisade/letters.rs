//! Dead letters, counted by reason: the store keeps the last ones only, the summary is about all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use palisade::{DeadLetter, DeadLetterId, DeadLetterReason, DeadLetterStore, MemoryDeadLetters};

/// How many there were for each reason. All clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Reasons(Arc<Mutex<BTreeMap<DeadLetterReason, u64>>>);

impl Reasons {
    pub(crate) fn all(&self) -> BTreeMap<DeadLetterReason, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A store that counts what it is given.
pub(crate) struct Counted {
    pub(crate) store: MemoryDeadLetters,
    pub(crate) reasons: Reasons,
}

impl DeadLetterStore for Counted {
    fn put(&self, letter: DeadLetter) -> DeadLetterId {
        *self
            .reasons
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(letter.reason)
            .or_default() += 1;
        self.store.put(letter)
    }

    fn list(&self) -> Vec<DeadLetter> {
        self.store.list()
    }

    fn get(&self, id: DeadLetterId) -> Option<DeadLetter> {
        self.store.get(id)
    }

    fn take(&self, id: DeadLetterId) -> Option<DeadLetter> {
        self.store.take(id)
    }

    fn purge(&self) -> usize {
        self.store.purge()
    }

    fn total(&self) -> u64 {
        self.store.total()
    }
}
