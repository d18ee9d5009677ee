//! Two sides take turns, so that what the machine does meanwhile does it to both.
//!
//! Criterion and divan measure one thing after the other and have nothing for this, so it is done here, and nothing beyond it
//! but to take the middle of what came out.
//!
//! Rounds are short (milliseconds, where a call is) and many. The ratio is the median of the ratios of each round, not that of
//! the medians: both sides of a round ran right after one another, so a machine that is slow for a second is so for both and
//! the ratio stays, while each side's median may come from another second.

use std::time::Instant;

use anyhow::{Context, Result};

/// What came out of so many rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    /// The median of ours.
    pub(crate) ours: f64,
    /// The median of raw.
    pub(crate) raw: f64,
    /// What ours is of raw, round by round.
    pub(crate) ratio: Spread,
}

/// The middle of several rounds, and how far most of them are from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// A tenth of the rounds is below.
    pub(crate) p10: f64,
    /// A tenth of the rounds is above.
    pub(crate) p90: f64,
}

/// So many rounds, each side once in each, after some that do not count.
pub(crate) async fn turns(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut raw: impl AsyncFnMut() -> Result<f64>,
) -> Result<Turns> {
    for _ in 0..warm_up(rounds) {
        raw().await?;
        ours().await?;
    }
    let mut pairs = Vec::new();
    for round in 0..rounds {
        // Neither of them always comes after the other.
        pairs.push(if round % 2 == 0 {
            let raw = raw().await?;
            (ours().await?, raw)
        } else {
            (ours().await?, raw().await?)
        });
    }
    let of = |side: fn(&(f64, f64)) -> f64| spread(pairs.iter().map(side).collect());
    Ok(Turns {
        ours: of(|pair| pair.0)?.median,
        raw: of(|pair| pair.1)?.median,
        ratio: of(|(ours, raw)| ours / raw)?,
    })
}

/// The same for one side alone: its median.
pub(crate) async fn alone(rounds: usize, mut ours: impl AsyncFnMut() -> Result<f64>) -> Result<f64> {
    for _ in 0..warm_up(rounds) {
        ours().await?;
    }
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(ours().await?);
    }
    Ok(spread(all)?.median)
}

/// The medians of several things of one kind, which take turns like the sides do: or a table would show the machine's hours.
pub(crate) async fn in_turn<T>(
    rounds: usize,
    things: &[T],
    mut measure: impl AsyncFnMut(&T) -> Result<f64>,
) -> Result<Vec<f64>> {
    let mut all: Vec<Vec<f64>> = things.iter().map(|_| Vec::new()).collect();
    for round in 0..warm_up(rounds) + rounds {
        for (thing, found) in things.iter().zip(&mut all) {
            let value = measure(thing).await?;
            if round >= warm_up(rounds) {
                found.push(value);
            }
        }
    }
    all.into_iter().map(|found| Ok(spread(found)?.median)).collect()
}

/// A first round finds caches cold; many short rounds have more than one such.
fn warm_up(rounds: usize) -> usize {
    1 + rounds / 20
}

/// The nanoseconds of one of so many calls in a row.
pub(crate) async fn each(calls: u32, mut call: impl AsyncFnMut() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    for _ in 0..calls {
        call().await?;
    }
    Ok(nanos(begin) / f64::from(calls))
}

/// The nanoseconds of one call where each takes one of these, which were made before.
pub(crate) async fn each_of<T>(given: Vec<T>, mut call: impl AsyncFnMut(T) -> Result<()>) -> Result<f64> {
    let calls = given.len() as f64;
    let begin = Instant::now();
    for one in given {
        call(one).await?;
    }
    Ok(nanos(begin) / calls)
}

/// The nanoseconds since.
pub(crate) fn nanos(begin: Instant) -> f64 {
    begin.elapsed().as_nanos() as f64
}

fn spread(mut all: Vec<f64>) -> Result<Spread> {
    all.sort_by(f64::total_cmp);
    let last = all.len().saturating_sub(1);
    let at = |place: usize| all.get(place).copied().context("no rounds");
    Ok(Spread {
        median: at(last / 2)?,
        p10: at(last / 10)?,
        // Of few rounds: the least and the most.
        p90: at((last * 9).div_ceil(10))?,
    })
}
