//! `palisade run`: from the start to the end of everything.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use palisade::config::Config;
use palisade::{DurableStore, Pattern, Runtime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arguments::RunArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::feed::{Feed, Tally};
use crate::stdout::{Stdout, Unwritten};
use crate::summary::{Left, Summary};
use crate::{overlap, owed, signals, start, store};

/// However long the plugins have taken of the time to end, a reader of stdout that is there gets what is left to write.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(crate) fn run(arguments: &RunArguments, console: &Console) -> Result<Exit> {
    let stop = signals::listen()?;
    let config = Config::from_file(&arguments.config)?;
    start::nothing_to_run(&config)?;
    overlap::warn(&config);
    // Here, where it may block: a large one is looked through.
    let store = store::open(&config)?;
    let tokio = start::tokio()?;
    let ended = tokio.block_on(async {
        let run = Run::prepare(config, store, console, stop)?;
        if arguments.stdin {
            run.feed().await
        } else {
            run.serve().await
        }
    });
    // Not to wait for a read or write of a guest's that hangs.
    tokio.shutdown_background();
    ended
}

/// One run of the plugins of a config.
struct Run<'a> {
    config: Config,
    console: &'a Console,
    stop: CancellationToken,
    runtime: Runtime,
}

impl<'a> Run<'a> {
    fn prepare(
        config: Config,
        store: Option<DurableStore>,
        console: &'a Console,
        stop: CancellationToken,
    ) -> Result<Self> {
        let builder = start::by_config(&config)?;
        let runtime = match store {
            Some(store) => builder.store(store).build()?,
            None => builder.build()?,
        };
        Ok(Self {
            config,
            console,
            stop,
            runtime,
        })
    }

    /// With stdin: until its end and that of all that follows from it, a signal, or the end of whoever reads stdout.
    async fn feed(self) -> Result<Exit> {
        let stdout = Stdout::start(io::stdout(), self.publishable())?;
        stdout.subscribe(&self.runtime)?;
        if !self.launch().await? {
            return self.end(None, false, Some(stdout), Instant::now()).await;
        }
        let began = Instant::now();
        let mut feed = Feed::start(&self.runtime, &self.config, self.console)?;
        let fed = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = stdout.closed() => None,
            fed = feed.run(&self.runtime, &stdout) => Some(fed),
        };
        let is_whole = fed.is_some();
        let ended = self.end(Some(feed.end()), is_whole, Some(stdout), began).await;
        fed.unwrap_or(Ok(())).and(ended)
    }

    /// Without stdin: until a signal.
    async fn serve(self) -> Result<Exit> {
        let began = Instant::now();
        if self.launch().await? {
            tracing::warn!(
                "no intake is configured (--stdin reads events): plugins get what plugins publish, and no more"
            );
            self.stop.cancelled().await;
        }
        self.end(None, false, None, began).await
    }

    /// Starts the plugins and says so to all. False when a signal came first.
    async fn launch(&self) -> Result<bool> {
        let owed = self.runtime.backlogs().await.context("the store can't be read")?;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(false),
            launched = start::launch(&self.config, &self.runtime) => {
                launched.context("the start failed, and no event was read")?;
            }
        }
        owed::tell(&owed, &self.runtime);
        self.runtime.announce().await;
        Ok(true)
    }

    /// Finishes what is under way, and says how all went. `is_whole`: the intake came to its own end, so that whatever is
    /// kept now could not be delivered.
    async fn end(&self, tally: Option<Tally>, is_whole: bool, stdout: Option<Stdout>, began: Instant) -> Result<Exit> {
        let deadline = Instant::now() + self.config.drain;
        let drained = self.runtime.shutdown(self.config.drain).await;
        let unwritten = match stdout {
            Some(stdout) => stdout.finish(deadline.max(Instant::now() + LAST_WORDS)).await,
            None => Unwritten::default(),
        };
        let left = Left {
            abandoned: drained.abandoned + unwritten.events,
            kept: drained.backlogs,
            is_whole,
        };
        let summary = Summary::new(&self.runtime, tally, left, began.elapsed());
        summary.show(self.console);
        match unwritten.why {
            Some(why) => bail!("{why}; the run was ended by that"),
            None => Ok(summary.exit()),
        }
    }

    /// The types that stdout can be about: a plugin publishes what its grants name and nothing else.
    fn publishable(&self) -> Vec<Pattern> {
        let mut patterns: Vec<_> = self
            .config
            .plugins
            .iter()
            .flat_map(|spec| spec.grants.publish.clone())
            .collect();
        patterns.sort();
        patterns.dedup();
        patterns
    }
}
