use serde::Deserialize;

use crate::{Timestamp, host};

/// The event being handled. It lives as long as the call: copy out what is to be kept.
#[derive(Debug)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) source: String,
    pub(crate) time: Timestamp,
    pub(crate) data: Vec<u8>,
}

impl Event {
    /// Unique together with [`source`](Self::source): the same pair is the same event, delivered again.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened, such as `user.login`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Who says so: a plugin's name where a plugin published it, else what the publisher gave.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When it happened; where the publisher gave no time, when the host accepted it.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The payload as it came; empty for an event without one.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The payload, read as JSON. `T` may borrow from the event. As a handler's [`Failure`](crate::Failure) an error
    /// here is a rejection: the same bytes won't parse next time either.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }

    /// The media type of the payload: `application/json` where the publisher gave none, empty for an event without
    /// data. Asks the host: one call each time.
    pub fn content_type(&self) -> String {
        host::content_type()
    }

    /// One CloudEvents extension of the event (or `subject`, `dataschema`), as its canonical string. Asks the host: one
    /// call each time.
    pub fn metadata(&self, key: &str) -> Option<String> {
        host::metadata(key)
    }

    /// All of the metadata, in the event's order. Asks the host: one call each time.
    pub fn all_metadata(&self) -> Vec<(String, String)> {
        host::all_metadata()
    }
}
