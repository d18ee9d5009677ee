//! What can be turned off: a table, or `false`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// `KEY = { ... }`, or `false` for none.
pub(super) enum Switch<T> {
    Off,
    On(T),
}

/// A table that may stand there.
pub(super) trait Switched {
    /// For the message to who wrote something else.
    const EXAMPLE: &'static str;
}

impl<'de, T: Deserialize<'de> + Switched> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SwitchVisitor(PhantomData))
    }
}

struct SwitchVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Switched> Visitor<'de> for SwitchVisitor<T> {
    type Value = Switch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table such as {}, or false", T::EXAMPLE)
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Switch<T>, E> {
        if on {
            return Err(E::custom(format!(
                "true does not say how: leave it out for the default, or write a table such as {}",
                T::EXAMPLE
            )));
        }
        Ok(Switch::Off)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Switch<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table)).map(Switch::On)
    }
}
