use std::borrow::Cow;

use super::error::{EventError, excerpt};

/// The value of a CloudEvents extension. Its kind is kept, so that the event goes out as it came in; handlers see its
/// [`canonical`](Self::canonical) text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionValue {
    /// Any text, the empty one included.
    String(Box<str>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number. CloudEvents asks for 32 bits; 64 are taken.
    Integer(i64),
}

impl ExtensionValue {
    /// The value as a text: `true` and `false`, integers in decimal, strings as they are.
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::String(text) => Cow::Borrowed(text),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
        }
    }
}

impl From<&str> for ExtensionValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for ExtensionValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Cow<'_, str>> for ExtensionValue {
    fn from(text: Cow<'_, str>) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for ExtensionValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for ExtensionValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for ExtensionValue {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for ExtensionValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u8> for ExtensionValue {
    fn from(number: u8) -> Self {
        Self::Integer(number.into())
    }
}

/// The extension that counts how many handlers an event's ancestors went through, this one's publisher included.
pub(super) const HOP_COUNT: &str = "hopcount";

/// The members of an event that are no extensions.
const ATTRIBUTES: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// CloudEvents wants lower-case letters and digits only; half the producers out there also use `_`, `-`, `.` and capitals.
pub(super) fn check_name(name: &str) -> Result<(), EventError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
        return Err(EventError::ExtensionName { name: excerpt(name) });
    }
    if ATTRIBUTES.contains(&name) {
        return Err(EventError::ExtensionIsAttribute { name: name.to_owned() });
    }
    Ok(())
}

/// A name that comes twice, if one does. Sorts, so that a hundred thousand names are refused as fast as they are read.
pub(super) fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
        .iter()
        .zip(names.iter().skip(1))
        .find(|(name, next)| name == next)
        .map(|(name, _)| *name)
}

/// Reads a hop count, from the number or from the text that an HTTP header makes of it.
pub(super) fn hop_count(value: &ExtensionValue) -> Result<u8, EventError> {
    let count = match value {
        ExtensionValue::Integer(number) => u8::try_from(*number).ok(),
        // `parse` alone would take "+1".
        ExtensionValue::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        ExtensionValue::String(_) | ExtensionValue::Boolean(_) => None,
    };
    count.ok_or_else(|| EventError::HopCount {
        found: format!("`{}`", excerpt(&value.canonical())),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    /// E2
    #[test]
    fn canonical_texts_are_those_of_cloudevents() {
        let values = [
            true.into(),
            false.into(),
            (-7_i64).into(),
            0_u8.into(),
            "True".into(),
            ExtensionValue::from(""),
        ];
        assert_eq!(
            values.each_ref().map(ExtensionValue::canonical),
            ["true", "false", "-7", "0", "True", ""]
        );
    }

    #[test]
    fn names_obeyed() {
        for name in [
            "a",
            "traceparent",
            "Trace_Parent",
            "com.example-x",
            "0",
            &"n".repeat(64),
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_violated() {
        for name in ["", "a b", "ä", "a:b", "a\n", "\u{0}", &"n".repeat(65)] {
            assert_eq!(check_name(name), Err(EventError::ExtensionName { name: excerpt(name) }));
        }
        for name in ATTRIBUTES {
            assert_eq!(
                check_name(name),
                Err(EventError::ExtensionIsAttribute { name: name.to_owned() })
            );
        }
    }

    /// B10
    #[test]
    fn a_hop_count_is_a_number_or_its_digits() {
        let good: [(ExtensionValue, u8); 5] = [
            (0.into(), 0),
            (255.into(), 255),
            ("16".into(), 16),
            ("0".into(), 0),
            ("007".into(), 7),
        ];
        for (value, count) in good {
            assert_eq!(hop_count(&value), Ok(count));
        }
        let bad: [ExtensionValue; 9] = [
            (-1).into(),
            256.into(),
            i64::MAX.into(),
            true.into(),
            "".into(),
            "+1".into(),
            "1.0".into(),
            "256".into(),
            "many".into(),
        ];
        for value in bad {
            assert!(
                matches!(hop_count(&value), Err(EventError::HopCount { .. })),
                "{value:?}"
            );
        }
    }
}
