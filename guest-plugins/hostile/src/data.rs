//! What an event's data says about a sin.

use palisade_sdk::prelude::*;

/// The number that the data is, or another where there is no data.
pub(crate) fn number_or(event: &Event, default: u64) -> Result<u64, Failure> {
    if event.data().is_empty() {
        Ok(default)
    } else {
        Ok(event.json()?)
    }
}

/// The bytes of as many MiB as the data is, or of another number of them.
pub(crate) fn mebibytes_or(event: &Event, default: u64) -> Result<usize, Failure> {
    let bytes = number_or(event, default)?.saturating_mul(1024 * 1024);
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
