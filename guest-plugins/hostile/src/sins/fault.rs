//! Failing, in every way there is.

use palisade_sdk::prelude::*;

use crate::{Hostile, data, report};

/// Asks for another try; with a number, after so many milliseconds.
pub(super) fn fail_retry(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    const MESSAGE: &str = "hostile wants another try";
    match data::number_or(event, 0)? {
        0 => Err(Failure::retry(MESSAGE)),
        delay => Err(Failure::retry_after(MESSAGE, Duration::from_millis(delay))),
    }
}

/// Wants no other try.
pub(super) fn fail_reject(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    Err(Failure::reject("hostile rejects this"))
}

/// Fails until the attempt that the number says, 2 without one; that one reports its `attempt`.
pub(super) fn flaky(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    if u64::from(cx.attempt()) < data::number_or(event, 2)? {
        return Err(Failure::retry(format_args!(
            "hostile fails at attempt {}",
            cx.attempt()
        )));
    }
    report::publish(cx, "flaky", json!({ "attempt": cx.attempt() }))
}

/// Rejects with a text of so many MiB, 10 without a number.
pub(super) fn big_answer(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    Err(Failure::Reject("x".repeat(data::mebibytes_or(event, 10)?)))
}

/// Executes `unreachable`.
pub(super) fn trap(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    abort()
}

/// Panics with `hostile says: ` and the data as text.
pub(super) fn panic(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    panic_with(&format!("hostile says: {}", String::from_utf8_lossy(event.data())))
}

/// Ends the process, as it believes, with a failure.
pub(super) fn exit(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    std::process::exit(1)
}

/// In a guest an abort is the instruction `unreachable`, without a word on stderr.
pub(crate) fn abort() -> ! {
    std::process::abort()
}

#[expect(clippy::panic, reason = "that is the sin")]
pub(crate) fn panic_with(message: &str) -> ! {
    panic!("{message}")
}
