//! T6: what one more started plugin takes, in a process of its own for each side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use palisade::PluginSpec;
use tokio::process::Command;

use crate::arguments::Arguments;
use crate::raw::RawHost;
use crate::report::{Figure, Row};
use crate::turns::{Turns, turns};
use crate::warm_start::Components;
use crate::{ours, raw_artifact};

const WHAT: &str = "memory of one more started plugin of the same component";
const TABLE: &str = "memory of one more started plugin";
/// The word by which a process knows that it is one of the sides.
pub(crate) const SIDE: &str = "memory-of";
/// How many there are in all, and before the first look, which takes what all of them share out of the figure.
const SAME: (u32, u32) = (250, 50);
/// The same where each is another component, which has to be compiled.
const OTHERS: (u32, u32) = (50, 10);

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let components = Components::new(1)?;
    let turns = beside_raw(arguments.rounds(9, 3), &components).await?;
    Ok(Row::ratio("T6", WHAT, "KiB", turns, 1.3))
}

/// The same, and where each is another component.
pub(crate) async fn figures(arguments: &Arguments) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, count) in [("of the same component", 1), ("of another component", OTHERS.0)] {
        if arguments.quick && count > 1 {
            continue;
        }
        let turns = beside_raw(arguments.rounds(5, 1), &Components::new(count)?).await?;
        figures.push(Figure::new(TABLE, what, "KiB", turns.ours));
        figures.push(Figure::new(TABLE, format!("{what}, raw"), "KiB", turns.raw));
    }
    Ok(figures)
}

async fn beside_raw(rounds: usize, components: &Components) -> Result<Turns> {
    let directory = components.directory();
    // The first process of each side compiles for the others: what a compiler leaves of the heap would be in the figure.
    turns(
        rounds,
        async || in_child("ours", directory).await,
        async || in_child("raw", directory).await,
    )
    .await
}

async fn in_child(side: &str, directory: &Path) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe().context("which program is this?")?);
    child.args([SIDE, side]).arg(directory).stderr(Stdio::inherit());
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
    let (side, directory) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let directory = Path::new(&directory);
    let kib = match side.as_str() {
        "ours" => of_ours(directory).await?,
        "raw" => of_raw(directory).await?,
        _ => bail!("{SIDE} {side}: there are ours and raw"),
    };
    println!("{kib}");
    Ok(())
}

async fn of_ours(directory: &Path) -> Result<f64> {
    let files = Components::files_in(directory)?;
    let (all, before) = numbers(&files);
    let mut specs = plugins(&files, all);
    let rest = specs.split_off(before as usize);
    let runtime = ours::crowded(directory, all + 50)?;
    // The first one is compiled before others ask for the same.
    runtime.launch(specs.drain(..1).collect()).await?;
    runtime.launch(specs).await?;
    let at_first = resident()?;
    runtime.launch(rest).await?;
    Ok((resident()? - at_first) / f64::from(all - before))
}

fn plugins(files: &[PathBuf], all: u32) -> Vec<PluginSpec> {
    let named = |(number, file)| ours::granted(PluginSpec::from_file(file)).name(format!("probe-{number}"));
    (0..all).zip(files.iter().cycle()).map(named).collect()
}

/// All instances of one file are of one component; where there are many files, each has its own.
async fn of_raw(directory: &Path) -> Result<f64> {
    let files = Components::files_in(directory)?;
    let (all, before) = numbers(&files);
    let host = RawHost::new(all + 50)?;
    let mut components = Vec::new();
    let (mut instances, mut at_first) = (Vec::new(), 0.0);
    for number in 0..all {
        if number == before {
            at_first = resident()?;
        }
        if let Some(file) = files.get(number as usize) {
            components.push(host.plugin(&raw_artifact::read(host.engine(), &code(&host, file)?)?)?);
        }
        let plugin = components.last().context("no components")?;
        instances.push(plugin.instance().await?);
    }
    let last = resident()?;
    drop(instances);
    Ok((last - at_first) / f64::from(all - before))
}

fn numbers(files: &[PathBuf]) -> (u32, u32) {
    if files.len() > 1 { OTHERS } else { SAME }
}

/// Where the machine code of a component is; a process before this one has put it there.
fn code(host: &RawHost, file: &Path) -> Result<PathBuf> {
    let code = file.with_extension("cwasm");
    if !code.exists() {
        raw_artifact::write_probe(host.engine(), &code)?;
    }
    Ok(code)
}

/// The KiB of this process that are in memory, counted page by page.
fn resident() -> Result<f64> {
    let maps = fs::read_to_string("/proc/self/smaps_rollup").context("the kernel tells nothing of this process")?;
    let line = maps.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.context("no Rss")?.trim().trim_end_matches(" kB");
    kib.parse().context("Rss is no number")
}
