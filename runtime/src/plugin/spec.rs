//! What the operator says of a plugin.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::bus::FilterOptions;
use crate::delivery::{BacklogPolicy, BreakerPolicy, DeliveryMode, EventOrder, QueuePolicy, RetryPolicy};
use crate::limits::Limits;
use crate::plugin::{Grants, HandlerInfo, PluginConfig};
use crate::quarantine::QuarantinePolicy;
use crate::sandbox::Isolation;

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Bytes(Bytes),
}

/// A plugin to load: where it is, and what it may do. The defaults grant nothing and limit everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginSpec {
    /// Where its component is.
    pub source: Source,
    /// What it is called in this runtime; by default what its `describe` says.
    pub name: Option<String>,
    /// The SHA-256 that its bytes must have, as `sha256:` and hex digits.
    pub digest: Option<String>,
    /// How long an instance lives.
    pub isolation: Isolation,
    /// How many instances may work at a time; 1.
    pub concurrency: usize,
    /// The table that its `start` gets.
    pub config: PluginConfig,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub grants: Grants,
    /// What happens to the events of its handlers when the process ends; they are gone with it.
    pub mode: DeliveryMode,
    /// The bounds of its handlers' queues.
    pub queue: QueuePolicy,
    /// How much each of its handlers may be owed on the disk, if it is durable.
    pub backlog: BacklogPolicy,
    /// What happens after a failed attempt at a queued event.
    pub retry: RetryPolicy,
    /// In which order its handlers get their events; none across retries.
    pub ordering: EventOrder,
    /// When a handler of it is left in peace because it fails too often; `None`: never.
    pub breaker: Option<BreakerPolicy>,
    /// What differs for single handlers, by name. A name that the plugin does not have is an error.
    pub handlers: BTreeMap<String, HandlerSpec>,
    /// How it is run if it is a filter.
    pub filter: FilterOptions,
    /// How many faults it may have before it is quarantined; `None`: however many.
    pub quarantine: Option<QuarantinePolicy>,
}

/// What differs for one handler of a plugin; what is absent is as for the plugin.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HandlerSpec {
    /// The longest one call may take.
    pub timeout: Option<Duration>,
    /// What happens to its events when the process ends.
    pub mode: Option<DeliveryMode>,
    /// The bounds of its queue.
    pub queue: Option<QueuePolicy>,
    /// How much it may be owed on the disk, if it is durable.
    pub backlog: Option<BacklogPolicy>,
    /// What happens after a failed attempt at a queued event.
    pub retry: Option<RetryPolicy>,
    /// In which order it gets its events.
    pub ordering: Option<EventOrder>,
    /// When it is left in peace because it fails too often; `Some(None)`: never.
    pub breaker: Option<Option<BreakerPolicy>>,
}

impl PluginSpec {
    /// A plugin in a file.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(path.into()))
    }

    /// A plugin in memory.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Source::Bytes(bytes.into()))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            name: None,
            digest: None,
            isolation: Isolation::default(),
            concurrency: 1,
            config: PluginConfig::default(),
            limits: Limits::default(),
            grants: Grants::default(),
            mode: DeliveryMode::default(),
            queue: QueuePolicy::default(),
            backlog: BacklogPolicy::default(),
            retry: RetryPolicy::default(),
            ordering: EventOrder::None,
            breaker: Some(BreakerPolicy::default()),
            handlers: BTreeMap::new(),
            filter: FilterOptions::default(),
            quarantine: Some(QuarantinePolicy::default()),
        }
    }

    /// How long one call of this handler may take: what is said of it here, else what it asks for, and never more than the
    /// plugin's own limit in `limits`, which are those in force ([`Inspection::limits`](crate::Inspection::limits)).
    pub fn handler_timeout(&self, handler: &HandlerInfo, limits: &Limits) -> Duration {
        let own = self.handlers.get(&handler.name).and_then(|own| own.timeout);
        let asked = own.or(handler.timeout).unwrap_or(limits.timeout);
        asked.min(limits.timeout)
    }

    /// Sets what it is called in this runtime.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the digest that its bytes must have.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = Some(digest.into());
        self
    }

    /// Sets how long an instance lives.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets how many instances may work at a time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the table that its `start` gets.
    #[must_use]
    pub fn config(mut self, config: PluginConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets what it may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what it may do.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Sets what happens to the events of its handlers when the process ends.
    #[must_use]
    pub fn mode(mut self, mode: DeliveryMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the bounds of its handlers' queues.
    #[must_use]
    pub fn queue(mut self, queue: QueuePolicy) -> Self {
        self.queue = queue;
        self
    }

    /// Sets how much each of its handlers may be owed on the disk, if it is durable.
    #[must_use]
    pub fn backlog(mut self, backlog: BacklogPolicy) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets what happens after a failed attempt at a queued event.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets in which order its handlers get their events.
    #[must_use]
    pub fn ordering(mut self, ordering: EventOrder) -> Self {
        self.ordering = ordering;
        self
    }

    /// Sets when a handler of it is left in peace because it fails too often; `None` turns that off.
    #[must_use]
    pub fn breaker(mut self, policy: impl Into<Option<BreakerPolicy>>) -> Self {
        self.breaker = policy.into();
        self
    }

    /// Whether it matters which of its instances an event goes to.
    pub(crate) fn keeps_lanes(&self) -> bool {
        let own = self.handlers.values().filter_map(|handler| handler.ordering.as_ref());
        let by_key = own
            .chain([&self.ordering])
            .any(|order| matches!(order, EventOrder::Key(_)));
        by_key && self.concurrency > 1 && self.isolation == Isolation::Persistent
    }

    /// Sets what differs for one handler.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>, spec: HandlerSpec) -> Self {
        self.handlers.insert(name.into(), spec);
        self
    }

    /// Sets how it is run if it is a filter.
    #[must_use]
    pub fn filter(mut self, filter: FilterOptions) -> Self {
        self.filter = filter;
        self
    }

    /// Sets how many faults it may have before it is quarantined; `None` turns that off.
    #[must_use]
    pub fn quarantine(mut self, policy: impl Into<Option<QuarantinePolicy>>) -> Self {
        self.quarantine = policy.into();
        self
    }

    /// What messages call it before it has said its name.
    pub(crate) fn label(&self) -> String {
        match (&self.name, &self.source) {
            (Some(name), _) => name.clone(),
            (None, Source::File(path)) => path.display().to_string(),
            (None, Source::Bytes(_)) => "a plugin in memory".to_owned(),
        }
    }
}
