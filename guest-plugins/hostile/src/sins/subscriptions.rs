//! Listening to what should not be heard.

use palisade_sdk::prelude::*;

use crate::{Hostile, data, report};

/// Subscribes to the pattern that the data is, a JSON string, and reports the host's answer.
pub(super) fn subscribe(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let answer = cx.subscribe(event.json()?, "sin");
    report::publish(cx, "subscribe", report::told(answer))
}

/// Ends the subscription to the pattern that the data is, and reports the host's answer.
pub(super) fn unsubscribe(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let answer = cx.unsubscribe(event.json()?, "sin");
    report::publish(cx, "unsubscribe", report::told(answer))
}

/// Subscribes to so many patterns `hostile.extra.N`, 100,000 without a number. Reports how many were `made`, and the
/// first `error`.
pub(super) fn flood_subscribe(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let mut made = 0;
    let mut first_error = None;
    for n in 0..data::number_or(event, 100_000)? {
        match cx.subscribe(&format!("hostile.extra.{n}"), "sin") {
            Ok(()) => made += 1,
            Err(error) => drop(first_error.get_or_insert(error.to_string())),
        }
    }
    report::publish(cx, "flood-subscribe", json!({ "made": made, "error": first_error }))
}
