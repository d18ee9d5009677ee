//! T1: `publish` to one persistent wasm handler.
//!
//! A publisher hands over an event that it has made. So ours are made before the clock starts, and what is measured is
//! `publish` until its report is looked at, the end of event and report included; the raw side borrows one event.

use std::time::Instant;

use anyhow::{Result, ensure};
use palisade::{Event, Report, Runtime};

use crate::arguments::Arguments;
use crate::ours;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, nanos, turns};

const WHAT: &str = "publish, one persistent wasm handler, 1 KiB";
const CALLS: u32 = 4_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let mut raw = RawPlugin::probe(64)?.instance().await?;
    let event = ours::event(1024)?;
    let turns = turns(
        arguments.rounds(401, 101),
        async || all_delivered(&runtime, &event, CALLS).await,
        async || each(CALLS, async || raw.handle(&event).await).await,
    )
    .await?;
    Ok(Row::ratio("T1", WHAT, "ns", turns, 1.25))
}

/// The nanoseconds of one of so many publishes; all that got one did well, and somebody did.
pub(crate) async fn all_delivered(runtime: &Runtime, event: &Event, calls: u32) -> Result<f64> {
    let handles = ours::handles(event, calls);
    let begin = Instant::now();
    for event in handles {
        let report = runtime.publish(event).await?;
        ensure!(is_good(&report), "not delivered: {report:?}");
    }
    Ok(nanos(begin) / f64::from(calls))
}

pub(crate) fn is_good(report: &Report) -> bool {
    report.all_ok() && !report.outcomes.is_empty()
}
