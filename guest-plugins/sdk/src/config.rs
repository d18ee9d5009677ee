use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

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
/// assert_eq!(error.as_deref(), Some("config key `threshold`: invalid type: string \"five\", expected u32"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Config(Value);

impl Config {
    /// From the text of a JSON object, as the host hands it over.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(table) => Ok(Self(Value::Object(table))),
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

/// What is wrong with a plugin's config. The message names the key, and never shows more of the config than the one
/// value.
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
    serde_path_to_error::deserialize(value).map_err(|error| {
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
    use serde::de::Error;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }

    /// Reads the duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        const EXPECTED: &str = "expected a duration such as \"500ms\", \"60s\" or \"5m\", or a number of seconds";
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| D::Error::custom(format_args!("{seconds}: {EXPECTED}"))),
            Written::Text(text) => {
                humantime::parse_duration(&text).map_err(|_| D::Error::custom(format_args!("\"{text}\": {EXPECTED}")))
            }
            Written::Other(_) => Err(D::Error::custom(EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(with = "duration", default)]
        window: Duration,
        #[serde(default, rename = "rules")]
        _rules: Vec<u8>,
    }

    fn parse(text: &str) -> Result<Settings, String> {
        Config::from_json(text)
            .unwrap()
            .parse()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn durations_are_text_or_seconds() {
        for (text, millis) in [
            (r#""60s""#, 60_000),
            (r#""1m""#, 60_000),
            (r#""500ms""#, 500),
            ("60", 60_000),
            ("0.5", 500),
        ] {
            assert_eq!(
                parse(&format!(r#"{{"window":{text}}}"#)).unwrap().window,
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_value_is_named_by_its_key() {
        assert_eq!(
            parse(r#"{"window":"soon"}"#).unwrap_err(),
            "config key `window`: \"soon\": expected a duration such as \"500ms\", \"60s\" or \"5m\", or a number of seconds"
        );
        assert!(
            parse(r#"{"window":-1}"#)
                .unwrap_err()
                .starts_with("config key `window`: -1: expected a duration")
        );
        assert!(
            parse(r#"{"window":[]}"#)
                .unwrap_err()
                .starts_with("config key `window`: expected a duration")
        );
        assert!(
            parse(r#"{"rules":[1,2,300]}"#)
                .unwrap_err()
                .starts_with("config key `rules[2]`: ")
        );
    }

    #[test]
    fn a_key_too_many_is_named() {
        assert!(parse(r#"{"windou":"60s"}"#).unwrap_err().contains("`windou`"));
    }

    #[test]
    fn one_key_can_be_read_alone() {
        let config = Config::from_json(r#"{"a":{"b":1},"list":[1,"x"]}"#).unwrap();
        assert_eq!(config.get::<u8>("missing").unwrap(), None);
        assert!(
            config
                .get::<String>("a")
                .unwrap_err()
                .to_string()
                .starts_with("config key `a`: ")
        );
        assert!(
            config
                .get::<Vec<u8>>("list")
                .unwrap_err()
                .to_string()
                .starts_with("config key `list[1]`: ")
        );
    }

    #[test]
    fn only_an_object_is_a_config() {
        assert!(
            Config::from_json("[]")
                .unwrap_err()
                .to_string()
                .starts_with("config is not a JSON object")
        );
    }
}
