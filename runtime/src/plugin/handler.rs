//! A plugin's handler and a plugin's filter, as the bus knows them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::Filter;
use crate::event::Event;
use crate::handler::{BoxFuture, Completion, Delivery, Fault, Handler};
use crate::loan::Loan;
use crate::outcome::Class;
use crate::quarantine::Quarantined;
use crate::sandbox::deadline::{Deadline, SetBy};
use crate::sandbox::pool::Pool;
use crate::sandbox::ready::Ready;

/// What the handlers of a plugin share: the instances that serve now, if any.
pub(crate) struct Serving {
    digest: String,
    concurrency: usize,
    /// Taken from by every delivery; which pool it is changes under the lock of `away`.
    ready: Arc<Ready>,
    away: Mutex<Away>,
}

struct Away {
    /// Why there are no instances.
    why: Arc<str>,
    /// Instances that were quarantined, until somebody has seen to the plugin's state.
    quarantined: Option<(Arc<Pool>, Arc<Quarantined>)>,
}

impl Serving {
    pub(crate) fn new(plugin: &str, digest: String, concurrency: usize) -> Arc<Self> {
        let away = Mutex::new(Away {
            why: format!("{plugin} is not started").into(),
            quarantined: None,
        });
        Arc::new(Self {
            digest,
            concurrency,
            ready: Arc::default(),
            away,
        })
    }

    pub(crate) fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.ready.pool()
    }

    /// Events go to these instances from now on; returns those that served before. If they were quarantined meanwhile,
    /// that is over with them.
    pub(crate) fn open(&self, pool: Arc<Pool>) -> Option<Arc<Pool>> {
        let mut away = self.lock();
        let before = self.ready.replace(Some(pool));
        before.or(away.quarantined.take().map(|(pool, _)| pool))
    }

    /// Events are refused from now on; returns the instances that served before, as `open` does.
    pub(crate) fn close(&self, why: String) -> Option<Arc<Pool>> {
        let mut away = self.lock();
        away.why = why.into();
        let before = self.ready.replace(None);
        before.or(away.quarantined.take().map(|(pool, _)| pool))
    }

    /// The same for instances that failed too often; false if they don't serve any more, so that it concerns nobody.
    pub(crate) fn quarantine(&self, pool: &Pool, why: &Arc<Quarantined>) -> bool {
        let mut away = self.lock();
        let Some(now) = self.pool().filter(|now| std::ptr::eq(&raw const **now, pool)) else {
            return false;
        };
        self.ready.replace(None);
        away.why = why.words.clone();
        away.quarantined = Some((now, why.clone()));
        true
    }

    /// Why the plugin's state has to change to quarantined, if so.
    pub(crate) fn quarantined(&self) -> Option<Arc<Quarantined>> {
        self.lock().quarantined.as_ref().map(|(_, why)| why.clone())
    }

    /// The instances that were quarantined, for whoever has seen to that.
    pub(crate) fn take_quarantined(&self) -> Option<Arc<Pool>> {
        self.lock().quarantined.take().map(|(pool, _)| pool)
    }

    /// Whether events are refused.
    fn is_away(&self) -> bool {
        !self.ready.serves()
    }

    fn lock(&self) -> MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn away(&self) -> Arc<str> {
        self.lock().why.clone()
    }

    fn unavailable(&self) -> Fault {
        Fault::new(Class::Unavailable, self.away())
    }

    /// Whether a call came too late for these instances and belongs to others, which took over before it had its turn.
    /// No guest has seen the event then: only `start` and the wait for an instance end as `unavailable`.
    fn passed_on<T>(&self, pool: &Arc<Pool>, result: &Result<T, Fault>) -> bool {
        let unavailable = matches!(result, Err(fault) if fault.class() == Class::Unavailable);
        unavailable && self.pool().is_some_and(|now| !Arc::ptr_eq(&now, pool))
    }
}

/// One handler of a plugin.
pub(crate) struct PluginHandler {
    serving: Arc<Serving>,
    /// That of `serving`, nearer.
    ready: Arc<Ready>,
    /// Its place in `describe`.
    index: u32,
    /// Where the time that it may take comes from.
    timeout: SetBy,
}

impl PluginHandler {
    pub(crate) fn new(serving: Arc<Serving>, index: u32, timeout: SetBy) -> Self {
        Self {
            ready: serving.ready.clone(),
            serving,
            index,
            timeout,
        }
    }

    /// Where no instance is ready: waits for one, or makes a fresh one.
    async fn handle_in_turn(&self, delivery: Delivery, deadline: Deadline) -> Completion {
        loop {
            let Some(pool) = self.serving.pool() else {
                return Completion::failed(self.serving.unavailable());
            };
            let completion = pool.handle(&self.ready, self.index, &delivery, deadline).await;
            if !self.serving.passed_on(&pool, &completion.result) {
                return completion;
            }
        }
    }
}

impl Handler for PluginHandler {
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Completion> {
        let deadline = Deadline::of_delivery(&delivery, self.timeout);
        let Some(instance) = self.ready.take() else {
            return Box::pin(self.handle_in_turn(delivery, deadline));
        };
        let left = delivery.allowed;
        instance.handle(Vec::new(), &self.ready, self.index, delivery, left, deadline)
    }

    #[inline]
    fn touch(&self) {
        self.ready.touch();
    }

    #[inline]
    fn lend(&self) -> Option<Box<dyn Loan + '_>> {
        self.ready.lend().map(|lent| Box::new(lent) as Box<dyn Loan + '_>)
    }

    fn concurrency(&self) -> usize {
        self.serving.concurrency
    }

    fn digest(&self) -> Option<String> {
        Some(self.serving.digest.clone())
    }

    fn unavailable(&self) -> Option<String> {
        self.serving.is_away().then(|| self.serving.away().to_string())
    }
}

/// A filter plugin.
pub(crate) struct PluginFilter {
    pub(crate) serving: Arc<Serving>,
    /// How long a verdict may take in the chain.
    pub(crate) timeout: Duration,
}

impl Filter for PluginFilter {
    fn accepts<'a>(&'a self, event: &'a Event, deadline: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let deadline = Deadline::new(deadline, SetBy::Filter(self.timeout));
            loop {
                let Some(pool) = self.serving.pool() else {
                    return Err(self.serving.unavailable());
                };
                let verdict = pool.accepts(&self.serving.ready, event, deadline).await;
                if !self.serving.passed_on(&pool, &verdict) {
                    return verdict;
                }
            }
        })
    }

    /// S7 counts its faults, and not the bus; without instances there is nobody to ask.
    fn is_out(&self) -> Option<bool> {
        Some(self.serving.is_away())
    }
}
