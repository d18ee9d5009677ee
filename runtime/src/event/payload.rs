use bytes::Bytes;
use serde::de::IgnoredAny;

use super::depth;
use super::error::{EventError, excerpt};
use super::limits::EventLimits;

/// The data of an event, as handlers see it and as it is written.
pub(super) enum Payload {
    /// The event has none, which is not the same as JSON's `null`.
    Absent,
    /// JSON text, shown and written as it came.
    Json(Bytes),
    /// The characters of a text whose content type is not JSON.
    Text {
        shown: Bytes,
        /// The JSON string it came as, quotes included, where the two differ by more than the quotes.
        written: Option<Bytes>,
    },
    /// Bytes, written as base64.
    Binary(Bytes),
}

impl Payload {
    /// What code gave to the builder. JSON is checked here and never again; anything else is text where it can be.
    pub(super) fn given(content_type: &str, data: Bytes, limits: &EventLimits) -> Result<Self, EventError> {
        limits.check_data(data.len())?;
        if is_json(content_type) {
            check_json(content_type, &data, limits)?;
            return Ok(Self::Json(data));
        }
        Ok(if is_text(&data) {
            Self::Text {
                shown: data,
                written: None,
            }
        } else {
            Self::Binary(data)
        })
    }

    /// What handlers see.
    pub(super) fn shown(&self) -> Option<&Bytes> {
        match self {
            Self::Absent => None,
            Self::Json(bytes) | Self::Text { shown: bytes, .. } | Self::Binary(bytes) => Some(bytes),
        }
    }

    /// The content type of data that came without one.
    pub(super) fn default_content_type(&self) -> &'static str {
        match self {
            Self::Absent => "",
            Self::Json(_) | Self::Text { .. } => JSON,
            Self::Binary(_) => "application/octet-stream",
        }
    }

    /// All that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let twice = if let Self::Text {
            written: Some(json), ..
        } = self
        {
            json.len()
        } else {
            0
        };
        self.shown().map_or(0, Bytes::len) + twice
    }
}

pub(super) const JSON: &str = "application/json";

/// Whether a media type says JSON: its subtype is `json` or ends in `+json`, whatever its case and its parameters.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split_once(';')
        .map_or(content_type, |(essence, _)| essence)
        .trim();
    let Some((_, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit_once('+').map_or(subtype, |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case("json")
}

/// Refuses what says JSON and isn't, and JSON that nests too deep.
pub(super) fn check_json(content_type: &str, data: &[u8], limits: &EventLimits) -> Result<(), EventError> {
    if depth::exceeds(data, limits.json_depth) {
        return Err(EventError::TooDeep {
            limit: limits.json_depth,
        });
    }
    // As text first: serde_json does not look whether strings it ignores are UTF-8.
    let parsed = match str::from_utf8(data) {
        Ok(text) => serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    parsed.map(|_| ()).map_err(|reason| EventError::DataNotJson {
        content_type: excerpt(content_type),
        reason,
    })
}

/// Whether bytes are worth writing as a JSON string: a control character takes six bytes there and two in base64.
fn is_text(data: &[u8]) -> bool {
    let plain = |byte: &u8| !byte.is_ascii_control() || matches!(byte, b'\t' | b'\n' | b'\r');
    data.iter().all(plain) && str::from_utf8(data).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    /// E2
    #[test]
    fn json_is_told_by_subtype_or_suffix() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/json",
            "application/a.b+json ;x=y",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/plain",
            "json",
            "",
            "application/jsonl",
            "application/json+xml",
            "text/plain; a=/json",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    /// E2
    #[test]
    fn bytes_are_text_only_where_that_is_readable() {
        for text in [&b""[..], b"a\r\n\tb", "grüße".as_bytes()] {
            assert!(is_text(text));
        }
        for binary in [&b"\0"[..], b"\x1b[0m", b"\xff", b"\x7f"] {
            assert!(!is_text(binary));
        }
    }

    /// H21
    #[test]
    fn what_says_json_has_to_be_json() {
        let limits = EventLimits::default();
        let check = |data: &[u8]| check_json(JSON, data, &limits);
        for json in [&b"null"[..], b" {\"a\" : 1e999999} ", br#""\ud800""#, b"[1,1,1]"] {
            assert_eq!(check(json), Ok(()));
        }
        for other in [
            &b""[..],
            b"{",
            b"1 2",
            b"\"\xff\"",
            b"nul",
            b"\"\n\"",
            b"NaN",
            b"\xef\xbb\xbf1",
            b"[1,]",
        ] {
            assert!(matches!(check(other), Err(EventError::DataNotJson { .. })), "{other:?}");
        }
    }
}
