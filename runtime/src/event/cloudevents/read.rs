use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::members::Members;
use crate::event::depth;
use crate::event::envelope::Event;
use crate::event::error::{EventError, excerpt};
use crate::event::extension::{self, ExtensionValue};
use crate::event::limits::EventLimits;
use crate::event::parts::Parts;
use crate::event::payload::{self, JSON, Payload};

/// Reads one event.
///
/// The data are copied out of the document, never sliced from it: a slice would keep alive the buffer that the document
/// was read into, be it a whole HTTP body or 64 KiB of a stream, and queues that are limited in bytes would count a
/// fraction of what they hold. The copy costs a tenth of the parsing.
pub(in crate::event) fn read(json: &[u8], limits: &EventLimits) -> Result<Event, EventError> {
    let text = str::from_utf8(json).map_err(|error| EventError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_object(text)?;
    // The event's own braces are one level, and the data's come below it.
    if depth::exceeds(text.as_bytes(), limits.json_depth.saturating_add(1)) {
        return Err(EventError::TooDeep {
            limit: limits.json_depth,
        });
    }
    let Members(members) = serde_json::from_str(text).map_err(|error| EventError::NotJson {
        reason: error.to_string(),
    })?;
    let mut fields = Fields::default();
    for (name, value) in members {
        fields.take(name, value)?;
    }
    fields.into_event(limits)
}

fn check_object(text: &str) -> Result<(), EventError> {
    let found = match text.trim_ascii_start().bytes().next() {
        Some(b'{') => return Ok(()),
        Some(b'[') => return Err(EventError::Batch),
        None => "empty",
        Some(first) if is_json(text) => kind_of(first),
        Some(_) => "not JSON",
    };
    Err(EventError::NotAnObject { found })
}

/// Only asked of what is no event anyway.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// What a JSON value is, by its first byte.
fn kind_of(first: u8) -> &'static str {
    match first {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b'0'..=b'9' | b'-' => "a number",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "not JSON",
    }
}

/// The members of an event, sorted by their meaning.
#[derive(Default)]
struct Fields<'a> {
    specversion: Slot<'a>,
    id: Slot<'a>,
    source: Slot<'a>,
    event_type: Slot<'a>,
    time: Slot<'a>,
    content_type: Slot<'a>,
    subject: Slot<'a>,
    dataschema: Slot<'a>,
    data_base64: Slot<'a>,
    /// As it is written.
    data: Option<&'a str>,
    /// `None` for one that is `null`: it counts as unset, but its name must not come again.
    extensions: Vec<(Cow<'a, str>, Option<ExtensionValue>)>,
}

/// `None` if there was no such member, `Some(None)` if it was `null`.
type Slot<'a> = Option<Option<Cow<'a, str>>>;

impl<'a> Fields<'a> {
    fn take(&mut self, name: Cow<'a, str>, value: &'a str) -> Result<(), EventError> {
        let slot = match &*name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.event_type,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.content_type,
            "subject" => &mut self.subject,
            "dataschema" => &mut self.dataschema,
            "data_base64" => &mut self.data_base64,
            "data" => return fill(&mut self.data, "data", value),
            _ => {
                let value = extension_value(&name, value)?;
                self.extensions.push((name, value));
                return Ok(());
            }
        };
        let text = string_or_null(&name, value)?;
        fill(slot, &name, text)
    }

    fn into_event(mut self, limits: &EventLimits) -> Result<Event, EventError> {
        check_specversion(self.specversion.flatten())?;
        let content_type = self.content_type.take().flatten();
        let payload = payload(
            content_type.as_deref(),
            self.data,
            self.data_base64.take().flatten(),
            limits,
        )?;
        let parts = Parts {
            id: required("id", self.id)?,
            event_type: required("type", self.event_type)?,
            source: required("source", self.source)?,
            time: self.time.flatten().map(|text| text.parse()).transpose()?,
            content_type,
            subject: self.subject.flatten(),
            dataschema: self.dataschema.flatten(),
            extensions: unique(self.extensions)?,
        };
        parts.into_event(payload, limits)
    }
}

fn fill<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), EventError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(EventError::Duplicate { name: name.to_owned() }),
    }
}

