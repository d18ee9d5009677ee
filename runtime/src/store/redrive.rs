//! Sending dead letters again where no runtime has the store: they become deliveries, made when a runtime next starts.

use std::time::SystemTime;

use rusqlite::Connection;

use super::DurableStore;
use super::letters::{self, Resent};
use crate::bus::{RedriveError, Redriven};
use crate::delivery::{DeadLetterError, DeadLetterFilter, DeadLetterId, RetryPolicy, StoreError};

/// How many letters one transaction takes.
const TOGETHER: usize = 64;

/// The letters that became deliveries, and those that did not.
type Resending = (u64, Vec<(DeadLetterId, RedriveError)>);

impl DurableStore {
    /// Makes a delivery of a dead letter, past the deduplication: its handler gets it when a runtime next starts with this
    /// store. On a runtime that has the store, call [`Runtime::redrive`](crate::Runtime::redrive).
    ///
    /// # Errors
    /// When there is no such letter, it has no handler, or the store fails.
    pub async fn redrive(&self, id: DeadLetterId) -> Result<(), RedriveError> {
        let (_, mut refused) = self.resend(vec![id]).await.map_err(DeadLetterError::from)?;
        refused.pop().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// The same with all that are meant: how many there were, and those that were refused. Some at a time: dropped, or
    /// after an error, it may have been done with some.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn redrive_all(&self, which: &DeadLetterFilter) -> Result<Redriven, RedriveError> {
        let (mut redriven, mut last) = (Redriven::default(), DeadLetterId(0));
        loop {
            let which = which.clone();
            let ids = self
                .0
                .reader
                .run(move |db| letters::ids(db, &which, last, TOGETHER))
                .await;
            let ids = ids.map_err(DeadLetterError::from)?;
            let Some(id) = ids.last() else {
                return Ok(redriven);
            };
            last = *id;
            let (more, others) = self.resend(ids).await.map_err(DeadLetterError::from)?;
            redriven.sent += more;
            redriven.refused.extend(others);
        }
    }

    async fn resend(&self, ids: Vec<DeadLetterId>) -> Result<Resending, StoreError> {
        self.0.writer.run(move |db| resend(db, &ids)).await
    }
}

fn resend(db: &Connection, ids: &[DeadLetterId]) -> Result<Resending, StoreError> {
    let (mut sent, mut refused) = (0, Vec::new());
    for &id in ids {
        match letters::redrive(db, id, SystemTime::now(), RetryPolicy::default().max_age) {
            Ok(Resent::Sent(_)) => sent += 1,
            Ok(Resent::NotFound) => refused.push((id, RedriveError::NotFound(id))),
            Ok(Resent::Undeliverable) => refused.push((id, RedriveError::Undeliverable(id))),
            Err(error @ StoreError::Damaged(_)) => refused.push((id, RedriveError::Store(error))),
            Err(error) => return Err(error),
        }
    }
    Ok((sent, refused))
}
