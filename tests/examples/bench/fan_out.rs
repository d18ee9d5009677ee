//! T3: `publish` to a thousand plugins.

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::ours;
use crate::publish::all_delivered;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, turns};

const WHAT: &str = "fan-out to 1,000 plugins, per delivery, 1 KiB";
const PLUGINS: u32 = 1_000;
const PUBLISHES: u32 = 4;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let cache = tempfile::tempdir().context("no directory")?;
    let runtime = ours::crowd(cache.path(), PLUGINS).await?;
    let raw = RawPlugin::probe(PLUGINS + 50)?;
    let mut instances = Vec::new();
    for _ in 0..PLUGINS {
        instances.push(raw.instance().await?);
    }
    let event = ours::event(1024)?;
    let of_one = f64::from(PLUGINS);
    let turns = turns(
        arguments.rounds(201, 51),
        async || Ok(all_delivered(&runtime, &event, PUBLISHES).await? / of_one),
        async || {
            let round_robin = async || {
                for instance in &mut instances {
                    instance.handle(&event).await?;
                }
                Ok(())
            };
            Ok(each(PUBLISHES, round_robin).await? / of_one)
        },
    )
    .await?;
    Ok(Row::ratio("T3", WHAT, "ns", turns, 1.3))
}