fn required<'a>(field: &'static str, slot: Slot<'a>) -> Result<Cow<'a, str>, EventError> {
    slot.flatten().ok_or(EventError::Missing { field })
}

fn check_specversion(version: Option<Cow<'_, str>>) -> Result<(), EventError> {
    match version.as_deref() {
        Some("1.0") => Ok(()),
        Some(found) => Err(EventError::SpecVersion { found: excerpt(found) }),
        None => Err(EventError::Missing { field: "specversion" }),
    }
}

/// Those that are set, if no name comes twice, unset ones included.
fn unique<'a>(
    extensions: Vec<(Cow<'a, str>, Option<ExtensionValue>)>,
) -> Result<Vec<(Cow<'a, str>, ExtensionValue)>, EventError> {
    if let Some(name) = extension::duplicate(extensions.iter().map(|(name, _)| &**name)) {
        return Err(EventError::Duplicate { name: excerpt(name) });
    }
    Ok(extensions
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}

fn payload(
    content_type: Option<&str>,
    data: Option<&str>,
    data_base64: Option<Cow<'_, str>>,
    limits: &EventLimits,
) -> Result<Payload, EventError> {
    match (data, data_base64) {
        (None, None) => Ok(Payload::Absent),
        (Some(_), Some(_)) => Err(EventError::BothData),
        (None, Some(base64)) => binary(content_type, &base64, limits),
        (Some(data), None) if data.starts_with('"') && !payload::is_json(content_type.unwrap_or(JSON)) => {
            text(data, limits)
        }
        (Some(json), None) => {
            limits.check_data(json.len())?;
            Ok(Payload::Json(copy(json)))
        }
    }
}

/// A string that stands for its characters, since the content type is not JSON.
fn text(written: &str, limits: &EventLimits) -> Result<Payload, EventError> {
    let shown = string("data", written)?;
    limits.check_data(shown.len())?;
    let escaped = matches!(shown, Cow::Owned(_));
    Ok(Payload::Text {
        shown: copy(&shown),
        written: escaped.then(|| copy(written)),
    })
}

/// Bytes whose content type says JSON are held to it, as everywhere; those without a content type are not.
fn binary(content_type: Option<&str>, base64: &str, limits: &EventLimits) -> Result<Payload, EventError> {
    let bytes = STANDARD.decode(base64).map_err(|error| EventError::Base64 {
        reason: error.to_string(),
    })?;
    limits.check_data(bytes.len())?;
    if let Some(json) = content_type.filter(|content_type| payload::is_json(content_type)) {
        payload::check_json(json, &bytes, limits)?;
    }
    Ok(Payload::Binary(bytes.into()))
}

fn copy(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn extension_value(name: &str, value: &str) -> Result<Option<ExtensionValue>, EventError> {
    let found = match value.bytes().next() {
        Some(b'n') => return Ok(None),
        Some(b't') => return Ok(Some(true.into())),
        Some(b'f') => return Ok(Some(false.into())),
        Some(b'"') => return string(name, value).map(|text| Some(text.into())),
        Some(b'0'..=b'9' | b'-') => match value.parse::<i64>() {
            Ok(number) => return Ok(Some(number.into())),
            Err(_) => format!("the number {}", excerpt(value)),
        },
        other => kind_of(other.unwrap_or_default()).to_owned(),
    };
    Err(EventError::WrongKind {
        name: excerpt(name),
        found,
        wanted: "a string, a boolean or a whole number of 64 bits",
    })
}

fn string_or_null<'a>(name: &str, value: &'a str) -> Result<Option<Cow<'a, str>>, EventError> {
    match value.bytes().next() {
        Some(b'n') => Ok(None),
        Some(b'"') => string(name, value).map(Some),
        other => {
            let found = kind_of(other.unwrap_or_default()).to_owned();
            Err(EventError::WrongKind {
                name: excerpt(name),
                found,
                wanted: "a string",
            })
        }
    }
}

/// Decodes a JSON string; borrowed if it has no escapes.
fn string<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, EventError> {
    let bare = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    if !bare.as_bytes().contains(&b'\\') {
        return Ok(Cow::Borrowed(bare));
    }
    match serde_json::from_str(value) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) => Err(EventError::BadText {
            name: excerpt(name),
            reason: error.to_string(),
        }),
    }
}
