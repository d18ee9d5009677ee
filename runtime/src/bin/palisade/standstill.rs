//! An intake that stands still: who holds it up.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use palisade::config::Config;
use palisade::{Backlog, BacklogPolicy, DeliveryMode, HandlerStats, Overflow, PluginSpec, QueuePolicy, Runtime};
use tokio::time::{Instant, timeout};

use crate::console::Console;
use crate::placement::{self, Found};
use crate::text;

/// It stands still when one line takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// It is not said more often than this.
const AGAIN: Duration = Duration::from_secs(10);

/// Says on stderr what the intake waits for.
pub(crate) struct Standstill {
    config: Config,
    console: Console,
    last: Option<Instant>,
    /// Of the config, by the plugins' names; found out when it is needed.
    specs: Option<BTreeMap<String, PluginSpec>>,
}

impl Standstill {
    pub(crate) fn new(config: &Config, console: &Console) -> Self {
        Self {
            config: config.clone(),
            console: console.clone(),
            last: None,
            specs: None,
        }
    }

    /// Waits until a line is published, and says what it waits for when that takes long.
    pub(crate) async fn published<F: Future>(&mut self, number: u64, runtime: &Runtime, publish: F) -> F::Output {
        let mut publish = std::pin::pin!(publish);
        // Mostly there is nothing to wait for, and no timer is to be set up for that.
        if let Some(answer) = publish.as_mut().now_or_never() {
            return answer;
        }
        loop {
            match timeout(self.patience(), publish.as_mut()).await {
                Ok(answer) => return answer,
                Err(_) => {
                    let why = self.why(runtime).await;
                    self.tell(number, &why);
                }
            }
        }
    }

    /// The same, until the reader of stdout has taken enough.
    pub(crate) async fn written(&mut self, number: u64, room: impl Future<Output = ()>) {
        let mut room = std::pin::pin!(room);
        if room.as_mut().now_or_never().is_some() {
            return;
        }
        while timeout(self.patience(), room.as_mut()).await.is_err() {
            self.tell(number, "for stdout, which is not read");
        }
    }

    /// How long to wait before it is said (again).
    fn patience(&self) -> Duration {
        let until = self.last.map(|last| AGAIN.saturating_sub(last.elapsed()));
        until.map_or(PATIENCE, |until| until.max(PATIENCE))
    }

    fn tell(&mut self, number: u64, why: &str) {
        self.last = Some(Instant::now());
        self.console
            .warn(&format!("line {number} waits {why}, and so do the lines after it"));
    }

    /// Of the queues that hold publishers up, the fullest.
    async fn why(&mut self, runtime: &Runtime) -> String {
        let specs = self.specs.get_or_insert_with(|| {
            let found: Vec<_> = runtime.plugins().iter().map(Found::from).collect();
            placement::by_name(&self.config, &found)
        });
        let backlogs = runtime.backlogs().await.unwrap_or_default();
        let stats = runtime.handler_stats();
        let queues = stats.iter().filter_map(|stats| {
            let spec = specs.get(stats.handler.plugin()?)?;
            Some((Waiting::of(stats, spec, &backlogs)?, &stats.handler))
        });
        let fullest = queues.max_by(|(one, _), (other, _)| one.part.total_cmp(&other.part));
        match fullest.filter(|(waiting, _)| waiting.events > 0) {
            Some((waiting, name)) => format!(
                "for room in the queue of {name} ({} in it, and its overflow is \"block\")",
                text::events(waiting.events)
            ),
            None => "for a filter, or for the disk of data-dir".to_owned(),
        }
    }
}

/// What waits for a handler that holds publishers up when too much does.
struct Waiting {
    events: u64,
    /// Of what may wait, as far as that is known: of a queue in memory only the events are.
    part: f64,
}

impl Waiting {
    /// None for those who hold nobody up.
    fn of(stats: &HandlerStats, spec: &PluginSpec, backlogs: &[Backlog]) -> Option<Self> {
        let own = spec.handlers.get(stats.handler.handler());
        let queue = own.and_then(|own| own.queue).unwrap_or(spec.queue);
        if queue.overflow != Overflow::Block {
            return None;
        }
        Some(match own.and_then(|own| own.mode).unwrap_or(spec.mode) {
            DeliveryMode::Durable => {
                let name = stats.handler.to_string();
                let backlog = backlogs.iter().find(|backlog| backlog.handler == name);
                Self::on_disk(backlog?, own.and_then(|own| own.backlog).unwrap_or(spec.backlog))
            }
            _ => Self::in_memory(stats.queued, queue),
        })
    }

    fn in_memory(queued: usize, queue: QueuePolicy) -> Self {
        let events = queued as u64;
        Self {
            events,
            part: part(events, queue.events as u64),
        }
    }

    fn on_disk(backlog: &Backlog, policy: BacklogPolicy) -> Self {
        Self {
            events: backlog.events,
            part: part(backlog.events, policy.events).max(part(backlog.bytes, policy.bytes)),
        }
    }
}

fn part(of: u64, whole: u64) -> f64 {
    of as f64 / whole.max(1) as f64
}
