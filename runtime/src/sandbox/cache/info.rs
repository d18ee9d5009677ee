//! What is known of a component besides its code, as JSON: what it said of itself, and what its modules ask for. Read back by
//! the version that wrote it and by no other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plugin::{HandlerInfo, Ordering, PluginInfo};
use crate::sandbox::needs::ModuleNeeds;

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

/// The description of an entry.
#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(with = "Plugin")]
    plugin: PluginInfo,
    modules: ModuleNeeds,
}

pub(super) fn to_json(info: &PluginInfo, needs: ModuleNeeds) -> Vec<u8> {
    let description = Description {
        plugin: info.clone(),
        modules: needs,
    };
    // There is nothing in it that JSON has not.
    serde_json::to_vec(&description).unwrap_or_default()
}

pub(super) fn from_json(json: &[u8]) -> Option<(PluginInfo, ModuleNeeds)> {
    let Description { plugin, modules } = serde_json::from_slice(json).ok()?;
    Some((plugin, modules))
}
