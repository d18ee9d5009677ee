//! A plugin's own settings: handed to its `start`, shown to nobody in full.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What stands where a secret would be shown.
pub const REDACTED: &str = "[redacted]";

/// The largest table, as JSON, that a plugin may be given.
const MAX_BYTES: usize = 1024 * 1024;

/// A table of settings. Values that came from files are secrets: the plugin gets them, [`shown`](Self::shown) does not
/// have them, and neither `Debug` nor events do.
#[derive(Clone, Default, PartialEq)]
pub struct PluginConfig {
    values: BTreeMap<String, Setting>,
}

#[derive(Clone, PartialEq)]
struct Setting {
    value: Value,
    secret: bool,
}

impl PluginConfig {
    /// A table of values that may be shown.
    ///
    /// # Errors
    /// When `table` is not a JSON object.
    pub fn from_json(table: Value) -> Result<Self, String> {
        let Value::Object(table) = table else {
            return Err("a plugin's config is a table".to_owned());
        };
        Ok(table
            .into_iter()
            .fold(Self::default(), |config, (key, value)| config.with(key, value)))
    }

    /// Sets a value that may be shown.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(
            key.into(),
            Setting {
                value: value.into(),
                secret: false,
            },
        );
        self
    }

    /// Sets a value that is never shown.
    #[must_use]
    pub fn with_secret(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(
            key.into(),
            Setting {
                value: value.into(),
                secret: true,
            },
        );
        self
    }

    /// The table with its secrets replaced.
    pub fn shown(&self) -> Value {
        self.table(|setting| {
            if setting.secret {
                REDACTED.into()
            } else {
                setting.value.clone()
            }
        })
    }

    /// What must not be shown wherever the plugin says it: the texts and numbers of its secrets.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        let secret = self.values.values().filter(|setting| setting.secret);
        secret.for_each(|setting| collect_texts(&setting.value, &mut secrets));
        secrets
    }

    /// The whole table, for the plugin.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        let json = self.table(|setting| setting.value.clone()).to_string();
        if json.len() > MAX_BYTES {
            return Err(format!(
                "the config has {} bytes as JSON; {MAX_BYTES} are the most",
                json.len()
            ));
        }
        Ok(json)
    }

    /// Each key with its value, secrets included, for the plugin.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, setting)| (key.as_str(), &setting.value))
    }

    /// The keys whose values differ, sorted.
    pub(crate) fn changed_keys(&self, other: &Self) -> Vec<String> {
        let keys = self.values.keys().chain(other.values.keys());
        let changed = keys.filter(|key| self.values.get(*key) != other.values.get(*key));
        changed
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn table(&self, value: impl Fn(&Setting) -> Value) -> Value {
        Value::Object(
            self.values
                .iter()
                .map(|(key, setting)| (key.clone(), value(setting)))
                .collect::<Map<_, _>>(),
        )
    }
}

impl std::fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PluginConfig({})", self.shown())
    }
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(table) => table.values().for_each(|value| collect_texts(value, texts)),
        Value::Null | Value::Bool(_) => {}
    }
}
