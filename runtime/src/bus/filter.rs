//! Filters: what decides, once an event, whether it goes on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::clock::deadline;
use crate::event::Event;
use crate::handler::{BoxFuture, Fault, panic_message};
use crate::outcome::Class;

/// How many faults within [`FAULT_WINDOW`] a filter may have before it is taken out (the same as S7's for plugins).
const FAULTS: usize = 5;
const FAULT_WINDOW: Duration = Duration::from_secs(60);

/// Tells filters apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(pub(crate) u64);

impl std::fmt::Display for FilterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filter-{}", self.0)
    }
}

/// Something that decides whether an event goes on. A closure `Fn(&Event) -> bool` is one.
pub trait Filter: Send + Sync + 'static {
    /// The verdict on one event, by the deadline. May be dropped at any await.
    fn accepts<'a>(&'a self, event: &'a Event, deadline: Instant) -> BoxFuture<'a, Result<bool, Fault>>;
}

impl<F: Fn(&Event) -> bool + Send + Sync + 'static> Filter for F {
    fn accepts<'a>(&'a self, event: &'a Event, _deadline: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move { Ok(self(event)) })
    }
}

/// What a fault of a filter means for the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFault {
    /// The event does not go on; after more than 5 faults in 60 s no event does, without the filter being asked.
    #[default]
    Reject,
    /// The event goes on; after more than 5 faults in 60 s the filter is not asked any more.
    Pass,
}

/// How a filter is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterOptions {
    /// The longest one verdict may take, the wait for a free instance included; 100 ms. A native filter that does not
    /// await can't be stopped by it.
    pub timeout: Duration,
    /// What a fault means.
    pub on_fault: OnFault,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(100),
            on_fault: OnFault::default(),
        }
    }
}

impl FilterOptions {
    /// Sets the longest one verdict may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets what a fault means.
    #[must_use]
    pub fn on_fault(mut self, on_fault: OnFault) -> Self {
        self.on_fault = on_fault;
        self
    }
}

/// A filter in its place in the chain.
pub(crate) struct FilterEntry {
    pub(crate) id: FilterId,
    pub(crate) name: Arc<str>,
    filter: Arc<dyn Filter>,
    options: FilterOptions,
    tripped: AtomicBool,
    faults: Mutex<VecDeque<Instant>>,
}

/// What a filter said, or failed to say.
pub(crate) enum Verdict {
    Accept,
    Refuse,
    /// It has failed too often to be asked, and nothing goes on without it.
    Tripped,
    /// The fault decides as `on-fault` says; `tripped` once, when it was one too many.
    Fault {
        accept: bool,
        fault: Fault,
        tripped: bool,
    },
}

impl FilterEntry {
    pub(crate) fn new(id: FilterId, name: Arc<str>, filter: Arc<dyn Filter>, options: FilterOptions) -> Self {
        Self {
            id,
            name,
            filter,
            options,
            tripped: AtomicBool::new(false),
            faults: Mutex::default(),
        }
    }

    pub(crate) fn on_fault(&self) -> OnFault {
        self.options.on_fault
    }

    pub(crate) async fn judge(&self, event: &Event) -> Verdict {
        let pass = self.options.on_fault == OnFault::Pass;
        if self.tripped.load(Ordering::Relaxed) {
            return if pass { Verdict::Accept } else { Verdict::Tripped };
        }
        match self.ask(event).await {
            Ok(true) => Verdict::Accept,
            Ok(false) => Verdict::Refuse,
            Err(fault) => {
                // To be busy is no fault of the filter's, but the event still needs a verdict.
                let tripped = fault.class() != Class::Overloaded && self.count_fault();
                Verdict::Fault {
                    accept: pass,
                    fault,
                    tripped,
                }
            }
        }
    }

    async fn ask(&self, event: &Event) -> Result<bool, Fault> {
        let deadline = deadline(self.options.timeout);
        let asked = AssertUnwindSafe(async { self.filter.accepts(event, deadline).await });
        match timeout_at(deadline, asked.catch_unwind()).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(panic)) => {
                let message = format!("filter {} panicked: {}", self.name, panic_message(&*panic));
                Err(Fault::new(Class::HostPanic, message))
            }
            Err(_) => {
                let limit = self.options.timeout;
                let message = format!("filter {} gave no verdict within {limit:?} (filter.timeout)", self.name);
                Err(Fault::new(Class::Timeout, message))
            }
        }
    }

    /// Counts a fault; true when this is the one that takes the filter out.
    fn count_fault(&self) -> bool {
        let now = Instant::now();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        while faults
            .front()
            .is_some_and(|first| now.duration_since(*first) > FAULT_WINDOW)
        {
            faults.pop_front();
        }
        faults.push_back(now);
        faults.len() > FAULTS && !self.tripped.swap(true, Ordering::Relaxed)
    }
}
