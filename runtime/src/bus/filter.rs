//! Filters: what decides, once an event, whether it goes on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::clock::deadline;
use crate::event::Event;
use crate::handler::{BoxFuture, Fault, panic_message};
use crate::outcome::Class;
use crate::quarantine::{FaultCount, QuarantinePolicy};

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

    /// Whether it is out of order: then it is not asked, and events fare as its `on_fault` says. `None`, unless it says
    /// otherwise: it does not watch over its own faults, so that the bus counts them.
    fn is_out(&self) -> Option<bool> {
        None
    }
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
    /// The event does not go on. After more than 5 faults in 60 s no event does, without the filter being asked, until a
    /// native filter is removed or a filter plugin, which is [quarantined](crate::QuarantinePolicy), is started again.
    #[default]
    Reject,
    /// The event goes on. After more than 5 faults in 60 s the filter is not asked any more, until the same.
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
    /// Of one that does not watch over its faults itself.
    faults: Option<FaultCount>,
}

/// What a filter said, or failed to say.
pub(crate) enum Verdict {
    Accept,
    Refuse,
    /// It is out of order, and nothing goes on without it.
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
        let counts_itself = filter.is_out().is_some();
        Self {
            id,
            name,
            filter,
            options,
            tripped: AtomicBool::new(false),
            faults: (!counts_itself).then(|| FaultCount::new(QuarantinePolicy::default())),
        }
    }

    pub(crate) fn on_fault(&self) -> OnFault {
        self.options.on_fault
    }

    pub(crate) async fn judge(&self, event: &Event) -> Verdict {
        let pass = self.options.on_fault == OnFault::Pass;
        if self.is_out() {
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

    fn is_out(&self) -> bool {
        self.filter
            .is_out()
            .unwrap_or_else(|| self.tripped.load(Ordering::Relaxed))
    }

    /// Counts a fault; true when this is the one that takes the filter out.
    fn count_fault(&self) -> bool {
        let too_many = self.faults.as_ref().is_some_and(|faults| faults.add().is_some());
        too_many && !self.tripped.swap(true, Ordering::Relaxed)
    }
}
