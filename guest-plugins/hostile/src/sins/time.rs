//! Taking too long.

use palisade_sdk::prelude::*;

use crate::{Hostile, data};

/// Computes for ever.
pub(super) fn spin(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    spin_for_ever()
}

/// Waits in the host for so many milliseconds, for ever without a number.
pub(super) fn sleep(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    match data::number_or(event, u64::MAX)? {
        u64::MAX => sleep_for_ever(),
        millis => std::thread::sleep(Duration::from_millis(millis)),
    }
    Ok(())
}

pub(crate) fn spin_for_ever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

pub(crate) fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
