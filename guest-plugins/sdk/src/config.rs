mod fault;
mod reader;

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use reader::Reader;

/// The operator's `config` table for this plugin; empty where there is none.
///
/// Read it all at once, strictly, so that a misspelt key is an error and not a default:
///
/// ```
/// use palisade_sdk::{Config, ConfigError, duration};
/// use std::time::Duration;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     threshold: u32,
///     #[serde(with = "duration")]
///     window: Duration,
/// }
///
/// # fn main() -> Result<(), ConfigError> {
/// let config = Config::from_json(r#"{ "threshold": 5, "window": "1m" }"#)?;
/// let settings: Settings = config.parse()?;
/// assert_eq!(settings.window.as_secs(), 60);
/// # assert_eq!(settings.threshold, 5);
///
/// let wrong = Config::from_json(r#"{ "threshold": "five", "window": "1m" }"#)?;
/// let error = wrong.parse::<Settings>().err().map(|error| error.to_string());
/// assert_eq!(error.as_deref(), Some("config key `threshold`: invalid type, expected u32"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Config(Value);

impl Config {
    /// From the text of a JSON object, as the host hands it over.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        match serde_json::from_str(text) {
            Ok(table @ Value::Object(_)) => Ok(Self(table)),
            Ok(_) => Err(ConfigError::NotAnObject("it is a value of another kind".to_owned())),
            // Of syntax only, with line and column: nothing is quoted.
            Err(error) => Err(ConfigError::NotAnObject(error.to_string())),
        }
    }

    /// All of it as one type. With `#[serde(deny_unknown_fields)]` a key too many is an error, with `#[serde(default)]`
    /// a key too few is none.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        read(&self.0, None)
    }

    /// One key of it; `None` where the operator didn't give it.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        self.0.get(key).map(|value| read(value, Some(key))).transpose()
    }
}

/// What is wrong with a plugin's config. The message names the key and what was expected there, and never shows a
/// value: it may be a secret. So a text that a `Deserialize` of your own gives to `Error::custom` is dropped; give it to
/// `Error::invalid_value` as what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The host handed over something else than a JSON object.
    #[error("config is not a JSON object: {0}")]
    NotAnObject(String),
    /// A value isn't what the plugin expects.
    #[error("config key `{key}`: {reason}")]
    Key {
        /// The key, with dots where it lies deeper.
        key: String,
        /// What was expected instead.
        reason: String,
    },
    /// A key is missing, or one too many; the text names it.
    #[error("config: {0}")]
    Table(String),
}

/// `within` is the key under which `value` lies, if it isn't the whole table.
fn read<T: DeserializeOwned>(value: &Value, within: Option<&str>) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(Reader(value)).map_err(|error| {
        let path = error.path();
        let inner = (path.iter().len() > 0).then(|| path.to_string());
        let key = within
            .into_iter()
            .chain(inner.as_deref())
            .collect::<Vec<_>>()
            .join(".")
            .replace(".[", "[");
        let reason = error.inner().to_string();
        if key.is_empty() {
            ConfigError::Table(reason)
        } else {
            ConfigError::Key { key, reason }
        }
    })
}

/// For `#[serde(with = "palisade_sdk::duration")]`: reads a [`Duration`](std::time::Duration) from `"500ms"`, `"60s"`,
/// `"1m 30s"` or a plain number of seconds.
pub mod duration {
    use super::{Deserialize, Duration};
    use serde::Deserializer;
    use serde::de::{Error, Unexpected};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }

    /// Reads the duration. An error does not quote what was there instead.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        const EXPECTED: &str = "a duration such as \"500ms\", \"60s\" or \"5m\", or a number of seconds";
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| D::Error::invalid_value(Unexpected::Other("this number"), &EXPECTED)),
            Written::Text(text) => humantime::parse_duration(&text)
                .map_err(|_| D::Error::invalid_value(Unexpected::Other("this text"), &EXPECTED)),
            Written::Other(_) => Err(D::Error::invalid_type(Unexpected::Other("this"), &EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests;
