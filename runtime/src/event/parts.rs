use std::borrow::Cow;

use super::attributes::{Attributes, Unpacked};
use super::envelope::{Event, Extension, Inner};
use super::error::EventError;
use super::extension::{self, ExtensionValue, HOP_COUNT};
use super::limits::EventLimits;
use super::payload::Payload;
use super::time::{EventTime, clock_nanos};

/// An event in the making: where both ways in, builder and JSON, meet and are checked.
pub(super) struct Parts<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) event_type: Cow<'a, str>,
    pub(super) source: Cow<'a, str>,
    pub(super) time: Option<EventTime>,
    pub(super) content_type: Option<Cow<'a, str>>,
    pub(super) subject: Option<Cow<'a, str>>,
    pub(super) dataschema: Option<Cow<'a, str>>,
    /// No name comes twice.
    pub(super) extensions: Vec<(Cow<'a, str>, ExtensionValue)>,
}

impl Parts<'_> {
    /// Checks everything but the payload, which was checked when it was made, and stamps the time of acceptance.
    pub(super) fn into_event(self, payload: Payload, limits: &EventLimits) -> Result<Event, EventError> {
        self.check(limits)?;
        let hop_count = self.hop_count()?;
        let timestamp_nanos = self.time.as_ref().map_or_else(clock_nanos, EventTime::unix_nanos);
        let attributes = Attributes::pack(&Unpacked {
            id: &self.id,
            event_type: &self.event_type,
            source: &self.source,
            content_type: self.content_type.as_deref(),
            subject: self.subject.as_deref(),
            dataschema: self.dataschema.as_deref(),
        });
        let extensions: Box<[Extension]> = self
            .extensions
            .into_iter()
            .map(|(name, value)| (name.into_owned().into_boxed_str(), value))
            .collect();
        Ok(Event::new(Inner {
            attributes,
            time: self.time,
            timestamp_nanos,
            hop_count,
            extensions,
            payload,
        }))
    }

    fn check(&self, limits: &EventLimits) -> Result<(), EventError> {
        limits.check_id(&self.id)?;
        limits.check_type(&self.event_type)?;
        limits.check_source(&self.source)?;
        if let Some(content_type) = &self.content_type {
            limits.check_content_type(content_type)?;
        }
        self.extensions
            .iter()
            .try_for_each(|(name, _)| extension::check_name(name))?;
        let (entries, bytes) = self.metadata_size();
        limits.check_metadata(entries, bytes)
    }

    /// Entries and bytes of extensions, `subject` and `dataschema`.
    fn metadata_size(&self) -> (usize, usize) {
        let attributes = [("subject", &self.subject), ("dataschema", &self.dataschema)];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some(name.len() + value.as_ref()?.len()));
        let extensions = self
            .extensions
            .iter()
            .map(|(name, value)| name.len() + value.canonical().len());
        attributes
            .chain(extensions)
            .fold((0, 0), |(entries, bytes), more| (entries + 1, bytes + more))
    }

    fn hop_count(&self) -> Result<u8, EventError> {
        let found = self.extensions.iter().find(|(name, _)| name == HOP_COUNT);
        found.map_or(Ok(0), |(_, value)| extension::hop_count(value))
    }
}
