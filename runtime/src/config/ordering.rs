//! `ordering` and `ordering-key`.

use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::value::{Parsed, Value};
use crate::delivery::EventOrder;

/// The extension of CloudEvents that is made for this.
const PARTITION_KEY: &str = "partitionkey";

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderingName {
    None,
    Key,
    Strict,
}

/// The name of a metadata key.
#[derive(Clone, Debug)]
pub(super) struct MetadataKey(Box<str>);

/// What a place of the file says, together with what it inherits: the order, and the key for those that order by one.
#[derive(Clone)]
pub(super) struct Ordering {
    name: OrderingName,
    key: Box<str>,
}

impl FromStr for MetadataKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return Err(format!(
                "{text:?} is no metadata key such as \"subject\" or \"partitionkey\""
            ));
        }
        Ok(Self(text.into()))
    }
}

impl Default for Ordering {
    fn default() -> Self {
        Self {
            name: OrderingName::None,
            key: PARTITION_KEY.into(),
        }
    }
}

impl Ordering {
    /// This one, where a table does not say otherwise.
    pub(super) fn under(&self, name: Option<OrderingName>, key: Option<&Spanned<Parsed<MetadataKey>>>) -> Self {
        Self {
            name: name.unwrap_or(self.name),
            key: key.map_or_else(|| self.key.clone(), |key| key.get_ref().get().0),
        }
    }

    pub(super) fn is_by_key(&self) -> bool {
        self.name == OrderingName::Key
    }

    pub(super) fn order(&self) -> EventOrder {
        match self.name {
            OrderingName::None => EventOrder::None,
            OrderingName::Key => EventOrder::Key(self.key.clone()),
            OrderingName::Strict => EventOrder::Strict,
        }
    }
}
