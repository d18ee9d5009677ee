//! The bus: subscriptions, filters, and the two ways to publish.

mod acknowledge;
mod allowance;
mod apart;
mod async_publish;
mod attempt;
mod call;
mod caller;
mod drain;
mod durable;
pub(crate) mod endpoint;
mod entry;
mod error;
mod fan_out;
pub(crate) mod filter;
mod front;
mod inflight;
mod lanes;
mod letters;
mod log_rate;
mod options;
mod publish;
mod queue;
mod release;
mod room;
mod signal;
mod stats;
mod table;
mod trie;
mod window;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle as TokioHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use async_publish::HOST_SOURCE;
pub use endpoint::HandlerStats;
pub use error::{FilterError, PublishError, SubscribeError};
pub use filter::{Filter, FilterId, FilterOptions, OnFault};
pub use letters::{RedriveError, Redriven};
pub use options::SubscribeOptions;
pub use stats::BusStats;

use crate::delivery::{DeadLetterReason, DeadLetterStore, DeliveryMode, DeliveryStore, Overflow};
use crate::event::{Event, EventLimits, is_reserved};
use crate::handler::{Handler, OutboxLimits};
use crate::outcome::HandlerName;
use crate::pattern::Pattern;
use endpoint::{Endpoint, EndpointId};
use filter::{FilterEntry, Verdict};
use inflight::Inflight;
use letters::Cause;
use log_rate::LogRate;
use stats::Counters;
use table::Table;

/// Tells subscriptions apart; `unsubscribe` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub(crate) u64);

/// What the bus is built with.
pub(crate) struct BusConfig {
    pub(crate) limits: Arc<OutboxLimits>,
    pub(crate) max_hops: u32,
    pub(crate) publish_timeout: Duration,
    pub(crate) dead_letters: Arc<dyn DeadLetterStore>,
    /// Where durable deliveries are kept; the dead letters are in it, too.
    pub(crate) store: Option<Arc<dyn DeliveryStore>>,
}

/// The bus. Publishers read `table` and `filters` without a lock; `registry` is locked to change them, never while a
/// handler or filter runs (B9).
pub(crate) struct Bus {
    table: ArcSwap<Table>,
    filters: ArcSwap<Vec<Arc<FilterEntry>>>,
    /// Whether there are any: nearly always there are none, and a publisher need not look for them.
    is_filtered: AtomicBool,
    registry: Mutex<Registry>,
    limits: Arc<OutboxLimits>,
    /// Whether the limits are no lower than the default ones.
    admits_ordinary: bool,
    max_hops: u32,
    publish_timeout: Duration,
    dead_letters: Arc<dyn DeadLetterStore>,
    store: Option<Arc<dyn DeliveryStore>>,
    inflight: Arc<Inflight>,
    counters: Counters,
    next_id: AtomicU64,
    closed: AtomicBool,
    keeps_house: AtomicBool,
    letters_told: LogRate,
    store_told: LogRate,
    /// Cancelled when a drain has run out of time: retries that still wait then give up.
    ended: CancellationToken,
    tokio: TokioHandle,
}

/// What changes under the lock; the table is made from it.
#[derive(Default)]
struct Registry {
    endpoints: HashMap<HandlerName, (Arc<Endpoint>, usize)>,
    subscriptions: HashMap<SubscriptionId, (Pattern, HandlerName)>,
    ids: HashMap<(Pattern, HandlerName), SubscriptionId>,
    /// Endpoints without a subscription whose queue may still be at work: one that is subscribed again goes on with it, or a
    /// handler could have as many queues as it likes.
    retired: HashMap<HandlerName, Weak<Endpoint>>,
    /// Those of them whose name another has now.
    replaced: Vec<Weak<Endpoint>>,
}

