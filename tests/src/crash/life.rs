//! One life of the child, as its parent sees it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Plan;
use super::child::Child;
use super::fate::Fate;
use super::signal::Signal;

/// How long it may take to come as far as it must; far more than it ever needs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A child that runs.
pub(super) struct Life {
    process: Process,
    signals: Receiver<(Instant, Signal)>,
    fate: Fate,
    said: PathBuf,
}

/// What came of one that went as it should.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lived {
    pub(super) fate: Fate,
    /// From when it began to open the store to when it could publish, if it came so far.
    pub(super) recovery: Option<Duration>,
    /// For how long it could publish.
    pub(super) publishing: Duration,
    /// Whether it ended by itself before it was killed.
    pub(super) ended: bool,
}

impl Lived {
    /// Whether it did all that was owed.
    pub(super) fn is_complete(&self) -> bool {
        self.fate == Fate::Drained
    }
}

impl Life {
    /// Starts a process.
    pub(super) fn begin(plan: &Plan, number: u32, fate: Fate) -> anyhow::Result<Self> {
        let said = plan.directory.join("child.log");
        let stderr = OpenOptions::new().create(true).append(true).open(&said)?;
        let padding = fate.publishes().then(|| fate.padding());
        let mut process = Command::new(std::env::current_exe()?)
            .args(&plan.arguments)
            .envs(Child::environment(plan, number, padding))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("the child could not be started")?;
        let stdout = process.stdout.take().context("its stdout is piped")?;
        let (tell, signals) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(signal) = Signal::parse(&line) {
                    let _ = tell.send((Instant::now(), signal));
                }
            }
        });
        Ok(Self {
            process,
            signals,
            fate,
            said,
        })
    }

    /// Lets it live as long as its fate says. An error is a finding: it did not do what it must.
    pub(super) fn live(mut self) -> Result<Lived, String> {
        let lived = self.until_the_end();
        let _ = self.process.kill();
        let status = self.process.wait().map_err(|error| error.to_string())?;
        let must_succeed = matches!(lived, Ok(Lived { ended: true, .. }));
        if must_succeed && !status.success() {
            return Err(self.told(&format!("it ended as told, and with {status}")));
        }
        lived.map_err(|what| self.told(&format!("{what}; then {status}")))
    }

    fn until_the_end(&mut self) -> Result<Lived, String> {
        let mut lived = Lived {
            fate: self.fate,
            recovery: None,
            publishing: Duration::ZERO,
            ended: false,
        };
        let opening = self.wait_for(Signal::Opening)?;
        if let Fate::Opening(after) = self.fate {
            return self.pause(after).map(|()| lived);
        }
        self.wait_for(Signal::Opened)?;
        if let Fate::Recovering(after) = self.fate {
            return self.pause(after).map(|()| lived);
        }
        let ready = self.wait_for(Signal::Ready)?;
        lived.recovery = Some(ready - opening);
        match self.fate {
            Fate::Publishing(after) | Fate::Heavy(after) => self.pause(after)?,
            Fate::Ending { publishing, ending } => {
                self.pause(publishing)?;
                self.tell_to_end();
                lived.ended = self.ends_within(ending)?;
            }
            _ => {
                self.wait_for(Signal::Ended)?;
                lived.ended = true;
            }
        }
        if self.fate.publishes() {
            lived.publishing = ready.elapsed();
        }
        if lived.ended {
            // It has nothing more to do than to return. What waits takes its stdin away, which it would take for the parent's
            // end if it had not heard from it.
            self.tell_to_end();
            let _ = self.process.wait();
        }
        Ok(lived)
    }

    /// Until it says so; what it says before is passed over.
    fn wait_for(&self, wanted: Signal) -> Result<Instant, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.signals.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((at, signal)) if signal == wanted => return Ok(at),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Err(format!("not {wanted:?} after {PATIENCE:?}")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it ended by itself before it was {wanted:?}"));
                }
            }
        }
    }

    /// Leaves it alone for so long; it must not end by itself meanwhile.
    fn pause(&self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        loop {
            match self.signals.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err("it ended by itself".to_owned()),
            }
        }
    }

    fn tell_to_end(&mut self) {
        if let Some(stdin) = &mut self.process.stdin {
            let _ = stdin.write_all(b"\n");
        }
    }

    /// Whether it has shut down in order by then.
    fn ends_within(&self, time: Duration) -> Result<bool, String> {
        match self.signals.recv_timeout(time) {
            Ok(_) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err("its shutdown failed".to_owned()),
        }
    }

    /// With the last words of the child.
    fn told(&self, what: &str) -> String {
        let said = File::open(&self.said)
            .and_then(std::io::read_to_string)
            .unwrap_or_default();
        let last: Vec<_> = said.lines().rev().take(12).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        format!("{what}\n    {}", last.join("\n    "))
    }
}
