//! The instances of a started plugin: who gets one, and what becomes of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::clock::deadline;
use crate::event::Event;
use crate::handler::{Completion, Delivery, Fault};
use crate::outcome::Class;
use crate::sandbox::blueprint::{Blueprint, Isolation};
use crate::sandbox::instance::{Done, Failed, Instance};

/// A plugin's instances, from its start to its stop; the next start makes a new pool.
pub(crate) struct Pool {
    blueprint: Arc<Blueprint>,
    /// One for each instance there may be; closed when the plugin stops.
    permits: Semaphore,
    /// Persistent instances that wait for work. A permit without an instance here means: make a fresh one.
    idle: Mutex<Vec<Instance>>,
    returned: Notify,
}

/// Instances that have not been started yet.
pub(crate) struct Instances(Vec<Instance>);

/// How a plugin feels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Its `health` said ok.
    Healthy,
    /// All its instances are at work, so it was not asked. That is no illness.
    Busy,
    /// Its `health` said why not, or failed.
    Unhealthy(String),
}

impl Pool {
    /// Makes the instances that a started plugin begins with. Nothing but their core start functions has run yet.
    pub(crate) async fn instantiate(blueprint: &Arc<Blueprint>) -> Result<Instances, Fault> {
        let count = match blueprint.isolation {
            Isolation::Persistent => blueprint.concurrency,
            // Made and thrown away, so that a start that can't succeed fails here and not at every event.
            Isolation::PerEvent => 1,
        };
        let mut instances = Vec::with_capacity(count);
        for _ in 0..count {
            let made = Instance::new(blueprint, deadline_of(blueprint)).await;
            instances.push(made.map_err(|failed| failed.fault)?);
        }
        Ok(Instances(instances))
    }

    /// Calls `start` in each instance. What they published is returned; on an error nothing is, and nothing is left
    /// running.
    pub(crate) async fn open(
        blueprint: Arc<Blueprint>,
        instances: Instances,
    ) -> Result<(Arc<Self>, Vec<Event>), Fault> {
        let (mut idle, mut outbox) = (Vec::new(), Vec::new());
        for instance in instances.0 {
            let done = instance
                .start(deadline_of(&blueprint), None)
                .await
                .map_err(|failed| failed.fault)?;
            outbox.extend(done.outbox);
            idle.push(done.instance);
        }
        if blueprint.isolation == Isolation::PerEvent {
            (idle, outbox) = (Vec::new(), Vec::new());
        }
        let permits = Semaphore::new(blueprint.concurrency);
        let pool = Self {
            blueprint,
            permits,
            idle: Mutex::new(idle),
            returned: Notify::new(),
        };
        Ok((Arc::new(pool), outbox))
    }

    /// Gives one event to an instance, on the caller's task.
    ///
    /// Cancellation safe: dropped while it waits, it costs nothing; dropped while the guest runs, it costs the instance.
    pub(crate) async fn handle(&self, handler: u32, delivery: Delivery) -> Completion {
        match self.try_handle(handler, delivery).await {
            Ok((verdict, outbox, fuel)) => Completion {
                result: verdict,
                outbox,
                fuel,
            },
            Err(Failed { fault, fuel }) => Completion {
                fuel,
                ..Completion::failed(fault)
            },
        }
    }

    async fn try_handle(
        &self,
        handler: u32,
        delivery: Delivery,
    ) -> Result<(Result<(), Fault>, Vec<Event>, Option<u64>), Failed> {
        let slot = self.slot(delivery.deadline).await?;
        let (instance, mut outbox) = slot.instance(delivery.deadline, Some(&delivery.event)).await?;
        let Done {
            instance,
            value,
            outbox: published,
            fuel,
        } = instance.handle(handler, delivery).await?;
        slot.give_back(instance);
        if value.is_ok() {
            outbox.extend(published);
        }
        Ok((value, outbox, fuel))
    }

    /// Asks a filter about one event, by the deadline of the chain or the plugin's own, whichever is first.
    pub(crate) async fn accepts(&self, event: &Event, deadline: Instant) -> Result<bool, Fault> {
        let deadline = deadline.min(deadline_of(&self.blueprint));
        let verdict = async {
            let slot = self.slot(deadline).await?;
            // A filter has no bus to publish to, not even in `start`.
            let (instance, _) = slot.instance(deadline, None).await?;
            let done = instance.accepts(event, deadline).await?;
            slot.give_back(done.instance);
            Ok(done.value)
        };
        verdict.await.map_err(|failed: Failed| failed.fault)
    }

