use super::error::EventError;

/// What an event may be at most. An event beyond a limit is never made: both [`Event::from_json`](super::Event::from_json)
/// and [`EventBuilder::build_with`](super::EventBuilder::build_with) refuse it with an [`EventError`] that names the field,
/// its size, the limit and the key in `palisade.toml`.
///
/// Two more limits are fixed, since nothing honest comes near them: a `datacontenttype` has at most 1,024 bytes, and a
/// `time` at most 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// The longest `id`, in bytes: 256 (`events.max-id`).
    pub id_bytes: usize,
    /// The longest `type`, in bytes: 256 (`events.max-type`).
    pub type_bytes: usize,
    /// The longest `source`, in bytes: 1,024 (`events.max-source`).
    pub source_bytes: usize,
    /// The largest data, in bytes as a handler sees them, that is after base64 and the escapes of a text are undone: 1 MiB
    /// (`events.max-data`).
    pub data_bytes: usize,
    /// How many metadata an event has at most: 64 (`events.max-metadata-entries`). Metadata are the extensions, `subject`
    /// and `dataschema`.
    pub metadata_entries: usize,
    /// The bytes of all metadata together, names and canonical values: 16 KiB (`events.max-metadata`).
    pub metadata_bytes: usize,
    /// How deep JSON data nests at most: 128 (`events.max-json-depth`). A number has depth 0, `[]` and `[1]` have 1,
    /// `[{}]` has 2. It keeps parsers that recurse, the host's and the guests', off the end of their stacks.
    pub json_depth: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            id_bytes: 256,
            type_bytes: 256,
            source_bytes: 1024,
            data_bytes: 1024 * 1024,
            metadata_entries: 64,
            metadata_bytes: 16 * 1024,
            json_depth: 128,
        }
    }
}

impl EventLimits {
    /// For events that were within the limits of their time.
    #[cfg(feature = "durable")]
    pub(crate) fn unlimited() -> Self {
        Self {
            id_bytes: usize::MAX,
            type_bytes: usize::MAX,
            source_bytes: usize::MAX,
            data_bytes: usize::MAX,
            metadata_entries: usize::MAX,
            metadata_bytes: usize::MAX,
            json_depth: usize::MAX,
        }
    }

    /// Whether what is within the default limits is within these.
    pub(crate) fn admit_ordinary(&self) -> bool {
        let ordinary = Self::default();
        self.id_bytes >= ordinary.id_bytes
            && self.type_bytes >= ordinary.type_bytes
            && self.source_bytes >= ordinary.source_bytes
            && self.data_bytes >= ordinary.data_bytes
            && self.metadata_entries >= ordinary.metadata_entries
            && self.metadata_bytes >= ordinary.metadata_bytes
            && self.json_depth >= ordinary.json_depth
    }

    /// The longest `datacontenttype`, in bytes.
    pub(super) const CONTENT_TYPE_BYTES: usize = 1024;

    pub(super) fn check_id(&self, id: &str) -> Result<(), EventError> {
        check_text("id", id, self.id_bytes, "events.max-id")
    }

    pub(super) fn check_type(&self, event_type: &str) -> Result<(), EventError> {
        check_text("type", event_type, self.type_bytes, "events.max-type")
    }

    pub(super) fn check_source(&self, source: &str) -> Result<(), EventError> {
        check_text("source", source, self.source_bytes, "events.max-source")
    }

    pub(super) fn check_content_type(&self, content_type: &str) -> Result<(), EventError> {
        check_text("datacontenttype", content_type, Self::CONTENT_TYPE_BYTES, "fixed")
    }

    pub(super) fn check_data(&self, bytes: usize) -> Result<(), EventError> {
        let limit = self.data_bytes;
        if bytes > limit {
            Err(EventError::DataTooLarge { bytes, limit })
        } else {
            Ok(())
        }
    }

    pub(super) fn check_metadata(&self, size: MetadataSize) -> Result<(), EventError> {
        let MetadataSize { entries, bytes } = size;
        if entries > self.metadata_entries {
            return Err(EventError::TooManyMetadata {
                entries,
                limit: self.metadata_entries,
            });
        }
        if bytes > self.metadata_bytes {
            return Err(EventError::MetadataTooLarge {
                bytes,
                limit: self.metadata_bytes,
            });
        }
        Ok(())
    }
}

/// How much metadata an event has: extensions, `subject` and `dataschema`.
#[derive(Clone, Copy)]
pub(super) struct MetadataSize {
    pub(super) entries: usize,
    /// Of all names and canonical values.
    pub(super) bytes: usize,
}

fn check_text(field: &'static str, text: &str, limit: usize, key: &'static str) -> Result<(), EventError> {
    match text.len() {
        0 => Err(EventError::Empty { field }),
        bytes if bytes > limit => Err(EventError::TooLong {
            field,
            bytes,
            limit,
            key,
        }),
        _ => Ok(()),
    }
}
