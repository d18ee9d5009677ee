use serde::de::IgnoredAny;

use super::depth;
use crate::{Draft, PublishError};

/// The host's rules for a draft, apart from the grants and the outbox's limits, in the host's words.
pub(super) fn check(draft: &Draft) -> Result<(), PublishError> {
    draft.metadata.iter().try_for_each(|(name, _)| check_name(name))?;
    check_once(&draft.metadata)?;
    check_data(draft)?;
    if let Some(content_type) = &draft.content_type {
        check_text("datacontenttype", content_type, 1024, "fixed")?;
    }
    check_text("type", &draft.event_type, 256, "events.max-type")?;
    check_size(&draft.metadata)
}

/// What a draft counts for against the outbox's limit on bytes: its data, type and metadata.
pub(super) fn size_bytes(draft: &Draft) -> usize {
    draft.event_type.len() + draft.data.len() + metadata_bytes(&draft.metadata)
}

const HOST_OWNED: [&str; 16] = [
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
    "data_base64",
];

fn check_name(name: &str) -> Result<(), PublishError> {
    if HOST_OWNED.contains(&name) {
        return invalid(format!("the host sets `{name}` itself; leave it out of the metadata"));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    invalid(format!(
        "`{shown}` is no name for metadata: use 1 to 64 lower-case letters and digits"
    ))
}

fn check_once(metadata: &[(String, String)]) -> Result<(), PublishError> {
    for (place, (name, _)) in metadata.iter().enumerate() {
        if metadata.iter().take(place).any(|(earlier, _)| earlier == name) {
            return invalid(format!("the event has `{name}` more than once"));
        }
    }
    Ok(())
}

const JSON: &str = "application/json";
const JSON_DEPTH: usize = 128;

fn check_data(draft: &Draft) -> Result<(), PublishError> {
    let content_type = draft.content_type.as_deref().unwrap_or(JSON);
    let absent = draft.content_type.is_none() && draft.data.is_empty();
    if absent || !is_json(content_type) {
        return Ok(());
    }
    if depth::exceeds(&draft.data, JSON_DEPTH) {
        return invalid(format!(
            "the data is JSON nested more than {JSON_DEPTH} deep (events.max-json-depth)"
        ));
    }
    parse(&draft.data).or_else(|reason| {
        invalid(format!(
            "data of content type `{content_type}` is not JSON: {reason}; give the content type that it has"
        ))
    })
}

/// serde_json ignores a value without its own limit on nesting, which is 127; but it would not look whether the strings
/// in it are UTF-8.
fn parse(data: &[u8]) -> Result<(), String> {
    let text = str::from_utf8(data).map_err(|error| error.to_string())?;
    let parsed = serde_json::from_str::<IgnoredAny>(text);
    parsed.map(|_| ()).map_err(|error| error.to_string())
}

/// Whether a media type says JSON: its subtype is `json` or ends in `+json`, whatever its case and its parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit_once('+').map_or(subtype, |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case("json")
}

fn check_text(field: &str, text: &str, limit: usize, key: &str) -> Result<(), PublishError> {
    match text.len() {
        0 => invalid(format!("`{field}` is empty; it has at least one character")),
        bytes if bytes > limit => invalid(format!("{field} is {bytes} bytes; the limit is {limit} bytes ({key})")),
        _ => Ok(()),
    }
}

fn check_size(metadata: &[(String, String)]) -> Result<(), PublishError> {
    let (entries, bytes) = (metadata.len(), metadata_bytes(metadata));
    if entries > 64 {
        return invalid(format!(
            "metadata has {entries} entries; the limit is 64 (events.max-metadata-entries)"
        ));
    }
    if bytes > 16 * 1024 {
        return invalid(format!(
            "metadata is {bytes} bytes; the limit is 16384 bytes (events.max-metadata)"
        ));
    }
    Ok(())
}

fn metadata_bytes(metadata: &[(String, String)]) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn invalid(text: String) -> Result<(), PublishError> {
    Err(PublishError::Invalid(text))
}

#[cfg(test)]
mod tests;
