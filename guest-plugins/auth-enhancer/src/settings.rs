use palisade_sdk::prelude::*;
use palisade_sdk::{ConfigError, duration};
use serde::Deserialize;

/// The plugin's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// How far back failures count, by event time: `"60s"`, `"1m"`, `"500ms"` or a number of seconds.
    #[serde(with = "duration")]
    pub(crate) window: Duration,
    /// How many failures within the window raise the alarm, 1 to 10,000.
    pub(crate) threshold: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            threshold: 5,
        }
    }
}

impl Settings {
    pub(crate) fn read(config: &Config) -> Result<Self, ConfigError> {
        let settings: Self = config.parse()?;
        if settings.window.is_zero() {
            return Err(wrong("window", "it has to be longer than nothing"));
        }
        if !(1..=10_000).contains(&settings.threshold) {
            return Err(wrong("threshold", "it has to be 1 to 10000"));
        }
        Ok(settings)
    }
}

fn wrong(key: &str, reason: &str) -> ConfigError {
    ConfigError::Key {
        key: key.to_owned(),
        reason: reason.to_owned(),
    }
}
