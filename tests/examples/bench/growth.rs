//! How cost grows with what is there: tables that are flat where they should be.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use palisade::{Event, QueuePolicy, Runtime, SubscribeOptions};
use tokio::sync::Semaphore;

use crate::arguments::Arguments;
use crate::figures::of_publish;
use crate::ours;
use crate::publish::all_delivered;
use crate::report::Figure;
use crate::turns::{alone, in_turn, nanos};
use crate::unmatched::{Beside, Patterns};

const NATIVES: &str = "growth: publish to N native subscribers, per delivery";
const LITERALS: &str = "growth: publish that matches nothing, beside N literals";
const WILDCARDS: &str = "growth: publish that matches nothing, beside N wildcards";
const BOTH: &str = "growth: publish that matches nothing, beside N of both kinds";
const PLUGINS: &str = "growth: publish to N plugins, per delivery";
const BESIDE_PLUGINS: &str = "growth: publish to one native handler, beside N plugins";
const STARTS: &str = "growth: start of the last tenth of N plugins, warm, per plugin";
const CAP: &str = "growth: one plugin more than there is room for";
const BESIDE_QUEUED: &str = "growth: publish_async, beside N events that wait";
const QUEUED: &str = "growth: handling of N events that waited, and of 1,000 more, per event";
const STEPS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// Beyond, the kernel's `vm.max_map_count` ends it.
const MOST_PLUGINS: u32 = 5_000;

/// All of them.
pub(crate) async fn all(arguments: &Arguments, figures: &mut Vec<Figure>) -> Result<()> {
    eprintln!("  subscribers ...");
    figures.extend(natives(arguments).await?);
    eprintln!("  patterns ...");
    figures.extend(patterns(arguments, LITERALS, Patterns::Literals).await?);
    figures.extend(patterns(arguments, WILDCARDS, Patterns::Wildcards).await?);
    figures.extend(patterns(arguments, BOTH, Patterns::Both).await?);
    eprintln!("  queued events ...");
    figures.extend(queued(arguments).await?);
    eprintln!("  plugins ...");
    figures.extend(plugins(arguments).await?);
    Ok(())
}

fn figure(table: &'static str, n: u32, unit: &'static str, value: f64) -> Figure {
    Figure::new(table, n.to_string(), unit, value)
}

fn table(name: &'static str, unit: &'static str, values: Vec<f64>) -> impl Iterator<Item = Figure> {
    let of_step = move |(n, value)| figure(name, n, unit, value);
    STEPS.into_iter().zip(values).map(of_step)
}

async fn natives(arguments: &Arguments) -> Result<impl Iterator<Item = Figure>> {
    let runtimes: Vec<_> = STEPS
        .iter()
        .map(|n| Ok((*n, ours::natives(*n)?)))
        .collect::<Result<_>>()?;
    let event = ours::event(1024)?;
    let values = in_turn(arguments.rounds(101, 21), &runtimes, async |(n, runtime)| {
        let calls = (4_000 / n).max(1);
        Ok(all_delivered(runtime, &event, calls).await? / f64::from(*n))
    });
    Ok(table(NATIVES, "ns", values.await?))
}

async fn patterns(
    arguments: &Arguments,
    name: &'static str,
    patterns: Patterns,
) -> Result<impl Iterator<Item = Figure>> {
    let runtimes: Vec<_> = STEPS.iter().map(|n| Beside::new(*n, patterns)).collect::<Result<_>>()?;
    let values = in_turn(arguments.rounds(101, 21), &runtimes, async |beside| beside.cost().await);
    Ok(table(name, "ns", values.await?))
}

