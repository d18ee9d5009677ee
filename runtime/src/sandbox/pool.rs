//! The instances of a started plugin: who gets one, and what becomes of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::clock::by;
use crate::event::Event;
use crate::handler::{Completion, Delivery, Fault, Uncommitted};
use crate::outcome::Class;
use crate::quarantine::{FaultCount, QuarantinePolicy, Quarantined};
use crate::sandbox::affinity::Affinity;
use crate::sandbox::backoff::Backoff;
use crate::sandbox::blueprint::{Blueprint, Isolation};
use crate::sandbox::component::PluginKind;
use crate::sandbox::deadline::{Deadline, SetBy};
use crate::sandbox::instance::{Done, Failed, Instance};
use crate::sandbox::slot::Slot;

/// A plugin's instances, from its start to its stop; the next start makes a new pool.
pub(crate) struct Pool {
    pub(super) blueprint: Arc<Blueprint>,
    /// One for each instance there may be; closed when the plugin stops.
    pub(super) permits: Semaphore,
    /// Persistent instances that wait for work. A permit without an instance here means: make a fresh one.
    idle: Mutex<Vec<(usize, Box<Instance>)>>,
    /// Where events of one lane go to the same instance: the place of each.
    pub(super) affinity: Affinity,
    returned: Notify,
    /// S7: when a start that failed is tried again.
    pub(super) backoff: Backoff,
    pub(super) supervision: Supervision,
    /// Why no delivery begins any more, if its faults are the reason.
    quarantined: OnceLock<Arc<Quarantined>>,
}

/// Who hears that the instances of a pool fail too often.
pub(crate) trait Supervisor: Send + Sync + 'static {
    /// No delivery begins in the pool any more. Called once, on the task of whoever met the last fault: it returns at once.
    fn quarantine(&self, pool: &Pool, why: &Arc<Quarantined>);
    /// What an instance published in `start`, after the delivery that it was made for had ended.
    fn published(&self, outbox: Vec<Event>);
}

/// What watches over the faults of a pool.
pub(crate) struct Supervision {
    /// None: faults are not counted.
    count: Option<FaultCount>,
    pub(super) supervisor: Arc<dyn Supervisor>,
}

impl Supervision {
    /// Without a policy nothing is counted.
    pub(crate) fn new(policy: Option<QuarantinePolicy>, supervisor: Arc<dyn Supervisor>) -> Self {
        Self {
            count: policy.map(FaultCount::new),
            supervisor,
        }
    }
}

