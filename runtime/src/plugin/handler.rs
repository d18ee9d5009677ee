//! A plugin's handler and a plugin's filter, as the bus knows them.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::bus::Filter;
use crate::event::Event;
use crate::handler::{BoxFuture, Completion, Delivery, Fault, Handler};
use crate::outcome::Class;
use crate::sandbox::pool::Pool;

/// What the handlers of a plugin share: the instances that serve now, if any.
pub(crate) struct Serving {
    digest: String,
    concurrency: usize,
    pool: ArcSwapOption<Pool>,
    /// Why there are no instances.
    away: Mutex<String>,
}

impl Serving {
    pub(crate) fn new(plugin: &str, digest: String, concurrency: usize) -> Arc<Self> {
        let away = Mutex::new(format!("{plugin} is not started"));
        Arc::new(Self {
            digest,
            concurrency,
            pool: ArcSwapOption::empty(),
            away,
        })
    }

    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.pool.load_full()
    }

    /// Events go to these instances from now on; returns those that served before.
    pub(crate) fn open(&self, pool: Arc<Pool>) -> Option<Arc<Pool>> {
        self.pool.swap(Some(pool))
    }

    /// Events are refused from now on; returns the instances that served before.
    pub(crate) fn close(&self, why: String) -> Option<Arc<Pool>> {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.pool.swap(None)
    }

    fn away(&self) -> String {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unavailable(&self) -> Fault {
        Fault::new(Class::Unavailable, self.away())
    }

    /// Whether a call came too late for these instances and belongs to others, which took over before it had its turn.
    /// No guest has seen the event then: only `start` and the wait for an instance end as `unavailable`.
    fn passed_on<T>(&self, pool: &Arc<Pool>, result: &Result<T, Fault>) -> bool {
        let unavailable = matches!(result, Err(fault) if fault.class() == Class::Unavailable);
        unavailable && self.pool.load().as_ref().is_some_and(|now| !Arc::ptr_eq(now, pool))
    }
}

/// One handler of a plugin.
pub(crate) struct PluginHandler {
    pub(crate) serving: Arc<Serving>,
    /// Its place in `describe`.
    pub(crate) index: u32,
}

impl Handler for PluginHandler {
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Completion> {
        Box::pin(async move {
            loop {
                let Some(pool) = self.serving.pool() else {
                    return Completion::failed(self.serving.unavailable());
                };
                let completion = pool.handle(self.index, delivery.clone()).await;
                if !self.serving.passed_on(&pool, &completion.result) {
                    return completion;
                }
            }
        })
    }

    fn concurrency(&self) -> usize {
        self.serving.concurrency
    }

    fn digest(&self) -> Option<String> {
        Some(self.serving.digest.clone())
    }

    fn unavailable(&self) -> Option<String> {
        self.serving.pool.load().is_none().then(|| self.serving.away())
    }
}

/// A filter plugin.
pub(crate) struct PluginFilter {
    pub(crate) serving: Arc<Serving>,
}

impl Filter for PluginFilter {
    fn accepts<'a>(&'a self, event: &'a Event, deadline: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            loop {
                let Some(pool) = self.serving.pool() else {
                    return Err(self.serving.unavailable());
                };
                let verdict = pool.accepts(event, deadline).await;
                if !self.serving.passed_on(&pool, &verdict) {
                    return verdict;
                }
            }
        })
    }
}
