//! Those that are meant, some at a time, so that a hundred thousand are not in memory at once.

use anyhow::Result;
use palisade::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterStore, DurableStore};

/// How many are read at a time: few enough that the largest events fit.
const PAGE: usize = 64;

pub(super) struct Pages<'a> {
    store: &'a DurableStore,
    filter: DeadLetterFilter,
    after: Option<DeadLetterId>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(store: &'a DurableStore, filter: DeadLetterFilter) -> Self {
        Self {
            store,
            filter,
            after: None,
        }
    }

    /// The next ones, the oldest first; none when there are no more.
    pub(super) async fn next(&mut self, most: u64) -> Result<Vec<DeadLetter>> {
        let most = usize::try_from(most).map_or(PAGE, |most| most.min(PAGE));
        let page = self.store.list(&self.filter, self.after, most).await?;
        if let Some(last) = page.last() {
            self.after = Some(last.id);
        }
        Ok(page)
    }
}
