//! T2: `publish_async`, sustained, until all is handled.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use palisade::{Event, Runtime};

use crate::arguments::Arguments;
use crate::ours;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, nanos, turns};

const WHAT: &str = "publish_async, sustained, one subscription, per event";
/// A round: many times what the queue holds, so that publisher and handler are both at work for most of it.
const EVENTS: u32 = 10_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let mut raw = RawPlugin::probe(64)?.instance().await?;
    let event = ours::event(1024)?;
    let mut published = 0;
    let turns = turns(
        arguments.rounds(201, 51),
        async || {
            published += u64::from(EVENTS);
            all_handled(&runtime, &event, EVENTS).await
        },
        async || each(EVENTS, async || raw.handle(&event).await).await,
    )
    .await?;
    let handled: u64 = runtime.handler_stats().iter().map(ok).sum();
    ensure!(handled == published, "{handled} of {published} events were handled");
    Ok(Row::ratio("T2", WHAT, "ns", turns, 1.4))
}

fn ok(handler: &palisade::HandlerStats) -> u64 {
    handler.count(palisade::Class::Ok)
}

/// The nanoseconds of one of so many events, from the first publish to the last one's end, on a task of the runtime's.
pub(crate) async fn all_handled(runtime: &Runtime, event: &Event, events: u32) -> Result<f64> {
    let (runtime, handles) = (runtime.clone(), ours::handles(event, events));
    let published = tokio::spawn(async move {
        let begin = Instant::now();
        for event in handles {
            let receipt = runtime.publish_async(event).await?;
            ensure!(receipt.enqueued == 1, "no queue took it: {receipt:?}");
        }
        runtime.quiet().await;
        Ok(nanos(begin) / f64::from(events))
    });
    published.await.context("the publisher panicked")?
}
