//! Dead letters, counted by reason; one of a healthy event is a finding.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use palisade::{
    BoxFuture, DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterReason, DeadLetterStore,
    MemoryDeadLetters,
};

use crate::findings::Findings;
use crate::plugins::must_get_all;

/// How many are kept. Few, so that what they hold is steady once the warm-up is over.
const KEPT: usize = 256;

/// The store that the runtime is given.
#[derive(Clone)]
pub(crate) struct Letters {
    kept: Arc<MemoryDeadLetters>,
    by_reason: Arc<Mutex<BTreeMap<DeadLetterReason, u64>>>,
    findings: Arc<Findings>,
}

impl Letters {
    pub(crate) fn new(findings: Arc<Findings>) -> Self {
        Self {
            kept: Arc::new(MemoryDeadLetters::new(KEPT)),
            by_reason: Arc::default(),
            findings,
        }
    }

    /// How many there were of each reason.
    pub(crate) fn by_reason(&self) -> Vec<(DeadLetterReason, u64)> {
        let counts = self.by_reason.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(reason, count)| (*reason, *count)).collect()
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, DeadLetterError>>;

impl DeadLetterStore for Letters {
    fn put(&self, letter: DeadLetter) -> Answer<'_, DeadLetterId> {
        let handler = letter.handler.as_ref().map(ToString::to_string);
        if let Some(handler) = handler.filter(|handler| must_get_all(handler)) {
            self.findings.add(format!(
                "a dead letter of {handler}: {}: {}",
                letter.reason, letter.error
            ));
        }
        *self
            .by_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(letter.reason)
            .or_default() += 1;
        self.kept.put(letter)
    }

    fn list<'a>(
        &'a self,
        which: &'a DeadLetterFilter,
        after: Option<DeadLetterId>,
        most: usize,
    ) -> Answer<'a, Vec<DeadLetter>> {
        self.kept.list(which, after, most)
    }

    fn get(&self, id: DeadLetterId) -> Answer<'_, Option<DeadLetter>> {
        self.kept.get(id)
    }

    fn take(&self, id: DeadLetterId) -> Answer<'_, Option<DeadLetter>> {
        self.kept.take(id)
    }

    fn purge<'a>(&'a self, which: &'a DeadLetterFilter) -> Answer<'a, u64> {
        self.kept.purge(which)
    }
}
