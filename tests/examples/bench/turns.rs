//! Two sides take turns, so that what the machine does meanwhile does it to both.

use std::time::Instant;

use anyhow::{Context, Result};

/// The medians of both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    pub(crate) ours: f64,
    pub(crate) raw: f64,
}

impl Medians {
    /// What ours is of raw.
    pub(crate) fn ratio(self) -> f64 {
        self.ours / self.raw
    }
}

/// So many rounds, each side once in each, after one that does not count.
pub(crate) async fn turns(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut raw: impl AsyncFnMut() -> Result<f64>,
) -> Result<Medians> {
    let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
    raw().await?;
    ours().await?;
    for round in 0..rounds {
        // Neither of them always comes after the other.
        if round % 2 == 0 {
            of_raw.push(raw().await?);
            of_ours.push(ours().await?);
        } else {
            of_ours.push(ours().await?);
            of_raw.push(raw().await?);
        }
    }
    Ok(Medians {
        ours: median(of_ours)?,
        raw: median(of_raw)?,
    })
}

/// The same for one side alone.
pub(crate) async fn alone(rounds: usize, mut ours: impl AsyncFnMut() -> Result<f64>) -> Result<f64> {
    let mut all = Vec::new();
    ours().await?;
    for _ in 0..rounds {
        all.push(ours().await?);
    }
    median(all)
}

/// The nanoseconds of one of so many calls in a row.
pub(crate) async fn each(calls: u32, mut call: impl AsyncFnMut() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    for _ in 0..calls {
        call().await?;
    }
    Ok(nanos(begin) / f64::from(calls))
}

/// The nanoseconds since.
pub(crate) fn nanos(begin: Instant) -> f64 {
    begin.elapsed().as_nanos() as f64
}

/// The middle one.
pub(crate) fn median(mut all: Vec<f64>) -> Result<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().context("no rounds")
}
