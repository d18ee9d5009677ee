use std::borrow::Cow;
use std::fmt;
use std::mem::size_of;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::attributes::Attributes;
use super::builder::EventBuilder;
use super::cloudevents;
use super::error::EventError;
use super::extension::ExtensionValue;
use super::limits::{EventLimits, MetadataSize};
use super::payload::Payload;
use super::time::EventTime;

/// One event. It never changes once it is made, and a clone is another pointer to it.
///
/// ```
/// use palisade::Event;
///
/// let event = Event::builder("user.login", "/sshd").json(&[1, 2]).subject("root").build()?;
/// assert_eq!((event.event_type(), event.data()), ("user.login", &b"[1,2]"[..]));
/// assert_eq!(event.metadata("subject").as_deref(), Some("root"));
/// # Ok::<_, palisade::EventError>(())
/// ```
#[derive(Clone)]
pub struct Event(Arc<Inner>);

pub(super) struct Inner {
    pub(super) attributes: Attributes,
    pub(super) time: Option<EventTime>,
    /// Of `time`, or of acceptance.
    pub(super) timestamp_nanos: u64,
    pub(super) hop_count: u8,
    pub(super) extensions: Box<[Extension]>,
    pub(super) payload: Payload,
    pub(super) metadata: MetadataSize,
    /// JSON data do not nest deeper than this.
    pub(super) depth_checked: usize,
    /// See [`Event::is_ordinary`].
    pub(super) is_ordinary: bool,
}

pub(super) type Extension = (Box<str>, ExtensionValue);

impl Event {
    /// Begins an event of this type from this source; both are kept as they are.
    pub fn builder<'a>(event_type: impl Into<Cow<'a, str>>, source: impl Into<Cow<'a, str>>) -> EventBuilder<'a> {
        EventBuilder::new(event_type.into(), source.into())
    }

    /// Reads one CloudEvents 1.0 event from JSON. What is read is written JSON-equal by [`to_json`](Self::to_json).
    ///
    /// A member whose value is `null` counts as absent, except `data`. A byte-order mark is skipped.
    pub fn from_json(json: impl AsRef<[u8]>, limits: &EventLimits) -> Result<Self, EventError> {
        cloudevents::read(json.as_ref(), limits)
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Unique together with the source: the same pair is the same event, delivered again.
    #[inline]
    pub fn id(&self) -> &str {
        self.0.attributes.id()
    }

    /// What happened, dot-separated, such as `user.login`.
    #[inline]
    pub fn event_type(&self) -> &str {
        self.0.attributes.event_type()
    }

    /// Who says so.
    #[inline]
    pub fn source(&self) -> &str {
        self.0.attributes.source()
    }

    /// When it happened, where the publisher said so.
    pub fn time(&self) -> Option<&EventTime> {
        self.0.time.as_ref()
    }

    /// When it happened, or for an event without a time, when this `Event` was made: nanoseconds since
    /// 1970-01-01T00:00:00Z, 0 for a time before that, `u64::MAX` for one after the year 2554.
    pub fn timestamp_nanos(&self) -> u64 {
        self.0.timestamp_nanos
    }

    /// The same, made at that time: for an event that comes back from a store. One that has a time of its own keeps it.
    #[cfg(feature = "durable")]
    pub(crate) fn accepted_at(mut self, nanos: u64) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0).filter(|inner| inner.time.is_none()) {
            inner.timestamp_nanos = nanos;
        }
        self
    }

    /// The data as a handler sees them: JSON text as it came, the characters of any other text, the bytes of base64. Empty
    /// for an event without data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.0.payload.shown().map_or(&[], |bytes| bytes)
    }

    /// The same, shared instead of borrowed.
    pub fn data_bytes(&self) -> Bytes {
        self.0.payload.shown().cloned().unwrap_or_default()
    }

    /// Whether there are data. Those of `"data": null` are the text `null`, those of `"data": ""` with a content type of
    /// text are there and empty.
    pub fn has_data(&self) -> bool {
        self.0.payload.shown().is_some()
    }

    /// The data, parsed as JSON. serde_json itself ends at 127 levels of nesting; a `&RawValue` has no such end.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.data())
    }

    /// The media type of the data as a handler sees them. Where the publisher gave none: `application/json`, or
    /// `application/octet-stream` for what came as base64. Empty for an event without data.
    pub fn content_type(&self) -> &str {
        match &self.0.payload {
            Payload::Absent => "",
            payload => self.datacontenttype().unwrap_or_else(|| payload.default_content_type()),
        }
    }

    /// The media type that the publisher gave, be there data or not.
    pub fn datacontenttype(&self) -> Option<&str> {
        self.0.attributes.content_type()
    }

    /// What the event is about, within its source.
    pub fn subject(&self) -> Option<&str> {
        self.0.attributes.subject()
    }

    /// The schema that the data keep to.
    pub fn dataschema(&self) -> Option<&str> {
        self.0.attributes.dataschema()
    }

    /// One extension, with its kind.
    pub fn extension(&self, name: &str) -> Option<&ExtensionValue> {
        self.extensions()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// All extensions, in the order in which they were given.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &ExtensionValue)> {
        self.0.extensions.iter().map(|(name, value)| (&**name, value))
    }

    /// One extension, or `subject` or `dataschema`, as a text.
    pub fn metadata(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "subject" => self.subject().map(Cow::Borrowed),
            "dataschema" => self.dataschema().map(Cow::Borrowed),
            _ => self.extension(name).map(ExtensionValue::canonical),
        }
    }

    /// All of them: `subject` and `dataschema` where they are given, then the extensions in their order.
    pub fn all_metadata(&self) -> Vec<(String, String)> {
        let attributes = [("subject", self.subject()), ("dataschema", self.dataschema())];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, Cow::Borrowed(value?))));
        let extensions = self.extensions().map(|(name, value)| (name, value.canonical()));
        attributes
            .chain(extensions)
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect()
    }

    /// How many handlers lie between this event and one that came from outside: the extension `hopcount`, 0 without it.
    pub fn hop_count(&self) -> u8 {
        self.0.hop_count
    }

    /// What the event holds in memory, in bytes; what queues that are limited in bytes count. All clones share it.
    pub fn size_bytes(&self) -> usize {
        let Inner {
            attributes,
            time,
            extensions,
            payload,
            ..
        } = &*self.0;
        let text_of = |(name, value): &Extension| match value {
            ExtensionValue::String(text) => name.len() + text.len(),
            ExtensionValue::Boolean(_) | ExtensionValue::Integer(_) => name.len(),
        };
        let extensions = size_of_val(&**extensions) + extensions.iter().map(text_of).sum::<usize>();
        let time = time.as_ref().map_or(0, |time| time.as_str().len());
        size_of::<Inner>() + attributes.bytes() + time + extensions + payload.bytes()
    }

    /// The event as CloudEvents JSON, in one line without an end.
    pub fn to_json(&self) -> String {
        let mut line = Vec::new();
        self.write_json(&mut line);
        // It is UTF-8 already, and this is the check and no copy.
        String::from_utf8(line).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Appends the same to a buffer.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        cloudevents::write(self, &self.0.payload, out);
    }
}

/// Says which event it is and how much data it has; the data may hold secrets.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id())
            .field("type", &self.event_type())
            .field("source", &self.source())
            .field("data_bytes", &self.data().len())
            .finish_non_exhaustive()
    }
}
