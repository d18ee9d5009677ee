//! The store as the bus sees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::letters::Resent;
use super::record::Record;
use super::{DurableStore, deliveries, letters, orphans, settle};
use crate::delivery::{
    Appending, Backlog, DeadLetterId, DeliveryId, DeliveryStore, NewEvent, Page, PageLimits, Settled, Settlement,
    StoreError, Stored, StoredDelivery, Then,
};
use crate::handler::BoxFuture;

/// How long acknowledgements wait for a commit that takes them along: one of their own is an fsync that publishers wait for.
const RIDE: Duration = Duration::from_millis(1);

impl DeliveryStore for DurableStore {
    fn append(&self, new: NewEvent, then: Then<Vec<Stored>>) -> Appending {
        let (record, window) = (Record::of(&new.event), self.0.options.deduplication);
        let work = move |db: &Connection| deliveries::append(db, &new, &record, SystemTime::now(), window);
        let begun = self.0.writer.begin(work, then);
        Appending {
            has_its_place: begun.is_handed_over,
            stored: begun.answer,
        }
    }

    fn settle(&self, settlement: Arc<Settlement>, then: Then<Settled>) -> BoxFuture<'_, Result<Settled, StoreError>> {
        Box::pin(async move {
            let outbox: Vec<_> = settlement.outbox.iter().map(|new| Record::of(&new.event)).collect();
            let options = self.0.options.clone();
            let work = move |db: &Connection| settle::settle(db, &settlement, &outbox, SystemTime::now(), &options);
            self.0.writer.run_then(work, then).await
        })
    }

    fn acknowledge(&self, ids: Vec<DeliveryId>, then: Then<()>) -> BoxFuture<'_, Result<(), StoreError>> {
        let work = move |db: &Connection| ids.iter().try_for_each(|id| deliveries::remove(db, *id).map(drop));
        Box::pin(self.0.writer.ride_along(work, then, RIDE))
    }

    fn load(
        &self,
        handler: String,
        after: DeliveryId,
        limits: PageLimits,
        then: Then<Page>,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        let work = move |db: &Connection| deliveries::load(db, &handler, after, limits);
        Box::pin(self.0.writer.run_then(work, then))
    }

    fn load_these(&self, mut ids: Vec<DeliveryId>, then: Then<Page>) -> BoxFuture<'_, Result<Page, StoreError>> {
        ids.sort_unstable();
        let work = move |db: &Connection| deliveries::load_these(db, &ids);
        Box::pin(self.0.writer.run_then(work, then))
    }

    fn backlogs(&self) -> BoxFuture<'_, Result<Vec<Backlog>, StoreError>> {
        Box::pin(self.0.reader.run(deliveries::backlogs))
    }

    fn orphan(&self, known: Vec<String>, now: SystemTime) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        Box::pin(async move {
            let (mut made, mut name) = (Vec::new(), Vec::new());
            while let Some(handler) = self.next_handler(name).await? {
                if !known.iter().any(|known| known.as_bytes() == handler) {
                    let shown = String::from_utf8_lossy(&handler).into_owned();
                    made.push((shown, self.orphan_one(&handler, now).await?));
                }
                name = handler;
            }
            made.retain(|(_, letters)| *letters > 0);
            Ok(made)
        })
    }

    fn redrive(
        &self,
        letter: DeadLetterId,
        max_age: Duration,
        then: Then<Option<StoredDelivery>>,
    ) -> BoxFuture<'_, Result<Option<StoredDelivery>, StoreError>> {
        let work = move |db: &Connection| match letters::redrive(db, letter, SystemTime::now(), max_age)? {
            Resent::Sent(delivery) => Ok(Some(*delivery)),
            Resent::NotFound | Resent::Undeliverable => Ok(None),
        };
        Box::pin(self.0.writer.run_then(work, then))
    }

    fn forget(&self, now: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let options = self.0.options.clone();
            let (window, age, most) = (options.deduplication, options.dead_letter_age, options.dead_letters);
            let writer = &self.0.writer;
            while writer.run(move |db| deliveries::forget_seen(db, now, window)).await? {}
            while writer.run(move |db| letters::forget(db, now, age)).await? {}
            while writer.run(move |db| letters::make_room(db, most)).await? {}
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.end();
            self.0.writer.ended().await;
            self.0.reader.ended().await;
        })
    }
}

impl DurableStore {
    async fn next_handler(&self, after: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.reader.run(move |db| orphans::next_handler(db, &after)).await
    }

    /// Some rows at a time, so that others have their turn.
    async fn orphan_one(&self, handler: &[u8], now: SystemTime) -> Result<u64, StoreError> {
        let (most, handler) = (self.0.options.dead_letters, Arc::<[u8]>::from(handler));
        let (mut removed, mut next) = (0, Some(DeliveryId::NONE));
        while let Some(after) = next {
            let handler = handler.clone();
            let work = move |db: &Connection| orphans::step(db, &handler, after, now, most);
            let step = self.0.writer.run(work).await?;
            (removed, next) = (removed + step.removed, step.next);
        }
        Ok(removed)
    }
}
