//! No sins at all: what a test compares the others with.

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::{Map, Value};

use crate::{Hostile, report};

/// Does nothing.
pub(super) fn ok(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    Ok(())
}

/// Reports how many events this instance was given, this one included, as `count`.
pub(super) fn count(hostile: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    report::publish(cx, "count", json!({ "count": hostile.handled }))
}

/// Reports all that the event and its delivery say.
pub(super) fn context(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let metadata: Map<String, Value> = event
        .all_metadata()
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    let agrees = metadata
        .iter()
        .all(|(key, value)| event.metadata(key).as_deref() == value.as_str());
    report::publish(
        cx,
        "context",
        json!({
            "id": event.id(),
            "type": event.event_type(),
            "source": event.source(),
            "nanos": event.time().nanos(),
            "time": event.time(),
            "bytes": event.data().len(),
            "content-type": event.content_type(),
            "metadata": metadata,
            "metadata-agrees": agrees,
            "absent": event.metadata("absent"),
            "attempt": cx.attempt(),
            "time-left-ms": u64::try_from(cx.time_left().as_millis()).unwrap_or(u64::MAX),
            "replayed": cx.replayed(),
        }),
    )
}