/// Instances that have not been started yet.
#[allow(clippy::vec_box, reason = "they go on in their boxes")]
pub(crate) struct Instances(Vec<Box<Instance>>);

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
            let made = Instance::new(blueprint, Deadline::of_limits(&blueprint.limits)).await;
            instances.push(made.map_err(|failed| failed.fault)?);
        }
        Ok(Instances(instances))
    }

    /// Calls `start` in each instance. What they published is returned; on an error nothing is, and nothing is left
    /// running.
    pub(crate) async fn open(
        blueprint: Arc<Blueprint>,
        instances: Instances,
        supervision: Supervision,
    ) -> Result<(Arc<Self>, Vec<Event>), Fault> {
        let (mut idle, mut outbox) = (Vec::new(), Vec::new());
        for instance in instances.0 {
            let done = instance
                .start(Deadline::of_limits(&blueprint.limits), None)
                .await
                .map_err(|failed| failed.fault)?;
            outbox.extend(done.outbox);
            idle.push((idle.len(), done.instance));
        }
        if blueprint.isolation == Isolation::PerEvent {
            (idle, outbox) = (Vec::new(), Vec::new());
        }
        let permits = Semaphore::new(blueprint.concurrency);
        let affinity = Affinity::new(if blueprint.keeps_lanes {
            blueprint.concurrency
        } else {
            0
        });
        let pool = Self {
            blueprint,
            permits,
            idle: Mutex::new(idle),
            affinity,
            returned: Notify::new(),
            backoff: Backoff::default(),
            supervision,
            quarantined: OnceLock::new(),
        };
        Ok((Arc::new(pool), outbox))
    }

    /// Gives one event to an instance by a deadline, on the caller's task.
    ///
    /// Cancellation safe: dropped while it waits, it costs nothing; dropped while the guest runs, it costs the instance.
    pub(crate) async fn handle(self: &Arc<Self>, handler: u32, delivery: &Delivery, deadline: Deadline) -> Completion {
        match self.try_handle(handler, delivery, deadline).await {
            Ok(completion) => completion,
            Err(Failed { fault, outbox, fuel }) => {
                self.count(&fault);
                Completion {
                    result: Err(fault),
                    outbox,
                    fuel,
                    uncommitted: None,
                }
            }
        }
    }

    async fn try_handle(
        self: &Arc<Self>,
        handler: u32,
        delivery: &Delivery,
        deadline: Deadline,
    ) -> Result<Completion, Failed> {
        // What has to wait is in boxes of its own: the way without a wait is short, and so is its future.
        let (slot, deadline, waited) = match self.free_slot(delivery.lane) {
            Some(slot) => (slot, deadline, false),
            None => {
                let (slot, deadline) = Box::pin(self.slot(deadline, delivery.lane)).await?;
                (slot, deadline, true)
            }
        };
        let (slot, instance, mut outbox, now) = match slot.idle() {
            Some(instance) if !waited => (slot, instance, Vec::new(), delivery.started),
            Some(instance) => (slot, instance, Vec::new(), Instant::now()),
            None => {
                let fresh = Box::pin(slot.fresh_instance(deadline, Some(&delivery.event)));
                let (slot, instance, outbox) = fresh.await?;
                (slot, instance, outbox, Instant::now())
            }
        };
        let Done {
            instance,
            value,
            outbox: published,
            fuel,
            writes,
        } = match instance.handle(handler, delivery, now, deadline).await {
            Ok(done) => done,
            Err(failed) => return Err(Failed { outbox, ..failed }),
        };
        if value.is_ok() {
            outbox.extend(published);
        }
        let uncommitted = match writes {
            Some(writes) => Some(Box::new(Uncommitted {
                writes: *writes,
                instance: Box::new(slot.hold(instance)),
            })),
            None => {
                slot.keep(instance);
                None
            }
        };
        Ok(Completion {
            result: value,
            outbox,
            fuel,
            uncommitted,
        })
    }

    /// Asks a filter about one event, by the deadline of the chain or the plugin's own, whichever is first.
    pub(crate) async fn accepts(self: &Arc<Self>, event: &Event, chain: Deadline) -> Result<bool, Fault> {
        let deadline = chain.or_earlier(Deadline::of_limits(&self.blueprint.limits));
        let verdict = async {
            let (slot, deadline) = match self.free_slot(None) {
                Some(slot) => (slot, deadline),
                None => Box::pin(self.slot(deadline, None)).await?,
            };
            // A filter has no bus to publish to, not even in `start`.
            let (slot, instance, _) = slot.instance(deadline, None).await?;
            let done = instance.accepts(event, deadline).await?;
            slot.keep(done.instance);
            Ok(done.value)
        };
        verdict
            .await
            .map_err(|failed: Failed| failed.fault)
            .inspect_err(|fault| self.count(fault))
    }

    /// Asks the guest for its health, if an instance has nothing to do. Returns with it what a fresh instance published in
    /// `start`.
    pub(crate) async fn health(self: &Arc<Self>) -> (Health, Vec<Event>) {
        let Ok(permit) = self.permits.try_acquire() else {
            return (Health::Busy, Vec::new());
        };
        let Some(place) = self.affinity.any_free() else {
            return (Health::Busy, Vec::new());
        };
        let slot = Slot::new(self, Some(permit), place);
        let deadline = Deadline::of_limits(&self.blueprint.limits);
        let asked = async {
            let (slot, instance, outbox) = slot.instance(deadline, None).await?;
            match instance.health(deadline).await {
                Ok(done) => {
                    slot.keep(done.instance);
                    Ok((done.value, outbox))
                }
                Err(failed) => Err(Failed { outbox, ..failed }),
            }
        };
        match asked.await {
            Ok((Ok(()), outbox)) => (Health::Healthy, outbox),
            Ok((Err(text), outbox)) => (Health::Unhealthy(text), outbox),
            Err(Failed { fault, outbox, .. }) => {
                self.count(&fault);
                (Health::Unhealthy(fault.to_string()), outbox)
            }
        }
    }

    /// Stops the plugin: no delivery begins from here on, those running are waited for (their deadlines end them), then
    /// `stop` is called in each instance. Returns what they published meanwhile, and the first fault.
    ///
    /// In a quarantined pool `stop` is not called: what fails that often is not asked for more, and its instances are
    /// thrown away. A fault in `stop` counts for nothing, since nothing runs after it.
    ///
    /// All of it ends by `last` where that is given: what still runs then is left to its own deadline, and nothing of it is
    /// used any more.
    pub(crate) async fn close(&self, last: Option<Instant>) -> (Vec<Event>, Option<Fault>) {
        self.permits.close();
        if self.quarantined.get().is_some() {
            self.idle().clear();
        }
        match last {
            // Whether they came back or not: those that did are stopped, the others end by themselves.
            Some(last) => drop(timeout_at(last, self.all_returned()).await),
            None => self.all_returned().await,
        }
        let instances = std::mem::take(&mut *self.idle());
        if self.quarantined.get().is_some() {
            return (Vec::new(), None);
        }
        let own = Deadline::of_limits(&self.blueprint.limits);
        let deadline = last.map_or(own, |last| own.or_earlier(Deadline::new(last, SetBy::Shutdown)));
        let stops = instances.into_iter().map(|(_, instance)| instance.stop(deadline));
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
        self.idle().iter().map(|(_, instance)| instance.memory()).collect()
    }

    /// A place to run, if there is one now. Whoever waits for one has it before.
    fn free_slot(self: &Arc<Self>, lane: Option<u64>) -> Option<Slot<'_>> {
        let place = self.affinity.try_take(lane)?;
        let permit = self.permits.try_acquire().ok()?;
        Some(Slot::new(self, Some(permit), place))
    }

    /// A place to run, or `overloaded` when there is none by the deadline; and the deadline for a call that begins now.
    async fn slot(self: &Arc<Self>, deadline: Deadline, lane: Option<u64>) -> Result<(Slot<'_>, Deadline), Fault> {
        let place = match by(deadline.at, self.affinity.take(lane)).await {
            Ok(place) => place,
            Err(_) => return Err(self.busy(deadline.set_by)),
        };
        // Made before the wait: a permit that a wait was given but did not live to take goes back unseen, and a stop must
        // look again then too.
        let mut slot = Slot::new(self, None, place);
        if let Ok(permit) = self.permits.try_acquire() {
            slot.take(permit);
            return Ok((slot, deadline));
        }
        match by(deadline.at, self.permits.acquire()).await {
            Ok(Ok(permit)) => slot.take(permit),
            Ok(Err(_)) => return Err(Fault::new(Class::Unavailable, self.closed())),
            Err(_) => return Err(self.busy(deadline.set_by)),
        }
        Ok((slot, deadline.after_wait(&self.blueprint.limits)))
    }

    /// No instance was free in time.
    fn busy(&self, deadline: SetBy) -> Fault {
        let key = match (deadline, self.blueprint.exports.kind()) {
            // More instances may help, and so would patience, which nobody configures.
            (SetBy::Publisher, _) => "",
            (_, PluginKind::Event) => " (plugin.concurrency)",
            (_, PluginKind::Filter) => " (filter.instances)",
        };
        let (name, until) = (&self.blueprint.name, deadline.shown());
        let message = format!("{name} had no free instance until {until}{key}");
        Fault::new(Class::Overloaded, message).with_deadline_of(deadline.of())
    }

    /// Why no delivery begins any more.
    fn closed(&self) -> Arc<str> {
        match self.quarantined.get() {
            Some(why) => why.words.clone(),
            None => format!("{} was stopped", self.blueprint.name).into(),
        }
    }

    /// S7: counts a fault if the guest is to blame for it; after one too many no delivery begins.
    pub(super) fn count(&self, fault: &Fault) {
        let Supervision {
            count: Some(count),
            supervisor,
        } = &self.supervision
        else {
            return;
        };
        // What is being stopped has no more to lose.
        if !fault.is_guest_fault() || self.permits.is_closed() {
            return;
        }
        let Some(faults) = count.add() else { return };
        let key = match self.blueprint.exports.kind() {
            PluginKind::Event => "plugin.quarantine",
            PluginKind::Filter => "filter.quarantine",
        };
        let why = Arc::new(Quarantined::new(
            &self.blueprint.name,
            key,
            count.policy(),
            faults,
            fault,
        ));
        // The first of those that count too many at once; the words are there before anybody needs them.
        if self.quarantined.set(why.clone()).is_ok() {
            self.permits.close();
            supervisor.quarantine(self, &why);
        }
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

    /// Keeps a healthy instance for the next event of its place, if instances live that long.
    pub(super) fn keep(&self, place: usize, instance: Box<Instance>) {
        if self.blueprint.isolation == Isolation::Persistent && self.quarantined.get().is_none() {
            self.idle().push((place, instance));
        }
    }

    /// A place was given back: whoever stops the plugin looks again.
    pub(super) fn told_of_return(&self) {
        if self.permits.is_closed() {
            self.returned.notify_waiters();
        }
    }

    /// An instance that waits: that of the place, where it matters which.
    pub(super) fn take_idle(&self, place: usize) -> Option<Box<Instance>> {
        let mut idle = self.idle();
        if !self.affinity.matter() {
            return idle.pop().map(|(_, instance)| instance);
        }
        let at = idle.iter().position(|(other, _)| *other == place)?;
        Some(idle.swap_remove(at).1)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(usize, Box<Instance>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
