use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::host::Facts;
use crate::context::Delivery;
use crate::{Event, Timestamp};

/// An event to deliver in a test: `TestEvent::new("user.login").json(json!({ "ip": "192.0.2.1" }))`.
///
/// Unless given, its id is `test`, its source `/test`, its time 2001-09-09T01:46:40Z, and it is a first attempt.
#[derive(Debug, Clone)]
pub struct TestEvent {
    id: String,
    event_type: String,
    source: String,
    time: Timestamp,
    data: Vec<u8>,
    content_type: Option<String>,
    metadata: Vec<(String, String)>,
    attempt: u32,
    replayed: bool,
}

impl TestEvent {
    /// An event without data.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            id: "test".to_owned(),
            event_type: event_type.into(),
            source: "/test".to_owned(),
            time: Timestamp::from_nanos(1_000_000_000_000_000_000),
            data: Vec::new(),
            content_type: None,
            metadata: Vec::new(),
            attempt: 1,
            replayed: false,
        }
    }

    /// Its id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Who says so.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// When it happened. A time before 1970 counts as 1970, one after 2554 as 2554.
    pub fn time(self, time: SystemTime) -> Self {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.nanos(u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX))
    }

    /// When it happened, in nanoseconds since 1970.
    pub fn nanos(mut self, nanos: u64) -> Self {
        self.time = Timestamp::from_nanos(nanos);
        self
    }

    /// Its payload, as JSON.
    ///
    /// # Panics
    ///
    /// If `payload` can't be JSON, such as a map whose keys aren't strings.
    #[expect(clippy::expect_used, reason = "a test is best told by a panic")]
    pub fn json(mut self, payload: impl Serialize) -> Self {
        self.data = serde_json::to_vec(&payload).expect("a payload that can be JSON");
        self
    }

    /// Its payload, as bytes of a media type.
    pub fn bytes(mut self, content_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.content_type = Some(content_type.into());
        self.data = data.into();
        self
    }

    /// Adds one piece of metadata.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Which attempt this is; 1 for the first.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sent again from the dead letters.
    pub fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    pub(super) fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The three parts a call sees: the event, how it was delivered, and what the host is asked for.
    pub(super) fn parts(&self) -> (Event, Delivery, Facts) {
        let event = Event {
            id: self.id.clone(),
            event_type: self.event_type.clone(),
            source: self.source.clone(),
            time: self.time,
            data: self.data.clone(),
        };
        let delivery = Delivery {
            attempt: self.attempt,
            time_left_ms: 30_000,
            replayed: self.replayed,
        };
        let content_type = match &self.content_type {
            Some(content_type) => content_type.clone(),
            None if self.data.is_empty() => String::new(),
            None => "application/json".to_owned(),
        };
        (
            event,
            delivery,
            Facts {
                content_type,
                metadata: self.metadata.clone(),
            },
        )
    }
}