async fn plugins(arguments: &Arguments) -> Result<Vec<Figure>> {
    let most = arguments.count(MOST_PLUGINS, 1_000);
    let cache = tempfile::tempdir().context("no directory")?;
    // Another runtime compiles it for this one.
    drop(ours::crowd(cache.path(), 1).await?);
    let runtime = roomy(arguments, cache.path(), most)?;
    runtime.subscribe("other.event", "native", |_| std::future::ready(Ok(())))?;
    let (mut to, mut beside, mut starts, mut there) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for n in [1, 10, 100, 1_000, MOST_PLUGINS].into_iter().filter(|n| *n <= most) {
        let last = (n / 10).max(1);
        runtime.launch(ours::probes(there..n - last)).await?;
        let begin = Instant::now();
        runtime.launch(ours::probes(n - last..n)).await?;
        starts.push(figure(STARTS, n, "ms", nanos(begin) / 1e6 / f64::from(last)));
        there = n;
        let value = of_publish(arguments, &runtime, n).await? / f64::from(n);
        to.push(figure(PLUGINS, n, "ns", value));
        beside.push(figure(BESIDE_PLUGINS, n, "ns", to_native(arguments, &runtime).await?));
    }
    let refusal = one_too_many(&runtime, there).await?;
    Ok([to, beside, starts, vec![refusal]].concat())
}

/// As much room as the kernel leaves; a quick look has its own end, to show it sooner.
fn roomy(arguments: &Arguments, cache: &Path, most: u32) -> Result<Runtime> {
    if arguments.quick {
        return ours::crowded(cache, most);
    }
    Ok(Runtime::builder().cache_dir(cache.join("cache")).build()?)
}

async fn to_native(arguments: &Arguments, runtime: &Runtime) -> Result<f64> {
    let event = ours::typed("other.event", 1024)?;
    let round = async || all_delivered(runtime, &event, 4_000).await;
    alone(arguments.rounds(101, 21), round).await
}

/// Starts plugins until one is refused, and says how that is told.
async fn one_too_many(runtime: &Runtime, there: u32) -> Result<Figure> {
    // No runtime has room for more than this unless it is told so.
    for number in there..=10_000 {
        if let Err(error) = runtime.launch(ours::probes(number..number + 1)).await {
            return Ok(Figure::words(CAP, (number + 1).to_string(), error.to_string()));
        }
    }
    anyhow::bail!("10,001 plugins were started, and none was refused")
}

/// How many more are published while the others wait, for a figure that is not that of a single one.
const MORE: u32 = 1_000;

async fn queued(arguments: &Arguments) -> Result<Vec<Figure>> {
    let rounds = arguments.rounds(21, 7);
    let publishing = in_turn(rounds, &STEPS, async |n| Ok(behind(*n).await?.publishing)).await?;
    let handling = in_turn(rounds, &STEPS, async |n| Ok(behind(*n).await?.handling)).await?;
    let beside = table(BESIDE_QUEUED, "ns", publishing);
    Ok(beside.chain(table(QUEUED, "ns", handling)).collect())
}

/// Nanoseconds of an event.
struct Behind {
    publishing: f64,
    handling: f64,
}

/// Publishes while so many events are queued for a handler that waits, and lets it handle all of them then.
async fn behind(events: u32) -> Result<Behind> {
    let all = events + MORE;
    let runtime = ours::builder(1).build()?;
    let gate = Arc::new(Semaphore::new(0));
    subscribe_late(&runtime, gate.clone(), all as usize + 1)?;
    let event = ours::event(1024)?;
    publish_all(&runtime, ours::handles(&event, events)).await?;
    let more = ours::handles(&event, MORE);
    let begin = Instant::now();
    publish_all(&runtime, more).await?;
    let publishing = nanos(begin) / f64::from(MORE);
    let begin = Instant::now();
    gate.add_permits(1);
    runtime.quiet().await;
    let handling = nanos(begin) / f64::from(all);
    ensure!(runtime.stats().dropped == 0, "the queue was too small");
    Ok(Behind { publishing, handling })
}

async fn publish_all(runtime: &Runtime, events: Vec<Event>) -> Result<()> {
    for event in events {
        let receipt = runtime.publish_async(event).await?;
        ensure!(receipt.enqueued == 1, "no queue took it: {receipt:?}");
    }
    Ok(())
}

/// A handler with a queue for so many, which waits until it is let through.
fn subscribe_late(runtime: &Runtime, gate: Arc<Semaphore>, room: usize) -> Result<()> {
    let queue = QueuePolicy {
        events: room,
        bytes: 1 << 30,
        ..QueuePolicy::default()
    };
    let wait = move |_| {
        let gate = gate.clone();
        async move {
            drop(gate.acquire().await);
            Ok(())
        }
    };
    runtime.subscribe_with(&["bench.>"], "late", SubscribeOptions::default().queue(queue), wait)?;
    Ok(())
}
