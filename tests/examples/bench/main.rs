//! The bench: the targets T1 to T10, each beside the raw thing where there is one, and figures without a target.
//!
//! `cargo xtask bench` builds what is needed and runs it. By hand, once guests and the release binary are there:
//! `cargo run --release -p palisade-tests --example bench -- --quick --only T1,T5`.
//!
//! Both sides take turns in this process (`turns.rs` says how and why). The table goes to stdout, progress to stderr, and
//! `target/bench/report.json` has the same for programs; it is written after each row, so that one that fails loses nothing. On
//! a machine that does other things the ratios mean little.

mod arguments;
mod durable;
mod fan_out;
mod figures;
mod growth;
mod kill;
mod memory;
mod ours;
mod per_event;
mod publish;
mod queued;
mod raw;
mod raw_artifact;
mod raw_engine;
mod raw_sqlite;
mod report;
mod stdin;
mod turns;
mod unmatched;
mod warm_start;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::report::{Report, Row, Run};

/// That of the `palisade` binary, for both sides.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "\
usage: bench [--quick] [--only IDS] [--check]

  --quick     few rounds, and no more than 1,000 plugins: ends within two minutes, and says less
  --only IDS  these only, such as T1,T5: T1 to T10, figures, growth
  --check     exit with 1 if a target is missed";
const IDS: &[&str] = &[
    "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "figures", "growth",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == memory::SIDE).is_some() {
        return exit(memory::side(words).await.map(|()| true));
    }
    match Arguments::parse(words, IDS) {
        Ok(arguments) if arguments.help => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(arguments) => exit(run(&arguments).await),
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn exit(all_is_well: Result<bool>) -> ExitCode {
    match all_is_well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything could be measured and, if that is asked for, every target was met.
async fn run(arguments: &Arguments) -> Result<bool> {
    let path = palisade_tests::target().join("bench/report.json");
    let mut report = Report::default();
    let run = Run::now(arguments);
    for id in IDS.iter().filter(|id| arguments.wants(id)) {
        let begin = Instant::now();
        eprintln!("{id} ...");
        if let Err(error) = measure(id, arguments, &mut report).await {
            eprintln!("error: {id}: {error:#}");
            report.failed.push((id, format!("{error:#}")));
        }
        eprintln!("{id}: {:.1} s", begin.elapsed().as_secs_f64());
        report.write(&path, &run)?;
    }
    report.print();
    let missed = report.missed();
    if arguments.check && !missed.is_empty() {
        eprintln!("error: targets missed: {}", missed.join(", "));
    }
    Ok(report.failed.is_empty() && (!arguments.check || missed.is_empty()))
}

async fn measure(id: &str, arguments: &Arguments, report: &mut Report) -> Result<()> {
    match id {
        "figures" => figures::all(arguments, &mut report.figures).await?,
        "growth" => growth::all(arguments, &mut report.figures).await?,
        _ => report.rows.push(row(id, arguments).await?),
    }
    Ok(())
}

async fn row(id: &str, arguments: &Arguments) -> Result<Row> {
    match id {
        "T1" => publish::row(arguments).await,
        "T2" => queued::row(arguments).await,
        "T3" => fan_out::row(arguments).await,
        "T4" => unmatched::row(arguments).await,
        "T5" => per_event::row(arguments).await,
        "T6" => memory::row(arguments).await,
        "T7" => warm_start::row(arguments).await,
        "T8" => durable::row(arguments).await,
        "T9" => kill::row(arguments).await,
        "T10" => stdin::row(arguments).await,
        _ => bail!("there is no {id}"),
    }
}
