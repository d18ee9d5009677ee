//! The instances of a started plugin: who gets one, and what becomes of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::clock::by;
use crate::event::Event;
use crate::handler::{Completion, Delivery, Fault};
use crate::outcome::Class;
use crate::quarantine::{FaultCount, QuarantinePolicy, Quarantined};
use crate::sandbox::affinity::Affinity;
use crate::sandbox::backoff::Backoff;
use crate::sandbox::blueprint::{Blueprint, Isolation};
use crate::sandbox::component::PluginKind;
use crate::sandbox::deadline::{Deadline, SetBy};
use crate::sandbox::instance::{Failed, Instance};
use crate::sandbox::ready::Ready;
use crate::sandbox::slot::Slot;

/// How often is looked whether an instance is ready before it is waited for: most calls are over sooner than a wait begins, and whoever
/// is woken costs more than they did.
const LOOKS: u32 = 4;

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
    pub(crate) async fn handle(
        self: &Arc<Self>,
        ready: &Arc<Ready>,
        handler: u32,
        delivery: &Delivery,
        deadline: Deadline,
    ) -> Completion {
        match self
            .instance(ready, deadline, delivery.lane, Some(&delivery.event))
            .await
        {
            Ok((instance, outbox, deadline)) => {
                let left = deadline.at.saturating_duration_since(Instant::now());
                instance
                    .handle(outbox, ready, handler, delivery.clone(), left, deadline)
                    .await
            }
            Err(failed) => self.failed(failed, Vec::new()),
        }
    }

    /// An instance by a deadline, in its place, what its `start` published if it is fresh, and the deadline of the call.
    /// `cause` is the event that it is for; what its `start` publishes comes of that.
    async fn instance(
        self: &Arc<Self>,
        ready: &Ready,
        deadline: Deadline,
        lane: Option<u64>,
        cause: Option<&Event>,
    ) -> Result<(Box<Instance>, Vec<Event>, Deadline), Failed> {
        let (slot, deadline) = match self.free_slot(lane) {
            Some(slot) => (slot, deadline),
            None => match self.soon_ready(ready).await {
                Some(instance) => return Ok((instance, Vec::new(), deadline.after_wait(&self.blueprint.limits))),
                None => self.slot(ready, deadline, lane).await?,
            },
        };
        let (slot, mut instance, outbox) = slot.instance(deadline, cause).await?;
        instance.put(slot);
        Ok((instance, outbox, deadline))
    }

    /// What the bus has to do after a call that failed, or could not be made, and the start of its instance, if that was fresh.
    pub(super) fn failed(&self, failed: Failed, mut outbox: Vec<Event>) -> Completion {
        self.count(&failed.fault);
        outbox.extend(failed.outbox);
        Completion {
            result: Err(failed.fault),
            outbox,
            fuel: failed.fuel,
            uncommitted: None,
        }
    }

    /// Asks a filter about one event, by the deadline of the chain or the plugin's own, whichever is first.
    pub(crate) async fn accepts(
        self: &Arc<Self>,
        ready: &Ready,
        event: &Event,
        chain: Deadline,
    ) -> Result<bool, Fault> {
        let deadline = chain.or_earlier(Deadline::of_limits(&self.blueprint.limits));
        let (instance, deadline) = match ready.take() {
            Some(instance) => (instance, deadline),
            None => match Box::pin(self.instance(ready, deadline, None, None)).await {
                // A filter has no bus to publish to, not even in `start`.
                Ok((instance, _, deadline)) => (instance, deadline),
                Err(failed) => {
                    self.count(&failed.fault);
                    return Err(failed.fault);
                }
            },
        };
        // What is ready may be of a pool that took over a moment ago.
        let pool = instance.pool();
        match instance.accepts(event, deadline).await {
            Ok(mut done) => {
                if let Some(slot) = done.instance.out_of_place() {
                    slot.leave(done.instance, ready);
                }
                Ok(done.value)
            }
            Err(failed) => {
                pool.as_ref().unwrap_or(self).count(&failed.fault);
                Err(failed.fault)
            }
        }
    }

    /// Asks the guest for its health, if an instance has nothing to do. Returns with it what a fresh instance published in
    /// `start`.
    pub(crate) async fn health(self: &Arc<Self>, ready: &Ready) -> (Health, Vec<Event>) {
        let Some(slot) = self.any_free_slot(ready) else {
            return (Health::Busy, Vec::new());
        };
        let deadline = Deadline::of_limits(&self.blueprint.limits);
        let asked = async {
            let (slot, instance, outbox) = slot.instance(deadline, None).await?;
            match instance.health(deadline).await {
                Ok(done) => {
                    slot.leave(done.instance, ready);
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
        self.begin_nothing();
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
    pub(crate) fn memory(&self, ready: &Ready) -> Vec<usize> {
        let _wanted = ready.want();
        self.idle().iter().map(|(_, instance)| instance.memory()).collect()
    }

    /// A place to run, if there is one now. Whoever waits for one has it before.
    fn free_slot(self: &Arc<Self>, lane: Option<u64>) -> Option<Slot> {
        let mut slot = Slot::new(self, self.affinity.try_take(lane).ok()?);
        slot.take(self.permits.try_acquire().ok()?);
        Some(slot)
    }

    /// The instance of whoever is done in a moment, where any will do.
    async fn soon_ready(&self, ready: &Ready) -> Option<Box<Instance>> {
        if !self.has_short_cut() {
            return None;
        }
        for _ in 0..LOOKS {
            yield_now().await;
            // Nothing is ready while anybody waits: that one has it before.
            if let Some(instance) = ready.take() {
                return Some(instance);
            }
        }
        None
    }

    /// The same, wherever it is, for what has nothing to do with events.
    fn any_free_slot(self: &Arc<Self>, ready: &Ready) -> Option<Slot> {
        let _wanted = ready.want();
        let mut slot = Slot::new(self, self.affinity.any_free().ok()?);
        slot.take(self.permits.try_acquire().ok()?);
        Some(slot)
    }

    /// A place to run, or `overloaded` when there is none by the deadline; and the deadline for a call that begins now.
    async fn slot(
        self: &Arc<Self>,
        ready: &Ready,
        deadline: Deadline,
        lane: Option<u64>,
    ) -> Result<(Slot, Deadline), Fault> {
        let place = match by(deadline.at, self.affinity.take(lane)).await {
            Ok(place) => place,
            Err(_) => return Err(self.busy(deadline.set_by)),
        };
        // Made before the wait: a permit that a wait was given but did not live to take goes back unseen, and a stop must
        // look again then too.
        let mut slot = Slot::new(self, place);
        let _wanted = ready.want();
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

    /// No delivery begins from here on. What is left ready is not here any more, or is put back by whoever ends the serving.
    fn begin_nothing(&self) {
        self.permits.close();
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
            self.begin_nothing();
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

    /// Whether an instance may be left where any event finds it.
    #[inline]
    pub(super) fn has_short_cut(&self) -> bool {
        self.blueprint.isolation == Isolation::Persistent && !self.affinity.matter()
    }

    /// Keeps a healthy instance for the next event of its place, if instances live that long.
    pub(super) fn keep(&self, place: usize, instance: Box<Instance>) {
        if self.blueprint.isolation == Isolation::Persistent && self.quarantined.get().is_none() {
            self.idle().push((place, instance));
        }
    }

    /// A place was given back: whoever stops the plugin looks again.
    #[inline]
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
