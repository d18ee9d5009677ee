//! What the bench is told.

use anyhow::{Context, bail};

/// What the bench is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    /// Few rounds: a look, not a measurement.
    pub(crate) quick: bool,
    /// The ids of what is measured; empty: everything.
    pub(crate) only: Vec<String>,
    /// Whether a missed target is a failure.
    pub(crate) check: bool,
    /// Whether the usage is all that is asked for.
    pub(crate) help: bool,
}

impl Arguments {
    /// `known` are the ids that there are.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>, known: &[&str]) -> anyhow::Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--check" => arguments.check = true,
                "--help" | "-h" => arguments.help = true,
                "--only" => {
                    let ids = words.next().context("--only needs ids after it, such as T1,T5")?;
                    arguments.only = ids
                        .split(',')
                        .map(|id| find(id.trim(), known))
                        .collect::<Result<_, _>>()?;
                }
                _ => bail!("{word} is not known here"),
            }
        }
        Ok(arguments)
    }

    /// Whether this is to be measured.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }

    /// How many rounds.
    pub(crate) fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// How many of anything: calls, plugins, kills.
    pub(crate) fn count(&self, full: u32, quick: u32) -> u32 {
        if self.quick { quick } else { full }
    }
}

/// The id that is meant, in whatever case.
fn find(word: &str, known: &[&str]) -> anyhow::Result<String> {
    let found = known.iter().find(|id| id.eq_ignore_ascii_case(word));
    let found = found.with_context(|| format!("--only `{word}`: there are {}", known.join(", ")))?;
    Ok((*found).to_owned())
}
