//! T3: `publish` to a thousand plugins.

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::ours;
use crate::publish::delivered;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::{each, turns};

const WHAT: &str = "fan-out to 1,000 plugins, per delivery, 1 KiB";
const PLUGINS: u32 = 1_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let cache = tempfile::tempdir().context("no directory")?;
    let runtime = ours::crowd(cache.path(), PLUGINS).await?;
    let raw = RawPlugin::probe(PLUGINS + 50)?;
    let mut instances = Vec::new();
    for _ in 0..PLUGINS {
        instances.push(raw.instance().await?);
    }
    let event = ours::event(1024)?;
    let publishes = arguments.count(20, 10);
    let of_one = f64::from(PLUGINS);
    let medians = turns(
        arguments.rounds(15),
        async || Ok(each(publishes, async || delivered(&runtime, &event).await).await? / of_one),
        async || {
            let round_robin = async || {
                for instance in &mut instances {
                    instance.handle(&event).await?;
                }
                Ok(())
            };
            Ok(each(publishes, round_robin).await? / of_one)
        },
    )
    .await?;
    Ok(Row::ratio("T3", WHAT, "ns", medians, 1.3))
}
