use serde::{Deserialize, Serialize};

/// An event to publish. The host stamps the rest: id, source (the plugin's name), time, and the metadata
/// `correlationid`, `causationid`, `hopcount` and `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub(crate) event_type: String,
    pub(crate) data: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Draft {
    /// An event without data. Its type must match one of the plugin's `publish` grants.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            event_type: event_type.into(),
            data: Vec::new(),
            content_type: None,
            metadata: Vec::new(),
        }
    }

    /// An event with `payload` as JSON.
    pub fn json(event_type: impl Into<String>, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            data: serde_json::to_vec(payload)?,
            ..Self::new(event_type)
        })
    }

    /// An event with data that is JSON already; if it isn't, publishing fails as invalid.
    pub fn raw_json(event_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            data: data.into(),
            ..Self::new(event_type)
        }
    }

    /// An event with bytes of another media type.
    pub fn bytes(event_type: impl Into<String>, content_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            data: data.into(),
            content_type: Some(content_type.into()),
            ..Self::new(event_type)
        }
    }

    /// Adds a CloudEvents extension: a name of 1 to 64 lower-case letters and digits. At most 64, and 16 KiB in all; over
    /// that, with a name given twice, or with one that belongs to the host or to CloudEvents itself, publishing fails as
    /// invalid.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// The type it will have.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The payload.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The media type it was given; `None` stands for `application/json`.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The metadata it was given, in order.
    pub fn all_metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// The payload read back from JSON, as a test wants it.
    pub fn read_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }
}
