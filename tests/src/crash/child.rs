//! The process that is killed.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use palisade::{DeadLetterFilter, DurableStore, Event, Runtime, StoreOptions};
use tokio::sync::oneshot;

use super::handlers::{self, LAST};
use super::log::Log;
use super::name::PUBLISHERS;
use super::publisher::{Last, Publisher};
use super::record::Record;
use super::signal::Signal;
use super::{Plan, records};
use crate::small_engine;

/// What makes a process the child: its life, how much its events are padded, or `drain`, and the directory.
const LIFE: &str = "PALISADE_CRASH_LIFE";
const PADDING: &str = "PALISADE_CRASH_PADDING";
const DIRECTORY: &str = "PALISADE_CRASH_DIRECTORY";

/// How long what is running may take when it is told to end: most of what is owed is not done by then, and kept.
const END_LIMIT: Duration = Duration::from_millis(100);
/// How long the last life has to do all that is owed.
const DRAIN_LIMIT: Duration = Duration::from_secs(240);

/// One life of the process that is killed.
pub struct Child {
    life: u32,
    directory: PathBuf,
    /// None where it publishes nothing.
    padding: Option<usize>,
}

impl Child {
    /// What this process is to be, if [`run`](super::run) has started it.
    pub fn from_environment() -> Option<Self> {
        let number = |name| env::var(name).ok()?.parse::<usize>().ok();
        Some(Self {
            life: u32::try_from(number(LIFE)?).ok()?,
            directory: env::var_os(DIRECTORY)?.into(),
            padding: number(PADDING),
        })
    }

    /// What a process has to have in its environment to be that.
    pub(super) fn environment(plan: &Plan, life: u32, padding: Option<usize>) -> Vec<(&'static str, OsString)> {
        let mut all = vec![
            (LIFE, life.to_string().into()),
            (DIRECTORY, plan.directory.clone().into_os_string()),
        ];
        all.extend(padding.map(|bytes| (PADDING, bytes.to_string().into())));
        all
    }

    /// Lives, until it is killed or told to end.
    ///
    /// # Errors
    /// When anything fails that no kill explains.
    pub fn run(self) -> anyhow::Result<()> {
        let told = told_to_end();
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        tokio.block_on(self.live(told))
    }

    async fn live(self, told: oneshot::Receiver<()>) -> anyhow::Result<()> {
        let (log, end) = Log::open(&records(&self.directory))?;
        let log = Arc::new(log);
        log.write(&Record::Life(self.life));
        Signal::Opening.tell();
        let store = DurableStore::open(&self.directory.join("data"), StoreOptions::default())?;
        let runtime = Runtime::builder()
            .engine(small_engine())
            .cache_dir(self.directory.join("cache"))
            .store(store)
            .build()?;
        handlers::subscribe(&runtime, &log)?;
        Signal::Opened.tell();
        runtime.launch(vec![handlers::ledger()]).await?;
        runtime.announce().await;
        Signal::Ready.tell();
        let limit = match self.padding {
            None => drain(&runtime, &log).await?,
            Some(padding) => {
                for number in 0..PUBLISHERS {
                    let publisher = Publisher {
                        runtime: runtime.clone(),
                        log: log.clone(),
                        life: self.life,
                        number,
                        padding,
                    };
                    tokio::spawn(publisher.run(Last::of(number, &end)));
                }
                let _ = told.await;
                END_LIMIT
            }
        };
        let drained = runtime.shutdown(limit).await;
        log.write(&Record::Ended(drained.kept, drained.abandoned as u64));
        // D7: the data directory is free afterwards, whoever still has the runtime.
        DurableStore::open(&self.directory.join("data"), StoreOptions::default())?;
        Signal::Ended.tell();
        Ok(())
    }
}

/// Waits for a word on stdin. If there is none because the parent is gone, this process is none's and ends.
fn told_to_end() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut word = [0];
        match std::io::stdin().read(&mut word) {
            Ok(1) => drop(tell.send(())),
            _ => std::process::exit(3),
        }
    });
    told
}

/// Does all that is owed, and notes what is there in the end. Returns how long the shutdown may take.
async fn drain(runtime: &Runtime, log: &Log) -> anyhow::Result<Duration> {
    if tokio::time::timeout(DRAIN_LIMIT, runtime.quiet()).await.is_err() {
        log.wrong(format!(
            "it was not quiet after {DRAIN_LIMIT:?}: {:?}",
            runtime.handler_stats()
        ));
    } else {
        ask_for_the_total(runtime).await?;
    }
    for backlog in runtime.backlogs().await? {
        log.write(&Record::Owed(backlog.handler, backlog.events));
    }
    let (all, mut after) = (DeadLetterFilter::all(), None);
    loop {
        let page = runtime.dead_letters().list(&all, after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for letter in &page {
            let handler = letter.handler.as_ref().map_or_else(String::new, ToString::to_string);
            log.write(&Record::Letter(handler, letter.event.id().to_owned(), letter.attempts));
        }
    }
    Ok(DRAIN_LIMIT)
}

async fn ask_for_the_total(runtime: &Runtime) -> anyhow::Result<()> {
    let last = Event::builder("ledger.do", "/crash")
        .id(LAST)
        .data("application/json", r#"[{"get":"total"}]"#)
        .build()?;
    let report = runtime.publish(last).await?;
    let outcome = report.of("ledger/do").context("the plugin is not there")?;
    ensure!(
        report.all_ok(),
        "the plugin does not tell how far it has counted: {}",
        outcome.message()
    );
    runtime.quiet().await;
    Ok(())
}
