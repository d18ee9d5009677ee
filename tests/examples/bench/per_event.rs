//! T5: a fresh instance for each event.

use anyhow::Result;
use palisade::Isolation;

use crate::arguments::Arguments;
use crate::ours;
use crate::publish::delivered;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, turns};

const WHAT: &str = "per-event isolation: instantiate, start, handle, 1 KiB";

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe().isolation(Isolation::PerEvent)]).await?;
    let raw = RawPlugin::probe(256)?;
    let event = ours::event(1024)?;
    let calls = arguments.count(2_000, 1_000);
    let medians = turns(
        arguments.rounds(15),
        async || each(calls, async || delivered(&runtime, &event).await).await,
        async || each(calls, async || raw.instance().await?.handle(&event).await).await,
    )
    .await?;
    Ok(Row::ratio("T5", WHAT, "ns", medians, 1.15))
}
