//! The store as one of dead letters.

use super::{DurableStore, letters};
use crate::delivery::{DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterStore};
use crate::handler::BoxFuture;

/// On the disk when it answers. Of the dead letters that are damaged `list` shows none, and the log says which; `get` and
/// `take` fail; `purge` throws them away with the others.
impl DeadLetterStore for DurableStore {
    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<DeadLetterId, DeadLetterError>> {
        let most = self.0.options.dead_letters;
        Box::pin(async move { Ok(self.0.writer.run(move |db| letters::put(db, &letter, most)).await?) })
    }

    fn list<'a>(
        &'a self,
        which: &'a DeadLetterFilter,
        after: Option<DeadLetterId>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, DeadLetterError>> {
        let which = which.clone();
        Box::pin(async move {
            Ok(self
                .0
                .reader
                .run(move |db| letters::list(db, &which, after, most))
                .await?)
        })
    }

    fn get(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>> {
        Box::pin(async move { Ok(self.0.reader.run(move |db| letters::get(db, id)).await?) })
    }

    fn take(&self, id: DeadLetterId) -> BoxFuture<'_, Result<Option<DeadLetter>, DeadLetterError>> {
        Box::pin(async move { Ok(self.0.writer.run(move |db| letters::take(db, id)).await?) })
    }

    fn purge<'a>(&'a self, which: &'a DeadLetterFilter) -> BoxFuture<'a, Result<u64, DeadLetterError>> {
        let which = which.clone();
        Box::pin(async move { Ok(self.0.writer.run(move |db| letters::purge(db, &which)).await?) })
    }
}
