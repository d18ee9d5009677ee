/// Why an event was not made. Every message names the field; those on a limit name the size, the limit and its config key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The caller handed over bytes that are no text at all.
    #[error("the event is not UTF-8: the byte at offset {offset} starts no character")]
    NotUtf8 {
        /// Where the text ends being UTF-8, in bytes from its start.
        offset: usize,
    },
    /// The caller handed over text that is no JSON document, or a document with something after it.
    #[error("the event is not JSON: {reason}")]
    NotJson {
        /// What the parser met, with line and column.
        reason: String,
    },
    /// The caller handed over a JSON array, a batch of events, where one event was asked for.
    #[error("this is a JSON array; a batch is not read here, give one event (a JSON object) at a time")]
    Batch,
    /// The caller handed over JSON that is no object, or nothing.
    #[error("this is {found}; a CloudEvents event is a JSON object")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// The caller's event has a member twice, and nobody could say which counts.
    #[error("the event has `{name}` more than once")]
    Duplicate {
        /// The member's name.
        name: String,
    },
    /// The caller's event lacks an attribute that every event has.
    #[error("`{field}` is missing; every event has one")]
    Missing {
        /// The attribute.
        field: &'static str,
    },
    /// The caller gave an attribute an empty text.
    #[error("`{field}` is empty; it has at least one character")]
    Empty {
        /// The attribute.
        field: &'static str,
    },
    /// The caller's event is of a CloudEvents version that is not spoken here.
    #[error("`specversion` is `{found}`; this runtime reads CloudEvents \"1.0\"")]
    SpecVersion {
        /// The version it names.
        found: String,
    },
    /// The caller gave a member a value of a kind that it can't have.
    #[error("`{name}` is {found}; it must be {wanted}")]
    WrongKind {
        /// The member's name.
        name: String,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The caller's text has an escape that stands for no character, such as half of a surrogate pair.
    #[error("`{name}` can't be read as text: {reason}")]
    BadText {
        /// The member's name.
        name: String,
        /// What the parser met.
        reason: String,
    },
    /// The caller gave a time that is none.
    #[error("time `{text}` is not an RFC 3339 time such as 2026-01-31T23:59:59.5+01:00: {reason}")]
    Time {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller gave an extension a name that it can't have.
    #[error("`{name}` can't name an extension: a name has 1 to 64 ASCII letters, digits, `_`, `-` and `.`")]
    ExtensionName {
        /// The name.
        name: String,
    },
    /// The caller gave an extension the name of an attribute or of the data, which have setters of their own.
    #[error("`{name}` is a member of every event and can't be an extension; set it by its own method")]
    ExtensionIsAttribute {
        /// The name.
        name: String,
    },
    /// The caller gave a hop count that is none, so that loops could not be told.
    #[error("`hopcount` is {found}; it must be a whole number from 0 to 255")]
    HopCount {
        /// What it is.
        found: String,
    },
    /// The caller gave data in both forms.
    #[error("the event has both `data` and `data_base64`; give one of them")]
    BothData,
    /// The caller gave a `data_base64` that can't be decoded.
    #[error("`data_base64` is not base64 (RFC 4648, with padding): {reason}")]
    Base64 {
        /// What the decoder met.
        reason: String,
    },
    /// The caller said that the data is JSON (by its content type, or by giving none), and it isn't.
    #[error("data of content type `{content_type}` is not JSON: {reason}; give the content type that it has")]
    DataNotJson {
        /// The content type in force.
        content_type: String,
        /// What the parser met, with line and column.
        reason: String,
    },
    /// The caller gave a value that can't be written as JSON, such as a map whose keys are no strings.
    #[error("the data can't be written as JSON: {reason}")]
    Unserializable {
        /// What the serializer met.
        reason: String,
    },
    /// The caller gave JSON that nests deeper than `events.max-json-depth`.
    #[error("the data is JSON nested more than {limit} deep (events.max-json-depth)")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// The caller gave an attribute that is longer than its limit.
    #[error("{field} is {}; the limit is {} bytes ({key})", size(*bytes), grouped(*limit))]
    TooLong {
        /// The attribute.
        field: &'static str,
        /// How long it is, in bytes.
        bytes: usize,
        /// The limit in force, in bytes.
        limit: usize,
        /// The limit's config key.
        key: &'static str,
    },
    /// The caller gave more data than `events.max-data`.
    #[error("data is {}; the limit is {} bytes (events.max-data)", size(*bytes), grouped(*limit))]
    DataTooLarge {
        /// How much it is, in bytes as a handler would see them.
        bytes: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The caller gave more metadata than `events.max-metadata-entries`.
    #[error("metadata has {} entries; the limit is {} (events.max-metadata-entries)", grouped(*entries), grouped(*limit))]
    TooManyMetadata {
        /// How many they are: extensions, `subject` and `dataschema`.
        entries: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The caller gave larger metadata than `events.max-metadata`.
    #[error("metadata is {}; the limit is {} bytes (events.max-metadata)", size(*bytes), grouped(*limit))]
    MetadataTooLarge {
        /// The bytes of all names and canonical values.
        bytes: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
}

/// A publisher's text as it may be shown in a message: control characters escaped, and cut where it is long.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS: usize = 64;
    let mut shown: String = text.chars().take(CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// `1.2 MiB (1,258,291 bytes)`: for people first, exact second.
fn size(bytes: usize) -> String {
    const KIB: f64 = 1024.0;
    let exact = format!("{} bytes", grouped(bytes));
    match bytes as f64 {
        small if small < KIB => exact,
        medium if medium < KIB * KIB => format!("{:.1} KiB ({exact})", medium / KIB),
        large => format!("{:.1} MiB ({exact})", large / (KIB * KIB)),
    }
}

/// `1258291` as `1,258,291`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E1
    #[test]
    fn a_limit_that_is_hit_is_told_with_field_size_limit_and_key() {
        let data = EventError::DataTooLarge {
            bytes: 1_258_291,
            limit: 1_048_576,
        };
        assert_eq!(
            data.to_string(),
            "data is 1.2 MiB (1,258,291 bytes); the limit is 1,048,576 bytes (events.max-data)"
        );
        let id = EventError::TooLong {
            field: "id",
            bytes: 257,
            limit: 256,
            key: "events.max-id",
        };
        assert_eq!(
            id.to_string(),
            "id is 257 bytes; the limit is 256 bytes (events.max-id)"
        );
        let metadata = EventError::MetadataTooLarge {
            bytes: 20_480,
            limit: 16_384,
        };
        assert_eq!(
            metadata.to_string(),
            "metadata is 20.0 KiB (20,480 bytes); the limit is 16,384 bytes (events.max-metadata)"
        );
        assert_eq!(
            EventError::TooManyMetadata { entries: 65, limit: 64 }.to_string(),
            "metadata has 65 entries; the limit is 64 (events.max-metadata-entries)"
        );
    }

    /// H21
    #[test]
    fn a_message_shows_no_control_characters_and_no_megabytes() {
        assert_eq!(excerpt("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(excerpt(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(excerpt(&"ü".repeat(1 << 20)), format!("{}…", "ü".repeat(64)));
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        let numbers = [0, 12, 999, 1000, 12_345, 1_048_576];
        assert_eq!(numbers.map(grouped), ["0", "12", "999", "1,000", "12,345", "1,048,576"]);
    }
}
