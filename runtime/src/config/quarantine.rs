//! `quarantine`: a table, or `false`.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::value::{Count, Time, Value};
use crate::quarantine::QuarantinePolicy;

/// `quarantine = { faults = 5, window = "60s" }`, or `false` for none.
pub(super) enum Quarantine {
    Off,
    On(QuarantineTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct QuarantineTable {
    faults: Option<Count<u32, 10_000>>,
    window: Option<Time>,
}

impl Quarantine {
    /// What the table does not say is as before, or, where that was off, as by default.
    pub(super) fn over(&self, before: Option<QuarantinePolicy>) -> Option<QuarantinePolicy> {
        let Self::On(table) = self else { return None };
        let before = before.unwrap_or_default();
        Some(QuarantinePolicy {
            faults: table.faults.as_ref().map_or(before.faults, Value::get),
            window: table.window.as_ref().map_or(before.window, Value::get),
        })
    }
}

impl<'de> Deserialize<'de> for Quarantine {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(QuarantineVisitor)
    }
}

struct QuarantineVisitor;

impl<'de> Visitor<'de> for QuarantineVisitor {
    type Value = Quarantine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table such as { faults = 5, window = \"60s\" }, or false")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Quarantine, E> {
        if on {
            return Err(E::custom(
                "true says neither how many faults nor in which time: leave it out for the default",
            ));
        }
        Ok(Quarantine::Off)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Quarantine, A::Error> {
        QuarantineTable::deserialize(MapAccessDeserializer::new(table)).map(Quarantine::On)
    }
}
