use std::borrow::Cow;

use super::attributes::{Attributes, Unpacked};
use super::envelope::{Event, Inner};
use super::error::EventError;
use super::extension::{self, ExtensionValue, HOP_COUNT};
use super::limits::{EventLimits, MetadataSize};
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
    /// Makes and checks the event, all but its payload, which was held to these limits when it was made. An event without a
    /// time is stamped with that of its acceptance.
    pub(super) fn into_event(self, payload: Payload, limits: &EventLimits) -> Result<Event, EventError> {
        self.content_type
            .as_deref()
            .map_or(Ok(()), |content_type| limits.check_content_type(content_type))?;
        self.extensions
            .iter()
            .try_for_each(|(name, _)| extension::check_name(name))?;
        let mut inner = Inner {
            attributes: self.attributes(),
            timestamp_nanos: self.time.as_ref().map_or_else(clock_nanos, EventTime::unix_nanos),
            hop_count: self.hop_count()?,
            metadata: self.metadata_size(),
            depth_checked: limits.json_depth,
            time: self.time,
            extensions: self
                .extensions
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            payload,
            is_ordinary: false,
        };
        inner.check(limits)?;
        inner.is_ordinary = inner.seems_ordinary();
        Ok(Event::new(inner))
    }

    fn attributes(&self) -> Attributes {
        Attributes::pack(&Unpacked {
            id: &self.id,
            event_type: &self.event_type,
            source: &self.source,
            content_type: self.content_type.as_deref(),
            subject: self.subject.as_deref(),
            dataschema: self.dataschema.as_deref(),
        })
    }

    fn metadata_size(&self) -> MetadataSize {
        let attributes = [("subject", &self.subject), ("dataschema", &self.dataschema)];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some(name.len() + value.as_ref()?.len()));
        let extensions = self
            .extensions
            .iter()
            .map(|(name, value)| name.len() + value.canonical().len());
        let add = |size: MetadataSize, bytes| MetadataSize {
            entries: size.entries + 1,
            bytes: size.bytes + bytes,
        };
        attributes
            .chain(extensions)
            .fold(MetadataSize { entries: 0, bytes: 0 }, add)
    }

    fn hop_count(&self) -> Result<u8, EventError> {
        let found = self.extensions.iter().find(|(name, _)| name == HOP_COUNT);
        found.map_or(Ok(0), |(_, value)| extension::hop_count(value))
    }
}
