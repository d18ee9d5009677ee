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

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let mut raw = RawPlugin::probe(64)?.instance().await?;
    let event = ours::event(1024)?;
    let calls = arguments.count(50_000, 20_000);
    let medians = turns(
        arguments.rounds(15),
        async || all_handled(&runtime, &event, calls).await,
        async || each(calls, async || raw.handle(&event).await).await,
    )
    .await?;
    let handled: u64 = runtime.handler_stats().iter().map(ok).sum();
    let published = u64::from(calls) * (arguments.rounds(15) as u64 + 1);
    ensure!(handled == published, "{handled} of {published} events were handled");
    Ok(Row::ratio("T2", WHAT, "ns", medians, 1.4))
}

fn ok(handler: &palisade::HandlerStats) -> u64 {
    handler.count(palisade::Class::Ok)
}

/// The nanoseconds of one of so many events, from the first publish to the last one's end, on a task of the runtime's.
async fn all_handled(runtime: &Runtime, event: &Event, events: u32) -> Result<f64> {
    let (runtime, event) = (runtime.clone(), event.clone());
    let published = tokio::spawn(async move {
        let begin = Instant::now();
        for _ in 0..events {
            let receipt = runtime.publish_async(event.clone()).await?;
            ensure!(receipt.enqueued == 1, "no queue took it: {receipt:?}");
        }
        runtime.quiet().await;
        Ok(nanos(begin) / f64::from(events))
    });
    published.await.context("the publisher panicked")?
}
