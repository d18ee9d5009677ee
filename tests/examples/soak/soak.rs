//! One run: who takes part, when it ends, and whether all was well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use palisade::{Failure, LogRecord, LogSink, Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::small_engine;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::board::Board;
use crate::chance::Chance;
use crate::findings::Findings;
use crate::ledger::Ledger;
use crate::letters::Letters;
use crate::memory::Memory;
use crate::process::Held;
use crate::summary::Summary;
use crate::tally::Tally;
use crate::watch::Watch;
use crate::{churn, healthy, plugins, sins};

/// How long what is still under way may take once the load has ended.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// What all tasks share.
pub(crate) struct Soak {
    pub(crate) runtime: Runtime,
    pub(crate) seed: u64,
    pub(crate) tally: Arc<Tally>,
    pub(crate) findings: Arc<Findings>,
    pub(crate) board: Board,
    /// Events that the scribe must report.
    pub(crate) reports: Ledger,
    /// Addresses that must come to one alert each.
    pub(crate) alerts: Ledger,
    pub(crate) letters: Letters,
    /// Two loads at a time: each compiles, and if as many as there are tasks could meet, how high memory ever got would be
    /// up to chance long after the warm-up.
    pub(crate) loads: Semaphore,
    over: AtomicBool,
}

impl Soak {
    /// Whether the load has ended: tasks finish what they are at.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The chance of one task.
    pub(crate) fn chance(&self, task: usize) -> Chance {
        Chance::of_task(self.seed, task)
    }
}

/// Lines that guests log are counted and forgotten.
struct Counted(Arc<Tally>);

impl LogSink for Counted {
    fn log(&self, _: LogRecord<'_>) {
        self.0.log_lines.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs the soak, prints what came of it, and says whether all was well.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    eprintln!("soak: {:.0?} of load, --seed {}", arguments.load, arguments.seed);
    let soak = Arc::new(set_up(arguments.seed)?);
    // Once round first: what is made once and kept, such as the compiler's threads, is no leak.
    launch(&soak).await?;
    unload_all(&soak).await;
    let held = Held::settled_alone().await;
    launch(&soak).await?;
    let watch = Watch::start(soak.clone());
    let began = Instant::now();
    let mut tasks = load(&soak);
    tokio::time::sleep(arguments.load).await;
    soak.over.store(true, Ordering::Relaxed);
    let took = began.elapsed();
    let samples = watch.end();

    let ended = tokio::time::timeout(AFTERWARDS, async { while tasks.join_next().await.is_some() {} }).await;
    soak.findings.check(ended.is_ok(), || {
        format!("tasks hang: {:?}", soak.board.stuck(AFTERWARDS / 2))
    });
    let quiet = tokio::time::timeout(AFTERWARDS, soak.runtime.quiet()).await;
    soak.findings.check(quiet.is_ok(), || {
        "deliveries hang: it was not quiet a minute after the last publish".to_owned()
    });
    soak.reports.close(&soak.findings);
    soak.alerts.close(&soak.findings);
    let handlers = soak.runtime.handler_stats();
    unload_all(&soak).await;
    let left = Held::settled(held).await;
    soak.findings.check(left.is_within(held), || {
        format!("threads or files are left: {held:?} became {left:?}")
    });
    let summary = Summary {
        soak: &soak,
        took,
        memory: Memory::of(&samples, arguments.load),
        health: soak.runtime.health().await,
        handlers,
        held: (held, left),
    };
    summary.check();
    print!("{summary}");
    Ok(soak.findings.all().is_empty())
}

fn set_up(seed: u64) -> anyhow::Result<Soak> {
    let (tally, findings) = (Arc::new(Tally::default()), Arc::new(Findings::default()));
    let letters = Letters::new(findings.clone());
    let runtime = Runtime::builder()
        .engine(small_engine())
        .dead_letters(letters.clone())
        .log_sink(Counted(tally.clone()))
        .build()?;
    // One that a flood fills again and again: what it does not take becomes dead letters.
    let mut small = QueuePolicy::default();
    (small.events, small.overflow) = (64, Overflow::Reject);
    let drops = SubscribeOptions::default().queue(small).retry(RetryPolicy::none());
    runtime.subscribe_with(&["hostile.drop"], "drops", drops, |_| async { Ok::<(), Failure>(()) })?;
    Ok(Soak {
        runtime,
        seed,
        tally,
        findings,
        board: Board::default(),
        reports: Ledger::new("a report of the scribe", 128),
        alerts: Ledger::new("an alert", 32),
        letters,
        loads: Semaphore::new(2),
        over: AtomicBool::new(false),
    })
}

async fn launch(soak: &Soak) -> anyhow::Result<()> {
    let specs = plugins::healthy().into_iter().chain(plugins::hostile());
    let launched = soak.runtime.launch(specs.collect()).await;
    launched.context("the plugins do not start")
}

fn load(soak: &Arc<Soak>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    healthy::listen(soak);
    tasks.spawn(healthy::direct(soak.clone(), 0));
    tasks.spawn(healthy::numbered(soak.clone(), 1));
    tasks.spawn(healthy::logins(soak.clone(), 2));
    for task in 10..14 {
        tasks.spawn(sins::direct(soak.clone(), task));
    }
    tasks.spawn(sins::queued(soak.clone(), 14));
    for task in 0..16 {
        tasks.spawn(churn::run(soak.clone(), task));
    }
    tasks.spawn(churn::reconfigure(soak.clone(), 40));
    tasks
}

async fn unload_all(soak: &Soak) {
    for status in soak.runtime.plugins() {
        if let Err(error) = soak.runtime.unload(&status.name).await {
            soak.findings.add(format!("{} was not unloaded: {error}", status.name));
        }
    }
    // Lifecycle events of those that were unloaded later, to those that were there still.
    let quiet = tokio::time::timeout(AFTERWARDS, soak.runtime.quiet()).await;
    soak.findings.check(quiet.is_ok(), || {
        "deliveries hang after all plugins were unloaded".to_owned()
    });
    let instances = soak.runtime.health().await.instances;
    soak.findings.check(instances == 0, || {
        format!("{instances} instances live after all plugins were unloaded")
    });
}
