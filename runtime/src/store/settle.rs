//! The end of an attempt, and all that belongs to it, in one transaction (D2).

use std::time::SystemTime;

use rusqlite::Connection;

use super::options::StoreOptions;
use super::record::Record;
use super::{deliveries, letters, pairs};
use crate::delivery::{DeliveryId, Settled, Settlement, StoreError, Verdict};

/// All of it; on an error the caller undoes what was done. `outbox` are the records of the settlement's own.
pub(super) fn settle(
    db: &Connection,
    settlement: &Settlement,
    outbox: &[Record],
    now: SystemTime,
    options: &StoreOptions,
) -> Result<Settled, StoreError> {
    let mut settled = Settled::default();
    if let Some((id, verdict)) = &settlement.delivery
        && !conclude(db, *id, verdict, options)?
    {
        settled.gone = true;
        return Ok(settled);
    }
    if let Some(made) = &settlement.writes {
        pairs::commit(db, made)?;
    }
    for (new, record) in settlement.outbox.iter().zip(outbox) {
        let stored = deliveries::append(db, new, record, now, options.deduplication)?;
        settled.outbox.push(stored);
    }
    for letter in &settlement.letters {
        letters::put(db, letter, options.dead_letters)?;
    }
    Ok(settled)
}

/// False if there is no such delivery (any more).
fn conclude(db: &Connection, id: DeliveryId, verdict: &Verdict, options: &StoreOptions) -> Result<bool, StoreError> {
    match verdict {
        Verdict::Retry { attempts, due } => deliveries::retry(db, id, *attempts, *due),
        Verdict::Done => deliveries::remove(db, id),
        Verdict::Dead(letter) => {
            let is_there = deliveries::remove(db, id)?;
            if is_there {
                letters::put(db, letter, options.dead_letters)?;
            }
            Ok(is_there)
        }
    }
}
