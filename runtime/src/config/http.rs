//! The entries of `plugin.grants.http`: an origin, or a table with more about it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::plugin::HttpGrant;

/// One of them, its origin checked.
pub(super) struct HttpEntry(pub(super) HttpGrant);

/// `{ origin = "http://intranet:8080", private = true }`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HttpTable {
    origin: String,
    #[serde(default)]
    private: bool,
}

impl<'de> Deserialize<'de> for HttpEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(HttpVisitor)
    }
}

struct HttpVisitor;

impl<'de> Visitor<'de> for HttpVisitor {
    type Value = HttpEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin such as \"https://api.example.com\", or a table with `origin` and `private`")
    }

    fn visit_str<E: Error>(self, origin: &str) -> Result<HttpEntry, E> {
        let origin = origin.to_owned();
        entry(HttpTable { origin, private: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HttpEntry, A::Error> {
        entry(HttpTable::deserialize(MapAccessDeserializer::new(map))?)
    }
}

fn entry<E: Error>(HttpTable { origin, private }: HttpTable) -> Result<HttpEntry, E> {
    HttpGrant::new(&origin, private).map(HttpEntry).map_err(E::custom)
}