impl Bus {
    pub(crate) fn new(config: BusConfig, tokio: TokioHandle) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::default(),
            filters: ArcSwap::default(),
            is_filtered: AtomicBool::new(false),
            registry: Mutex::default(),
            admits_ordinary: config.limits.event.admit_ordinary(),
            limits: config.limits,
            max_hops: config.max_hops,
            publish_timeout: config.publish_timeout,
            dead_letters: config.dead_letters,
            store: config.store,
            inflight: Arc::default(),
            counters: Counters::default(),
            next_id: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            keeps_house: AtomicBool::new(false),
            letters_told: LogRate::default(),
            store_told: LogRate::default(),
            ended: CancellationToken::new(),
            tokio,
        })
    }

    /// B1: subscribes a handler to patterns; all of them or, on an error, none.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        patterns: &[Pattern],
        name: &HandlerName,
        handler: &Arc<dyn Handler>,
        options: &SubscribeOptions,
    ) -> Result<Vec<SubscriptionId>, SubscribeError> {
        self.check_durable(name, options)?;
        let mut registry = self.registry();
        let known = registry.known(name, handler);
        if known.as_ref().is_some_and(|endpoint| !endpoint.is(handler)) {
            return Err(SubscribeError::NameTaken {
                handler: name.to_string(),
            });
        }
        registry.check_new(patterns, name)?;
        let is_new = !registry.endpoints.contains_key(name);
        let before = registry.retired.remove(name).and_then(|endpoint| endpoint.upgrade());
        let endpoint = known.unwrap_or_else(|| {
            let (id, inflight) = (EndpointId(self.next_id()), self.inflight.clone());
            Endpoint::new(id, name.clone(), handler.clone(), options, inflight)
        });
        let mut table = Table::clone(&self.table.load());
        let mut added = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let id = SubscriptionId(self.next_id());
            table.insert(pattern, endpoint.clone());
            registry.add(id, pattern, name, &endpoint);
            added.push(id);
        }
        if is_new && !self.closed.load(Ordering::SeqCst) {
            let before = before.filter(|before| !Arc::ptr_eq(before, &endpoint));
            registry.replaced.retain(|endpoint| endpoint.strong_count() > 0);
            registry.replaced.extend(before.as_ref().map(Arc::downgrade));
            self.follow(&endpoint, before);
        }
        self.table.store(Arc::new(table));
        Ok(added)
    }

    fn check_durable(&self, name: &HandlerName, options: &SubscribeOptions) -> Result<(), SubscribeError> {
        if options.mode != DeliveryMode::Durable {
            return Ok(());
        }
        let handler = name.to_string();
        if self.store.is_none() {
            return Err(SubscribeError::NoStore { handler });
        }
        match options.queue.overflow {
            Overflow::Block | Overflow::Reject => Ok(()),
            Overflow::DropOldest | Overflow::DropNewest => Err(SubscribeError::DurableDrops { handler }),
        }
    }

    /// B1: ends a subscription; publishes that have begun still deliver.
    pub(crate) fn unsubscribe(&self, id: SubscriptionId) -> Result<(), SubscribeError> {
        let mut registry = self.registry();
        self.remove(&mut registry, &[id])
    }

    /// Ends the subscription of a handler to a pattern.
    pub(crate) fn unsubscribe_pattern(&self, pattern: &Pattern, name: &HandlerName) -> Result<(), SubscribeError> {
        let mut registry = self.registry();
        let id = registry.ids.get(&(pattern.clone(), name.clone())).copied();
        let not_found = || SubscribeError::NotFound(format!("{name} has no subscription to `{pattern}`"));
        self.remove(&mut registry, &[id.ok_or_else(not_found)?])
    }

    /// Ends every subscription of a plugin's handlers.
    pub(crate) fn unsubscribe_plugin(&self, plugin: &str) {
        self.unsubscribe_all(|endpoint| endpoint.name().plugin() == Some(plugin));
    }

    /// The same, but for those whose events are durable: they go on being stored (D9).
    pub(crate) fn unsubscribe_ephemeral(&self, plugin: &str) {
        self.unsubscribe_all(|endpoint| endpoint.name().plugin() == Some(plugin) && !endpoint.is_durable());
    }

    fn unsubscribe_all(&self, such: impl Fn(&Endpoint) -> bool) {
        let mut registry = self.registry();
        let of_plugin = |name: &HandlerName| registry.endpoints.get(name).is_some_and(|(endpoint, _)| such(endpoint));
        let ids: Vec<_> = registry
            .subscriptions
            .iter()
            .filter(|(_, (_, name))| of_plugin(name))
            .map(|(id, _)| *id)
            .collect();
        // The ids were read under the same lock, so each of them is there.
        let _ = self.remove(&mut registry, &ids);
    }

    fn remove(&self, registry: &mut Registry, ids: &[SubscriptionId]) -> Result<(), SubscribeError> {
        let mut table = Table::clone(&self.table.load());
        for id in ids {
            let not_found = || SubscribeError::NotFound(format!("there is no subscription {}", id.0));
            let (pattern, endpoint) = registry.remove(*id).ok_or_else(not_found)?;
            table.remove(&pattern, endpoint);
        }
        self.table.store(Arc::new(table));
        Ok(())
    }

    pub(crate) fn subscriptions_of(&self, name: &HandlerName) -> Vec<Pattern> {
        let registry = self.registry();
        let mut patterns: Vec<_> = registry
            .subscriptions
            .values()
            .filter(|(_, other)| other == name)
            .map(|(pattern, _)| pattern.clone())
            .collect();
        patterns.sort();
        patterns
    }

    /// B8: adds a filter at the end of the chain.
    pub(crate) fn add_filter(&self, name: Arc<str>, filter: Arc<dyn Filter>, options: FilterOptions) -> FilterId {
        let id = FilterId(self.next_id());
        let entry = Arc::new(FilterEntry::new(id, name, filter, options));
        let _registry = self.registry();
        let mut filters = Vec::clone(&self.filters.load());
        filters.push(entry);
        self.set_filters(filters);
        id
    }

    pub(crate) fn remove_filter(&self, id: FilterId) -> Result<(), FilterError> {
        let _registry = self.registry();
        let mut filters = Vec::clone(&self.filters.load());
        let before = filters.len();
        filters.retain(|entry| entry.id != id);
        if filters.len() == before {
            return Err(FilterError::NotFound(id));
        }
        self.set_filters(filters);
        Ok(())
    }

    /// What every event from outside must be.
    #[inline]
    fn admit(&self, event: &Event) -> Result<(), PublishError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(PublishError::ShuttingDown);
        }
        if self.admits_ordinary && event.is_ordinary() {
            return Ok(());
        }
        if is_reserved(event.event_type()) {
            return Err(PublishError::Reserved(crate::event::excerpt(event.event_type())));
        }
        event.check(&self.limits.event)?;
        self.check_hops(event)
    }

    fn set_filters(&self, filters: Vec<Arc<FilterEntry>>) {
        let are_there = !filters.is_empty();
        self.filters.store(Arc::new(filters));
        self.is_filtered.store(are_there, Ordering::Release);
    }

    #[inline]
    fn has_filters(&self) -> bool {
        self.is_filtered.load(Ordering::Acquire)
    }

    /// B8: asks the filters in their order; the one that refuses, or whose fault does.
    async fn refusing_filter(self: &Arc<Self>, event: &Event) -> Option<Arc<FilterEntry>> {
        let filters = self.filters.load_full();
        for entry in filters.iter() {
            let by_a_fault = match entry.judge(event).await {
                Verdict::Accept => continue,
                Verdict::Refuse => false,
                Verdict::Tripped => true,
                Verdict::Fault { accept, fault, tripped } => {
                    tracing::warn!(filter = %entry.name, event = event.id(), %fault, "a filter failed");
                    if tripped {
                        self.report_tripped(entry, &fault).await;
                    }
                    if accept {
                        continue;
                    }
                    true
                }
            };
            self.counters.filtered(by_a_fault);
            return Some(entry.clone());
        }
        None
    }

    async fn report_tripped(self: &Arc<Self>, entry: &FilterEntry, fault: &crate::handler::Fault) {
        let what = match entry.on_fault() {
            OnFault::Reject => "more than 5 faults in 60 s: no event goes on until it is removed (on-fault = reject)",
            OnFault::Pass => "more than 5 faults in 60 s: it is not asked any more (on-fault = pass)",
        };
        tracing::error!(filter = %entry.name, %fault, "{what}");
        let data = serde_json::json!({ "filter": &*entry.name, "error": what, "fault": fault.to_string() });
        self.publish_host(crate::event::types::PLUGIN_ERROR, &data, None).await;
    }

    /// B10: chains of handlers that publish end; what is a hop too far becomes a dead letter.
    fn check_hops(&self, event: &Event) -> Result<(), PublishError> {
        let Err(cause) = self.too_far(event) else { return Ok(()) };
        let hops = u32::from(event.hop_count());
        self.bury(self.letter(event.clone(), None, cause, (0, None)));
        Err(PublishError::HopLimit {
            hops,
            limit: self.max_hops,
        })
    }

    fn too_far(&self, event: &Event) -> Result<(), Cause> {
        let (hops, limit) = (u32::from(event.hop_count()), self.max_hops);
        if hops <= limit {
            return Ok(());
        }
        Err(Cause {
            reason: DeadLetterReason::HopLimit,
            error: PublishError::HopLimit { hops, limit }.to_string(),
        })
    }

    pub(crate) fn dead_letters(&self) -> &Arc<dyn DeadLetterStore> {
        &self.dead_letters
    }

    pub(crate) fn outbox_limits(&self) -> &Arc<OutboxLimits> {
        &self.limits
    }

    pub(crate) fn event_limits(&self) -> &EventLimits {
        &self.limits.event
    }

    pub(crate) fn handler_stats(&self) -> Vec<HandlerStats> {
        let mut stats: Vec<_> = self
            .registry()
            .endpoints
            .values()
            .map(|(endpoint, _)| endpoint.stats())
            .collect();
        stats.sort_by(|a, b| a.handler.cmp(&b.handler));
        stats
    }

    pub(crate) fn stats(&self) -> BusStats {
        self.counters.read()
    }

    pub(crate) fn dead_letter_counts(&self) -> BTreeMap<DeadLetterReason, u64> {
        self.counters.dead_letters()
    }

    /// Runs what follows by itself from what is pending now; `quiet` waits for it.
    pub(crate) fn follow_up(&self, work: impl Future<Output = ()> + Send + 'static) {
        let pending = self.inflight.pending();
        self.tokio.spawn(async move {
            work.await;
            drop(pending);
        });
    }

    /// Returns when a drain has run out of time: what still runs is not waited for any more.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// The endpoint of this name, be it in use, or retired with the same handler.
    fn known(&self, name: &HandlerName, handler: &Arc<dyn Handler>) -> Option<Arc<Endpoint>> {
        let in_use = self.endpoints.get(name).map(|(endpoint, _)| endpoint.clone());
        let retired = || {
            self.retired
                .get(name)
                .and_then(Weak::upgrade)
                .filter(|endpoint| endpoint.is(handler))
        };
        in_use.or_else(retired)
    }

    /// Every endpoint whose queue may hold something.
    fn all_endpoints(&self) -> Vec<Arc<Endpoint>> {
        let in_use = self.endpoints.values().map(|(endpoint, _)| endpoint.clone());
        let left = self.retired.values().chain(&self.replaced).filter_map(Weak::upgrade);
        in_use.chain(left).collect()
    }

    fn check_new(&self, patterns: &[Pattern], name: &HandlerName) -> Result<(), SubscribeError> {
        if patterns.is_empty() {
            return Err(SubscribeError::NoPattern {
                handler: name.to_string(),
            });
        }
        for (at, pattern) in patterns.iter().enumerate() {
            let twice = patterns.iter().take(at).any(|other| other == pattern);
            if twice || self.ids.contains_key(&(pattern.clone(), name.clone())) {
                return Err(SubscribeError::AlreadyExists {
                    pattern: pattern.clone(),
                    handler: name.to_string(),
                });
            }
        }
        Ok(())
    }

    fn add(&mut self, id: SubscriptionId, pattern: &Pattern, name: &HandlerName, endpoint: &Arc<Endpoint>) {
        self.subscriptions.insert(id, (pattern.clone(), name.clone()));
        self.ids.insert((pattern.clone(), name.clone()), id);
        self.endpoints
            .entry(name.clone())
            .or_insert_with(|| (endpoint.clone(), 0))
            .1 += 1;
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<(Pattern, EndpointId)> {
        let (pattern, name) = self.subscriptions.remove(&id)?;
        self.ids.remove(&(pattern.clone(), name.clone()));
        let (endpoint, patterns) = self.endpoints.get_mut(&name)?;
        *patterns -= 1;
        let endpoint_id = endpoint.id();
        if *patterns == 0
            && let Some((endpoint, _)) = self.endpoints.remove(&name)
        {
            self.retired.retain(|_, endpoint| endpoint.strong_count() > 0);
            endpoint.queue.rest();
            self.retired.insert(name, Arc::downgrade(&endpoint));
        }
        Some((pattern, endpoint_id))
    }
}