    /// Asks the guest for its health, if an instance has nothing to do.
    pub(crate) async fn health(&self) -> Health {
        let Ok(permit) = self.permits.try_acquire() else {
            return Health::Busy;
        };
        let slot = Slot {
            pool: self,
            permit: Some(permit),
        };
        let deadline = deadline_of(&self.blueprint);
        let asked = async {
            let (instance, _) = slot.instance(deadline, None).await?;
            let done = instance.health(deadline).await?;
            slot.give_back(done.instance);
            Ok(done.value)
        };
        match asked.await {
            Ok(Ok(())) => Health::Healthy,
            Ok(Err(text)) => Health::Unhealthy(text),
            Err(Failed { fault, .. }) => Health::Unhealthy(fault.to_string()),
        }
    }

    /// Stops the plugin: no delivery begins from here on, those running are waited for (their deadlines end them), then
    /// `stop` is called in each instance. Returns what they published meanwhile, and the first fault.
    ///
    /// All of it ends by `last` where that is given: what still runs then is left to its own deadline, and nothing of it is
    /// used any more.
    pub(crate) async fn close(&self, last: Option<Instant>) -> (Vec<Event>, Option<Fault>) {
        self.permits.close();
        match last {
            // Whether they came back or not: those that did are stopped, the others end by themselves.
            Some(last) => drop(timeout_at(last, self.all_returned()).await),
            None => self.all_returned().await,
        }
        let instances = std::mem::take(&mut *self.idle());
        let own = deadline_of(&self.blueprint);
        let deadline = last.map_or(own, |last| own.min(last));
        let stops = instances.into_iter().map(|instance| instance.stop(deadline));
        let (mut outbox, mut fault) = (Vec::new(), None);
        for stopped in join_all(stops).await {
            match stopped {
                Ok(done) => outbox.extend(done.outbox),
                Err(failed) => fault = fault.or(Some(failed.fault)),
            }
        }
        (outbox, fault)
    }

    /// How many bytes of memory the instances that wait have, each.
    pub(crate) fn memory(&self) -> Vec<usize> {
        self.idle().iter().map(Instance::memory).collect()
    }

    /// A place to run, or `overloaded` when there is none by the deadline.
    async fn slot(&self, deadline: Instant) -> Result<Slot<'_>, Fault> {
        let name = &self.blueprint.name;
        // Made before the wait: a permit that a wait was given but did not live to take goes back unseen, and a stop must
        // look again then too.
        let mut slot = Slot {
            pool: self,
            permit: None,
        };
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout_at(deadline, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(Fault::new(Class::Unavailable, format!("{name} was stopped"))),
                Err(_) => {
                    let busy = format!("{name} had no free instance until the deadline (plugin.concurrency)");
                    return Err(Fault::new(Class::Overloaded, busy));
                }
            },
        };
        slot.permit = Some(permit);
        Ok(slot)
    }

    async fn all_returned(&self) {
        loop {
            let returned = self.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable();
            if self.permits.available_permits() >= self.blueprint.concurrency {
                return;
            }
            returned.await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one instance; given back when dropped, whatever happened.
struct Slot<'a> {
    pool: &'a Pool,
    permit: Option<SemaphorePermit<'a>>,
}

impl Slot<'_> {
    /// An instance that waits, or a fresh one with what its `start` published.
    async fn instance(&self, deadline: Instant, cause: Option<&Event>) -> Result<(Instance, Vec<Event>), Failed> {
        let waiting = self.pool.idle().pop();
        if let Some(instance) = waiting {
            return Ok((instance, Vec::new()));
        }
        let done = fresh(&self.pool.blueprint, deadline, cause).await?;
        Ok((done.instance, done.outbox))
    }

    /// Keeps a healthy instance for the next event, if instances live that long.
    fn give_back(&self, instance: Instance) {
        if self.pool.blueprint.isolation == Isolation::Persistent {
            self.pool.idle().push(instance);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.pool.permits.is_closed() {
            self.pool.returned.notify_waiters();
        }
    }
}

/// A new instance, started.
async fn fresh(blueprint: &Arc<Blueprint>, deadline: Instant, cause: Option<&Event>) -> Result<Done<()>, Failed> {
    Instance::new(blueprint, deadline).await?.start(deadline, cause).await
}

fn deadline_of(blueprint: &Blueprint) -> Instant {
    let timeout: Duration = blueprint.limits.timeout;
    deadline(timeout)
}
