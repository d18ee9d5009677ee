//! T10: `palisade run --stdin` as it is shipped, fed with lines of JSON.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use palisade::{Event, Runtime};
use palisade_tests::{plugin, target};
use tokio::process::Command;

use crate::arguments::Arguments;
use crate::ours;
use crate::publish::is_good;
use crate::report::Row;
use crate::turns::{each, nanos, turns};

const WHAT: &str = "run --stdin, one handler, 1 KiB; raw: parse and publish";
/// What is there at each run, however many events there are, is taken off by a run with these only.
const FEW: u32 = 1_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let run = Run::new(arguments.count(200_000, 100_000))?;
    let runtime = ours::runtime(vec![ours::probe()]).await?;
    let lines: Vec<String> = fs::read_to_string(&run.few)?.lines().map(str::to_owned).collect();
    let turns = turns(
        arguments.rounds(15, 9),
        async || run.an_event().await,
        async || parse_and_publish(&runtime, &lines).await,
    )
    .await?;
    Ok(Row::ratio("T10", WHAT, "ns", turns, 1.5))
}

async fn parse_and_publish(runtime: &Runtime, lines: &[String]) -> Result<f64> {
    let mut lines = lines.iter().cycle();
    let calls = 10 * FEW;
    each(calls, async || {
        let line = lines.next().context("no lines")?;
        let report = runtime.publish(Event::from_json(line, runtime.event_limits())?).await?;
        ensure!(is_good(&report), "not delivered: {report:?}");
        Ok(())
    })
    .await
}

/// What the program is run with.
struct Run {
    directory: tempfile::TempDir,
    few: PathBuf,
    many: PathBuf,
    more: u32,
}

impl Run {
    fn new(more: u32) -> Result<Self> {
        let directory = tempfile::tempdir().context("no directory")?;
        let path = |name| directory.path().join(name);
        let probe = plugin("probe");
        let config = format!(
            "cache-dir = \"cache\"\n[[plugin]]\npath = {probe:?}\n[plugin.grants]\nsubscribe = [\"bench.>\"]\n"
        );
        fs::write(path("palisade.toml"), config)?;
        let (few, many) = (path("few.ndjson"), path("many.ndjson"));
        lines(&few, FEW)?;
        lines(&many, FEW + more)?;
        Ok(Self {
            directory,
            few,
            many,
            more,
        })
    }

    /// The nanoseconds of one event.
    async fn an_event(&self) -> Result<f64> {
        let few = self.took(&self.few, FEW).await?;
        let many = self.took(&self.many, FEW + self.more).await?;
        Ok((many - few) / f64::from(self.more))
    }

    async fn took(&self, lines: &Path, count: u32) -> Result<f64> {
        let program = target().join("release/palisade");
        let mut run = Command::new(&program);
        run.current_dir(self.directory.path())
            .args(["run", "--config", "palisade.toml", "--stdin"])
            .stdin(File::open(lines)?)
            .stdout(Stdio::null());
        let begin = Instant::now();
        let output = run.output().await.with_context(|| {
            format!(
                "{} can't be run: `cargo build --release -p palisade`",
                program.display()
            )
        })?;
        let took = nanos(begin);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", output.status);
        // The summary has thousands set apart.
        let counted = said.lines().find(|line| line.trim_start().starts_with("probe/all"));
        let counted = counted.map(|line| line.replace(',', ""));
        let all = format!(" ok {count}");
        ensure!(
            counted.is_some_and(|counted| counted.ends_with(&all)),
            "not all {count} events were handled: {said}"
        );
        Ok(took)
    }
}

fn lines(path: &Path, count: u32) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for _ in 0..count {
        writeln!(file, "{}", ours::event(1024)?.to_json())?;
    }
    Ok(file.flush()?)
}
