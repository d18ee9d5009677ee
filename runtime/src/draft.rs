//! What a handler may say about an event it publishes, and the stamp that makes it one.

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use crate::event::{Event, EventBuilder, EventError, EventLimits, EventTime, excerpt, is_reserved};

/// An event to be: the host stamps the rest (id, source, time, correlation, causation, hop count, traceparent).
#[derive(Clone, Debug)]
pub struct Draft {
    event_type: String,
    data: Bytes,
    content_type: Option<String>,
    metadata: Vec<(String, String)>,
}

impl Draft {
    /// A draft without data whose content type is JSON once it has some.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            event_type: event_type.into(),
            data: Bytes::new(),
            content_type: None,
            metadata: Vec::new(),
        }
    }

    /// A draft with a JSON payload.
    ///
    /// # Errors
    /// When the value can't be serialized.
    pub fn json<T: Serialize + ?Sized>(event_type: impl Into<String>, payload: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::new(event_type).with_data(serde_json::to_vec(payload)?))
    }

    /// Sets the payload; JSON unless [`with_content_type`](Self::with_content_type) says otherwise.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Sets the media type of the payload.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Adds a CloudEvents extension.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// Its type.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// How much it counts for against `plugin.limits.publish-bytes`: its data, type and metadata.
    pub fn size_bytes(&self) -> usize {
        let metadata: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.event_type.len() + self.data.len() + metadata
    }
}

/// Why a draft could not become an event.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The handler published a type that belongs to the host.
    #[error("`{0}` is a host event: plugin.>, system.> and config.> are published by the host only")]
    Reserved(String),
    /// The handler set a piece of metadata that the host stamps, or an attribute of CloudEvents.
    #[error("the host sets `{0}` itself; leave it out of the metadata")]
    HostOwned(String),
    /// The handler gave metadata a name that is not one.
    #[error("`{0}` is no name for metadata: use 1 to 64 lower-case letters and digits")]
    MetadataName(String),
    /// The event would break a limit or rule of events.
    #[error(transparent)]
    Event(#[from] EventError),
}

const HOST_OWNED: [&str; 15] = [
    "correlationid",
    "causationid",
    "hopcount",
    "traceparent",
    "tracestate",
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "dataschema",
    "subject",
    "data",
    "database64",
];

/// Makes an event of a draft: the one place where what handlers publish gets its id, source, time and lineage.
///
/// `cause` is the event being handled; without one (in `start` and `stop`) a lineage begins.
pub(crate) fn stamp(
    draft: Draft,
    source: &str,
    cause: Option<&Event>,
    limits: &EventLimits,
) -> Result<Event, DraftError> {
    if is_reserved(&draft.event_type) {
        return Err(DraftError::Reserved(excerpt(&draft.event_type)));
    }
    let Draft {
        event_type,
        data,
        content_type,
        metadata,
    } = draft;
    let id = Uuid::now_v7().to_string();
    let mut event = Event::builder(event_type, source).time(EventTime::now());
    if content_type.is_some() || !data.is_empty() {
        event = event.data(content_type.as_deref().unwrap_or("application/json"), data);
    }
    for (name, value) in metadata {
        check_metadata_name(&name)?;
        event = event.extension(name, value);
    }
    Ok(stamp_lineage(event, &id, cause).id(&id).build_with(limits)?)
}

fn check_metadata_name(name: &str) -> Result<(), DraftError> {
    if HOST_OWNED.contains(&name) || name == "data_base64" {
        return Err(DraftError::HostOwned(name.to_owned()));
    }
    let fits = (1..=64).contains(&name.len());
    if fits
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Ok(());
    }
    Err(DraftError::MetadataName(excerpt(name)))
}

fn stamp_lineage<'a>(event: EventBuilder<'a>, id: &'a str, cause: Option<&'a Event>) -> EventBuilder<'a> {
    let Some(cause) = cause else {
        return event
            .extension("correlationid", id)
            .extension("hopcount", 0_i64)
            .extension("traceparent", trace(None));
    };
    let correlation = cause
        .metadata("correlationid")
        .unwrap_or_else(|| cause.id().into())
        .into_owned();
    event
        .extension("correlationid", correlation)
        .extension("causationid", cause.id())
        .extension("hopcount", i64::from(cause.hop_count()) + 1)
        .extension("traceparent", trace(cause.metadata("traceparent").as_deref()))
}

/// A W3C traceparent: a new span of the cause's trace where it has one, else the first span of a new trace.
fn trace(parent: Option<&str>) -> String {
    let (_, span) = Uuid::new_v4().as_u64_pair();
    match parent.and_then(trace_id_and_flags) {
        Some((trace_id, flags)) => format!("00-{trace_id}-{span:016x}-{flags}"),
        None => format!("00-{}-{span:016x}-00", Uuid::new_v4().simple()),
    }
}

/// The trace id and flags of a version 00 traceparent; `None` for what is not one.
fn trace_id_and_flags(traceparent: &str) -> Option<(&str, &str)> {
    let hex = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let mut parts = traceparent.split('-');
    let (version, trace_id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shaped = version == "00" && trace_id.len() == 32 && span.len() == 16 && flags.len() == 2;
    let known = shaped && parts.next().is_none() && hex(trace_id) && hex(span) && hex(flags);
    (known && trace_id.bytes().any(|byte| byte != b'0')).then_some((trace_id, flags))
}
