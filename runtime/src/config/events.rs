//! `[events]`.

use serde::Deserialize;
use toml::Spanned;

use super::document::Span;
use super::value::{Count, Size, Time, Value};
use crate::builder::RuntimeBuilder;
use crate::delivery::MemoryDeadLetters;
use crate::event::EventLimits;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EventsTable {
    max_id: Option<Size<usize>>,
    max_type: Option<Size<usize>>,
    max_source: Option<Size<usize>>,
    max_data: Option<Size<usize>>,
    max_metadata_entries: Option<Count<usize, 1_000_000>>,
    max_metadata: Option<Size<usize>>,
    /// Beyond this a parser that recurses, the host's or a guest's, would run off its stack.
    max_json_depth: Option<Count<usize, 10_000>>,
    /// A hop count ends at 255: from there on no loop could be told.
    max_hops: Option<Count<u32, 254>>,
    publish_timeout: Option<Time>,
    dead_letters: Option<Spanned<Count<usize, 10_000_000>>>,
    max_dead_letters: Option<Spanned<Size<usize>>>,
}

impl EventsTable {
    pub(super) fn apply(&self, builder: RuntimeBuilder) -> RuntimeBuilder {
        let builder = builder.event_limits(self.limits());
        let builder = match &self.max_hops {
            Some(hops) => builder.max_hops(hops.get()),
            None => builder,
        };
        match &self.publish_timeout {
            Some(limit) => builder.publish_timeout(limit.get()),
            None => builder,
        }
    }

    pub(super) fn dead_letters(&self) -> MemoryDeadLetters {
        let letters = match &self.dead_letters {
            Some(capacity) => MemoryDeadLetters::new(capacity.get_ref().get()),
            None => MemoryDeadLetters::default(),
        };
        match &self.max_dead_letters {
            Some(bytes) => letters.max_bytes(bytes.get_ref().get()),
            None => letters,
        }
    }

    /// The keys that bound dead letters in memory, with their places.
    pub(super) fn of_memory(&self) -> impl Iterator<Item = (&'static str, Span)> {
        let places = [
            ("dead-letters", self.dead_letters.as_ref().map(Spanned::span)),
            ("max-dead-letters", self.max_dead_letters.as_ref().map(Spanned::span)),
        ];
        places.into_iter().filter_map(|(key, place)| Some((key, place?)))
    }

    pub(super) fn limits(&self) -> EventLimits {
        let default = EventLimits::default();
        let or = |size: &Option<Size<usize>>, default| size.as_ref().map_or(default, Value::get);
        EventLimits {
            id_bytes: or(&self.max_id, default.id_bytes),
            type_bytes: or(&self.max_type, default.type_bytes),
            source_bytes: or(&self.max_source, default.source_bytes),
            data_bytes: or(&self.max_data, default.data_bytes),
            metadata_entries: self
                .max_metadata_entries
                .as_ref()
                .map_or(default.metadata_entries, Value::get),
            metadata_bytes: or(&self.max_metadata, default.metadata_bytes),
            json_depth: self.max_json_depth.as_ref().map_or(default.json_depth, Value::get),
        }
    }
}
