//! What the crash test is told.

use anyhow::{Context, bail};

/// What the crash test is told.
pub(crate) struct Arguments {
    /// How many times the child is killed; 200 unless given.
    pub(crate) rounds: u32,
    /// What chance begins with; another one at each run unless given.
    pub(crate) seed: u64,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut rounds, mut seed) = (200, uuid::Uuid::new_v4().as_u64_pair().0);
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a number after it"));
            match word.as_str() {
                "--rounds" => rounds = value?.parse().context("--rounds is a whole number")?,
                "--seed" => seed = value?.parse().context("--seed is a whole number")?,
                _ => bail!("{word} is not known here"),
            }
        }
        Ok(Self { rounds, seed })
    }
}
