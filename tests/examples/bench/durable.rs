//! T8: durable publishing beside raw SQLite group commit, on the same disk: that of `target/`.
//!
//! Ours is a runtime with a store and one durable native handler: publishers call `publish_async`, one event after the other,
//! and a round is over when all events are handled. The raw side is `raw_sqlite.rs`. Both make their events meanwhile.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use palisade::{Class, DeliveryMode, DurableStore, Event, Runtime, StoreOptions, SubscribeOptions};

use crate::arguments::Arguments;
use crate::raw_sqlite::{self, Rows};
use crate::report::{Figure, Row};
use crate::turns::{Turns, alone, turns};

const WHAT: &str = "durable publish_async, 64 publishers; raw: SQLite group commit";
const TABLE: &str = "durable publish_async, by publishers at a time";
const DATA_BYTES: usize = 1024;

/// So many publishers, and how many events all of them have in a round.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) publishers: usize,
    pub(crate) events: usize,
}

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let turns = beside_sqlite(arguments, load(arguments, 64), Rows::Same).await?;
    Ok(Row::ratio("T8", WHAT, "events/s", turns, 0.7).at_least())
}

/// The same with fewer publishers, and beside the least that could be called durable.
pub(crate) async fn figures(arguments: &Arguments) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for publishers in [1, 8, 64] {
        let load = load(arguments, publishers);
        let turns = beside_sqlite(arguments, load, Rows::Same).await?;
        let one = alone(arguments.rounds(5, 1), async || {
            raw_sqlite::rate(directory()?.path(), Rows::One, load).await
        });
        for (what, value) in [
            ("", turns.ours),
            (", raw: SQLite, the same rows", turns.raw),
            (", raw: SQLite, the event alone", one.await?),
        ] {
            let what = format!("{publishers}{what}");
            figures.push(Figure::new(TABLE, what, "events/s", value));
        }
    }
    Ok(figures)
}

fn load(arguments: &Arguments, publishers: usize) -> Load {
    Load {
        publishers,
        events: publishers * arguments.rounds(250, 100),
    }
}

async fn beside_sqlite(arguments: &Arguments, load: Load, rows: Rows) -> Result<Turns> {
    turns(
        arguments.rounds(9, 3),
        async || ours(directory()?.path(), load).await,
        async || raw_sqlite::rate(directory()?.path(), rows, load).await,
    )
    .await
}

fn directory() -> Result<tempfile::TempDir> {
    let target: PathBuf = palisade_tests::target();
    tempfile::tempdir_in(target).context("no directory in target")
}

/// The event of one publisher that has this number.
pub(crate) fn event(publisher: usize, number: usize) -> Result<Event> {
    let id = format!("{publisher:04}-{number:012}");
    let data = vec![b'x'; DATA_BYTES];
    Ok(Event::builder("bench.durable", "/bench")
        .id(id)
        .data("text/plain", data)
        .build()?)
}

/// How many events a second a runtime takes and handles.
async fn ours(directory: &Path, load: Load) -> Result<f64> {
    let store = DurableStore::open(directory, StoreOptions::default())?;
    let runtime = Runtime::builder().store(store).build()?;
    let options = SubscribeOptions::default().mode(DeliveryMode::Durable);
    runtime.subscribe_with(&["bench.>"], "sink", options, |_| std::future::ready(Ok(())))?;
    let began = Instant::now();
    let publishing = (0..load.publishers).map(|publisher| tokio::spawn(publish(runtime.clone(), publisher, load)));
    for publisher in publishing.collect::<Vec<_>>() {
        publisher.await.context("a publisher panicked")??;
    }
    runtime.quiet().await;
    let took = began.elapsed();
    let handled: u64 = runtime.handler_stats().iter().map(|stats| stats.count(Class::Ok)).sum();
    ensure!(
        handled == load.events as u64,
        "{handled} of {} events were handled",
        load.events
    );
    runtime.shutdown(Duration::from_secs(10)).await;
    Ok(load.events as f64 / took.as_secs_f64())
}

async fn publish(runtime: Runtime, publisher: usize, load: Load) -> Result<()> {
    for number in 0..load.events / load.publishers {
        let receipt = runtime.publish_async(event(publisher, number)?).await?;
        ensure!(receipt.enqueued == 1, "no queue took it: {receipt:?}");
    }
    Ok(())
}
