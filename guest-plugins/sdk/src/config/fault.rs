use std::fmt::{self, Display, Write};

use serde::de::{Error, Expected, Unexpected};

/// What is wrong with a value, told without the value: it may be a secret, and errors are logged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl Error for Fault {
    /// A text of somebody else's making, which may quote the value: it is dropped.
    fn custom<T: Display>(_: T) -> Self {
        Self("not a value that this plugin takes".to_owned())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid type, expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid value, expected {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self(format!("invalid length {length}, expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown variant, expected {}", OneOf(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown field `{field}`, expected {}", OneOf(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(format!("duplicate field `{field}`"))
    }
}

struct OneOf(&'static [&'static str]);

impl Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => return f.write_str("none"),
            [_] => {}
            _ => f.write_str("one of ")?,
        }
        for (place, name) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_char('`')?;
            f.write_str(name)?;
            f.write_char('`')?;
        }
        Ok(())
    }
}
