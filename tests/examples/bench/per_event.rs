//! T5: a fresh instance for each event.

use anyhow::Result;
use palisade::Isolation;

use crate::arguments::Arguments;
use crate::ours;
use crate::publish::all_delivered;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, turns};

const WHAT: &str = "per-event isolation: instantiate, start, handle, 1 KiB";
const CALLS: u32 = 200;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let runtime = ours::runtime(vec![ours::probe().isolation(Isolation::PerEvent)]).await?;
    let raw = RawPlugin::probe(256)?;
    let event = ours::event(1024)?;
    let turns = turns(
        arguments.rounds(401, 101),
        async || all_delivered(&runtime, &event, CALLS).await,
        async || each(CALLS, async || raw.instance().await?.handle(&event).await).await,
    )
    .await?;
    Ok(Row::ratio("T5", WHAT, "ns", turns, 1.15))
}
