//! What a plugin said of itself, as JSON. Read back by the version that wrote it and by no other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plugin::{HandlerInfo, Ordering, PluginInfo};

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginInfo")]
struct Plugin {
    name: String,
    version: String,
    description: String,
    dependencies: Vec<String>,
    #[serde(with = "handlers")]
    handlers: Vec<HandlerInfo>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HandlerInfo")]
struct Handler {
    name: String,
    patterns: Vec<String>,
    timeout: Option<Duration>,
    #[serde(with = "Order")]
    ordering: Ordering,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ordering")]
enum Order {
    None,
    Key(String),
    Strict,
}

mod handlers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Handler, HandlerInfo};

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "Handler")] HandlerInfo);

    pub(super) fn serialize<S: Serializer>(handlers: &[HandlerInfo], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(handlers.iter().cloned().map(Whole))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HandlerInfo>, D::Error> {
        let handlers = Vec::<Whole>::deserialize(from)?;
        Ok(handlers.into_iter().map(|Whole(handler)| handler).collect())
    }
}

pub(super) fn to_json(info: &PluginInfo) -> Vec<u8> {
    let mut json = Vec::new();
    // A vector takes all that is written to it.
    let _ = Plugin::serialize(info, &mut serde_json::Serializer::new(&mut json));
    json
}

pub(super) fn from_json(json: &[u8]) -> Option<PluginInfo> {
    Plugin::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
}
