//! `ordering` and `ordering-key`.

use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::document::Document;
use super::error::ConfigProblem;
use super::value::{Parsed, Value};
use crate::delivery::EventOrder;

/// The extension of CloudEvents that is made for this.
const PARTITION_KEY: &str = "partitionkey";

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderingName {
    None,
    Key,
    Strict,
}

/// The name of a metadata key.
#[derive(Clone, Debug)]
pub(super) struct MetadataKey(Box<str>);

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

/// What both keys of a table say together, over what was said before.
pub(super) fn ordering(
    (name, key): (Option<OrderingName>, Option<&Spanned<Parsed<MetadataKey>>>),
    before: &EventOrder,
    owner: &str,
    document: &Document,
    problems: &mut Vec<ConfigProblem>,
) -> EventOrder {
    let own = key.map(|key| key.get_ref().get().0);
    let known = match before {
        EventOrder::Key(key) => Some(key.clone()),
        _ => None,
    };
    let by_key = || EventOrder::Key(own.clone().or(known).unwrap_or_else(|| PARTITION_KEY.into()));
    let ordering = match name {
        Some(OrderingName::None) => EventOrder::None,
        Some(OrderingName::Strict) => EventOrder::Strict,
        Some(OrderingName::Key) => by_key(),
        None if matches!(before, EventOrder::Key(_)) => by_key(),
        None => before.clone(),
    };
    if let Some(key) = key.filter(|_| !matches!(ordering, EventOrder::Key(_))) {
        let message = "it is for ordering = \"key\", which is not what is set here".to_owned();
        problems.push(document.problem(&key.span(), format!("{owner}.ordering-key"), message));
    }
    ordering
}
