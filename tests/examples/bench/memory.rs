//! T6: what one more started plugin of the same component takes, in a process of its own for each side.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::arguments::Arguments;
use crate::ours;
use crate::raw::RawPlugin;
use crate::report::Row;
use crate::turns::turns;

const WHAT: &str = "memory of one more started plugin of the same component";
/// The word by which a process knows that it is one of the sides.
pub(crate) const SIDE: &str = "memory-of";
/// How many there are before the first look, which takes what all of them share out of the figure.
const BEFORE: u32 = 50;
/// How many more there are at the second one.
const MORE: u32 = 200;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let cache = tempfile::tempdir().context("no directory")?;
    let medians = turns(
        arguments.rounds(5),
        async || in_child("ours", cache.path()).await,
        async || in_child("raw", cache.path()).await,
    )
    .await?;
    Ok(Row::ratio("T6", WHAT, "KiB", medians, 1.3))
}

async fn in_child(side: &str, cache: &Path) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe().context("which program is this?")?);
    child.args([SIDE, side]).arg(cache).stderr(Stdio::inherit());
    let output = child.output().await.context("no process for a side")?;
    ensure!(output.status.success(), "the {side} side failed: {}", output.status);
    let printed = String::from_utf8_lossy(&output.stdout);
    printed
        .trim()
        .parse()
        .with_context(|| format!("the {side} side said {printed:?}"))
}

/// What such a process does: prints the KiB of one more.
pub(crate) async fn side(mut words: impl Iterator<Item = String>) -> Result<()> {
    let (side, cache) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let kib = match side.as_str() {
        "ours" => of_ours(Path::new(&cache)).await?,
        "raw" => of_raw().await?,
        _ => bail!("{SIDE} {side}: there are ours and raw"),
    };
    println!("{kib}");
    Ok(())
}

async fn of_ours(cache: &Path) -> Result<f64> {
    let runtime = ours::crowded(cache, BEFORE + MORE + 50)?;
    runtime.launch(ours::probes(0..1)).await?;
    runtime.launch(ours::probes(1..BEFORE)).await?;
    let before = resident()?;
    runtime.launch(ours::probes(BEFORE..BEFORE + MORE)).await?;
    Ok((resident()? - before) / f64::from(MORE))
}

async fn of_raw() -> Result<f64> {
    let raw = RawPlugin::probe(BEFORE + MORE + 50)?;
    let mut instances = Vec::new();
    for _ in 0..BEFORE {
        instances.push(raw.instance().await?);
    }
    let before = resident()?;
    for _ in 0..MORE {
        instances.push(raw.instance().await?);
    }
    let after = resident()?;
    drop(instances);
    Ok((after - before) / f64::from(MORE))
}

/// The KiB of this process that are in memory, counted page by page.
fn resident() -> Result<f64> {
    let maps = fs::read_to_string("/proc/self/smaps_rollup").context("the kernel tells nothing of this process")?;
    let line = maps.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.context("no Rss")?.trim().trim_end_matches(" kB");
    kib.parse().context("Rss is no number")
}
