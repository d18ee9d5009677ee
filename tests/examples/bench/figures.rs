//! Figures without a target: what publishing and starting cost, by what they are made of.

use std::time::Instant;

use anyhow::{Context, Result};
use palisade::{Event, Isolation, PluginSpec, Runtime};
use palisade_tests::limits;

use crate::arguments::Arguments;
use crate::publish::all_delivered;
use crate::raw::RawPlugin;
use crate::report::Figure;
use crate::turns::{self, alone, each, turns};
use crate::warm_start::{Components, start};
use crate::{durable, memory, ours};

const FAN_OUT: &str = "publish, by subscribers (one publish, 1 KiB)";
const SIZES: &str = "publish, one persistent wasm handler, by size of the data";
const KINDS: &str = "publish, one wasm handler, 1 KiB, by kind";
const PUBLISHERS: &str = "publish, 1 KiB, by publishers at a time (wall clock of one event)";
const STARTS: &str = "start of plugins, each another component (all of them)";

/// All of them.
pub(crate) async fn all(arguments: &Arguments, figures: &mut Vec<Figure>) -> Result<()> {
    eprintln!("  publish ...");
    figures.extend(fan_out(arguments).await?);
    figures.extend(sizes(arguments).await?);
    figures.extend(kinds(arguments).await?);
    figures.extend(publishers(arguments).await?);
    eprintln!("  durable publish_async ...");
    figures.extend(durable::figures(arguments).await?);
    eprintln!("  memory ...");
    figures.extend(memory::figures(arguments).await?);
    eprintln!("  starts ...");
    figures.extend(starts(arguments).await?);
    Ok(())
}

fn nanos(table: &'static str, what: impl Into<String>, value: f64) -> Figure {
    Figure::new(table, what, "ns", value)
}

async fn fan_out(arguments: &Arguments) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for subscribers in [1, 10, 100, 1_000] {
        let runtime = ours::natives(subscribers)?;
        figures.push(nanos(
            FAN_OUT,
            format!("{subscribers} native"),
            of_publish(arguments, &runtime, subscribers).await?,
        ));
    }
    let cache = tempfile::tempdir().context("no directory")?;
    for subscribers in [1, 10, 100, 1_000] {
        let runtime = ours::crowd(cache.path(), subscribers).await?;
        figures.push(nanos(
            FAN_OUT,
            format!("{subscribers} wasm"),
            of_publish(arguments, &runtime, subscribers).await?,
        ));
    }
    Ok(figures)
}

/// The nanoseconds of a publish that goes to so many.
pub(crate) async fn of_publish(arguments: &Arguments, runtime: &Runtime, to: u32) -> Result<f64> {
    let event = ours::event(1024)?;
    let calls = (4_000 / to).max(1);
    let round = async || all_delivered(runtime, &event, calls).await;
    alone(arguments.rounds(101, 21), round).await
}

async fn sizes(arguments: &Arguments) -> Result<Vec<Figure>> {
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let mut raw = RawPlugin::probe(64)?.instance().await?;
    let mut figures = Vec::new();
    for (name, bytes) in [
        ("100 B", 100),
        ("1 KiB", 1024),
        ("16 KiB", 16 << 10),
        ("1 MiB", 1 << 20),
    ] {
        let event = ours::event(bytes)?;
        let calls = if bytes > 1 << 16 { 40 } else { 4_000 };
        let turns = turns(
            arguments.rounds(101, 21),
            async || all_delivered(&runtime, &event, calls).await,
            async || each(calls, async || raw.handle(&event).await).await,
        )
        .await?;
        figures.push(nanos(SIZES, name, turns.ours));
        figures.push(nanos(SIZES, format!("{name}, raw"), turns.raw));
    }
    Ok(figures)
}

async fn kinds(arguments: &Arguments) -> Result<Vec<Figure>> {
    let fuel = || limits(|limits| limits.fuel = Some(1_000_000_000));
    let kinds = [
        ("persistent", ours::probe()),
        ("persistent, fuel", ours::probe().limits(fuel())),
        ("per-event", ours::probe().isolation(Isolation::PerEvent)),
        (
            "per-event, fuel",
            ours::probe().isolation(Isolation::PerEvent).limits(fuel()),
        ),
    ];
    let mut figures = Vec::new();
    for (name, spec) in kinds {
        let to = if spec.isolation == Isolation::PerEvent { 10 } else { 1 };
        let runtime = ours::runtime(vec![spec]).await?;
        figures.push(nanos(KINDS, name, of_publish(arguments, &runtime, to).await?));
    }
    Ok(figures)
}

async fn publishers(arguments: &Arguments) -> Result<Vec<Figure>> {
    let one = || ours::probe().concurrency(1);
    let two = || ours::probe().concurrency(2);
    let cases: [(&str, u32, PluginSpec); 3] = [
        ("1 publisher, concurrency 1", 1, one()),
        ("2 publishers, concurrency 1", 2, one()),
        ("2 publishers, concurrency 2", 2, two()),
    ];
    let mut figures = Vec::new();
    for (name, publishers, spec) in cases {
        let runtime = ours::runtime(vec![spec]).await?;
        let round = async || publish_at_once(&runtime, publishers).await;
        figures.push(nanos(PUBLISHERS, name, alone(arguments.rounds(101, 21), round).await?));
    }
    Ok(figures)
}

/// The nanoseconds of one event where so many tasks publish, each events of its own.
async fn publish_at_once(runtime: &Runtime, publishers: u32) -> Result<f64> {
    const CALLS: u32 = 10_000;
    let events: Vec<_> = (0..publishers).map(|_| ours::event(1024)).collect::<Result<_>>()?;
    let publisher = |event: Event| {
        let runtime = runtime.clone();
        async move { all_delivered(&runtime, &event, CALLS).await }
    };
    let begin = Instant::now();
    let tasks: Vec<_> = events.into_iter().map(|event| tokio::spawn(publisher(event))).collect();
    for task in tasks {
        task.await.context("a publisher panicked")??;
    }
    Ok(turns::nanos(begin) / f64::from(publishers * CALLS))
}

async fn starts(arguments: &Arguments) -> Result<Vec<Figure>> {
    let most = arguments.count(100, 10);
    let components = Components::new(most)?;
    let mut figures = Vec::new();
    for count in [1, 10, 100].into_iter().filter(|count| *count <= most) {
        components.cool()?;
        let cold = start(&components, count).await?;
        let warm = alone(arguments.rounds(21, 5), async || start(&components, count).await).await?;
        for (cache, value) in [("cold", cold), ("warm", warm)] {
            figures.push(Figure::new(STARTS, format!("{count}, {cache} cache"), "ms", value));
        }
    }
    Ok(figures)
}
