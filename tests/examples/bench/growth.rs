//! How cost grows with what is there: tables that are flat where they should be.

use std::time::Instant;

use anyhow::{Context, Result};
use palisade::{Event, QueuePolicy, Runtime, SubscribeOptions};

use crate::arguments::Arguments;
use crate::figures::of_publish;
use crate::ours;
use crate::publish::all_delivered;
use crate::report::Figure;
use crate::turns::{alone, nanos};
use crate::unmatched;

const SUBSCRIBERS: &str = "growth: publish to N native subscribers, per delivery";
const PATTERNS: &str = "growth: publish that matches nothing, beside N patterns";
const PLUGINS: &str = "growth: publish to one native handler, beside N plugins";
const LAST: &str = "growth: start of the last tenth of N plugins, warm, per plugin";
const QUEUED: &str = "growth: publish_async of N events that wait, and their handling, per event";
const STEPS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// Beyond, the kernel's `vm.max_map_count` ends it.
const MOST_PLUGINS: u32 = 5_000;

/// All of them.
pub(crate) async fn all(arguments: &Arguments, figures: &mut Vec<Figure>) -> Result<()> {
    for n in STEPS {
        let value = of_publish(arguments, &ours::natives(n)?, n).await? / f64::from(n);
        figures.push(figure(SUBSCRIBERS, n, "ns", value));
    }
    for n in STEPS {
        figures.push(figure(PATTERNS, n, "ns", unmatched::cost(arguments, n).await?));
    }
    for n in STEPS {
        let value = alone(arguments.rounds(7, 3), async || queued(n).await).await?;
        figures.push(figure(QUEUED, n, "ns", value));
    }
    figures.extend(plugins(arguments).await?);
    Ok(())
}

fn figure(table: &'static str, n: u32, unit: &'static str, value: f64) -> Figure {
    Figure {
        table,
        what: n.to_string(),
        unit,
        value,
    }
}

async fn plugins(arguments: &Arguments) -> Result<Vec<Figure>> {
    let most = arguments.count(MOST_PLUGINS, 1_000);
    let cache = tempfile::tempdir().context("no directory")?;
    // Another runtime compiles it for this one.
    drop(ours::crowd(cache.path(), 1).await?);
    let runtime = ours::crowded(cache.path(), most + 50)?;
    runtime.subscribe("other.event", "native", |_| std::future::ready(Ok(())))?;
    let event = ours::typed("other.event", 1024)?;
    let (mut publishes, mut starts, mut there) = (Vec::new(), Vec::new(), 0);
    for n in [1, 10, 100, 1_000, MOST_PLUGINS].into_iter().filter(|n| *n <= most) {
        let last = (n / 10).max(1);
        runtime.launch(ours::probes(there..n - last)).await?;
        let begin = Instant::now();
        runtime.launch(ours::probes(n - last..n)).await?;
        starts.push(figure(LAST, n, "ms", nanos(begin) / 1e6 / f64::from(last)));
        there = n;
        publishes.push(figure(PLUGINS, n, "ns", to_native(arguments, &runtime, &event).await?));
    }
    publishes.extend(starts);
    Ok(publishes)
}

async fn to_native(arguments: &Arguments, runtime: &Runtime, event: &Event) -> Result<f64> {
    let round = async || all_delivered(runtime, event, 4_000).await;
    alone(arguments.rounds(101, 21), round).await
}

/// A handler that waits until all events are queued, and takes them then.
async fn queued(events: u32) -> Result<f64> {
    let runtime = ours::builder(1).build()?;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let entry = gate.clone();
    let queue = QueuePolicy {
        events: events as usize + 1,
        bytes: 1 << 30,
        ..QueuePolicy::default()
    };
    let wait = move |_| {
        let entry = entry.clone();
        async move {
            drop(entry.acquire().await);
            Ok(())
        }
    };
    runtime.subscribe_with(&["bench.>"], "late", SubscribeOptions::default().queue(queue), wait)?;
    let event = ours::event(1024)?;
    let begin = Instant::now();
    for _ in 0..events {
        runtime.publish_async(event.clone()).await?;
    }
    gate.add_permits(1);
    runtime.quiet().await;
    Ok(nanos(begin) / f64::from(events))
}
