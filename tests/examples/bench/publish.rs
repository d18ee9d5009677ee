//! T1: `publish` to one persistent wasm handler.

use anyhow::{Result, ensure};
use palisade::{Event, Runtime};

use crate::arguments::Arguments;
use crate::ours;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, turns};

const WHAT: &str = "publish, one persistent wasm handler, 1 KiB";

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let mut raw = RawPlugin::probe(64)?.instance().await?;
    let event = ours::event(1024)?;
    let calls = arguments.count(20_000, 10_000);
    let medians = turns(
        arguments.rounds(15),
        async || each(calls, async || delivered(&runtime, &event).await).await,
        async || each(calls, async || raw.handle(&event).await).await,
    )
    .await?;
    Ok(Row::ratio("T1", WHAT, "ns", medians, 1.25))
}

/// Publishes it once more; all that got it did well.
pub(crate) async fn delivered(runtime: &Runtime, event: &Event) -> Result<()> {
    let report = runtime.publish(event.clone()).await?;
    ensure!(
        report.all_ok() && !report.outcomes.is_empty(),
        "not delivered: {report:?}"
    );
    Ok(())
}
