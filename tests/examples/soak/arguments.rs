//! What the soak is told.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// What the soak is told.
pub(crate) struct Arguments {
    /// How long the load lasts; 10 minutes unless given, fractions are fine.
    pub(crate) load: Duration,
    /// What chance begins with; another one at each run unless given.
    pub(crate) seed: u64,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut minutes, mut seed) = (10.0, uuid::Uuid::new_v4().as_u64_pair().0);
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a number after it"));
            match word.as_str() {
                "--minutes" => {
                    minutes = value?
                        .parse::<f64>()
                        .context("--minutes is a number such as 10 or 0.2")?
                }
                "--seed" => seed = value?.parse().context("--seed is a whole number")?,
                _ => bail!("{word} is not known here"),
            }
        }
        ensure!(
            minutes.is_finite() && (0.05..=100_000.0).contains(&minutes),
            "--minutes is 0.05 to 100,000"
        );
        Ok(Self {
            load: Duration::from_secs_f64(minutes * 60.0),
            seed,
        })
    }
}
