//! A place in a pool: the right to run one instance, and how a fresh one is made where none waits.

use std::hint::black_box;
use std::sync::Arc;

use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use crate::event::Event;
use crate::handler::{Completion, Fault};
use crate::key_value::KeyValueError;
use crate::outcome::Class;
use crate::sandbox::backoff::{TooEarly, Try};
use crate::sandbox::deadline::{Deadline, SetBy};
use crate::sandbox::instance::{Done, Failed, Instance};
use crate::sandbox::keyvalue::not_committed;
use crate::sandbox::pool::Pool;
use crate::sandbox::ready::Ready;
use crate::uncommitted::{HeldInstance, Uncommitted};

/// The right to run one instance; given back when dropped, whatever happened.
pub(super) struct Slot {
    pool: Arc<Pool>,
    has_permit: bool,
    /// Where it matters which instance it is.
    place: Option<usize>,
}

impl Slot {
    /// One that is still to take a permit.
    pub(super) fn new(pool: &Arc<Pool>, place: Option<usize>) -> Self {
        Self {
            pool: pool.clone(),
            has_permit: false,
            place,
        }
    }

    pub(super) fn take(&mut self, permit: SemaphorePermit<'_>) {
        permit.forget();
        self.has_permit = true;
    }

    /// Leaves the instance where the next event finds it at once, if that is to be.
    #[inline]
    pub(super) fn leave(self, mut instance: Box<Instance>, ready: &Ready) {
        if self.pool.has_short_cut() {
            instance.put(self);
            ready.leave(instance);
        } else {
            self.keep(instance);
        }
    }

    /// Leaves the instance in the list of the pool.
    pub(super) fn keep(self, instance: Box<Instance>) {
        self.pool.keep(self.at(), instance);
    }

    pub(super) fn pool(&self) -> Arc<Pool> {
        self.pool.clone()
    }

    #[inline]
    pub(super) fn is_of(&self, pool: &Arc<Pool>) -> bool {
        Arc::ptr_eq(&self.pool, pool)
    }

    /// Reads what a call looks at.
    #[inline]
    pub(super) fn touch(&self) {
        black_box(self.pool.has_short_cut());
    }

    fn at(&self) -> usize {
        self.place.unwrap_or(0)
    }

    /// What the bus has to do now, after a call that went well and the start of its instance, if that was fresh.
    #[inline]
    pub(super) fn completion(
        self,
        done: Done<Result<(), Fault>>,
        mut outbox: Vec<Event>,
        ready: &Arc<Ready>,
    ) -> Completion {
        if done.value.is_ok() {
            outbox.extend(done.outbox);
        }
        let uncommitted = match done.writes {
            Some(writes) => Some(Box::new(Uncommitted {
                writes: *writes,
                instance: Box::new(Held {
                    instance: done.instance,
                    slot: self,
                    ready: ready.clone(),
                }),
            })),
            None => {
                self.leave(done.instance, ready);
                None
            }
        };
        Completion {
            result: done.value,
            outbox,
            fuel: done.fuel,
            uncommitted,
        }
    }

    /// The same after one that did not.
    pub(super) fn failed(&self, failed: Failed, before: Vec<Event>) -> Completion {
        self.pool.failed(failed, before)
    }

    /// An instance that waits, or a fresh one with what its `start` published.
    pub(super) async fn instance(
        self,
        deadline: Deadline,
        cause: Option<&Event>,
    ) -> Result<(Self, Box<Instance>, Vec<Event>), Failed> {
        match self.idle() {
            Some(instance) => Ok((self, instance, Vec::new())),
            // Boxed: what waits for an instance, or has found one, need not have room for this.
            None => Box::pin(self.fresh_instance(deadline, cause)).await,
        }
    }

    /// An instance that waits.
    fn idle(&self) -> Option<Box<Instance>> {
        self.pool.take_idle(self.at())
    }

    /// A fresh one, with what its `start` published.
    ///
    /// `start` has the time that the plugin's limits give, whatever the deadline is: a handler that has less, or a publisher
    /// who waits less long, must not be the end of every instance before it has begun. Where the deadline passes first the
    /// caller is told `overloaded`, and the start goes on in this slot, for the next call.
    pub(super) async fn fresh_instance(
        self,
        deadline: Deadline,
        cause: Option<&Event>,
    ) -> Result<(Self, Box<Instance>, Vec<Event>), Failed> {
        let pool = self.pool.clone();
        let (backoff, name) = (&pool.backoff, &pool.blueprint.name);
        let attempt = backoff.begin().map_err(|early| not_yet(name, &early))?;
        if deadline.set_by == SetBy::Limits {
            let (instance, outbox) = start(pool.clone(), deadline, cause.cloned(), attempt).await?;
            return Ok((self, instance, outbox));
        }
        let own = Deadline::of_limits(&pool.blueprint.limits);
        let mut starting = Box::pin(start(pool.clone(), own, cause.cloned(), attempt));
        match timeout_at(deadline.at, &mut starting).await {
            Ok(started) => started.map(|(instance, outbox)| (self, instance, outbox)),
            Err(_) => {
                let failed = still_starting(name, deadline).into();
                tokio::spawn(async move {
                    match starting.await {
                        Ok((instance, outbox)) => {
                            // Before anybody has the instance: whoever then waits for quiet waits for this, too.
                            pool.supervision.supervisor.published(outbox);
                            self.keep(instance);
                        }
                        Err(failed) => pool.count(&failed.fault),
                    }
                });
                Err(failed)
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.pool.affinity.give_back(place);
        }
        if self.has_permit {
            self.pool.permits.add_permits(1);
        }
        self.pool.told_of_return();
    }
}

/// An instance in its place, between a call that wrote to the key-value store and the commit of that.
struct Held {
    // Gone before its place is free.
    instance: Box<Instance>,
    slot: Slot,
    ready: Arc<Ready>,
}

impl HeldInstance for Held {
    fn committed(self: Box<Self>) {
        let Self { instance, slot, ready } = *self;
        slot.leave(instance, &ready);
    }

    fn refused(self: Box<Self>, error: &KeyValueError) -> Fault {
        let pool = self.slot.pool.clone();
        let fault = not_committed(&pool.blueprint.name, error);
        drop(self);
        pool.count(&fault);
        fault
    }
}

/// Makes a new instance and starts it, which ends or lengthens the wait before the next try.
async fn start(
    pool: Arc<Pool>,
    deadline: Deadline,
    cause: Option<Event>,
    attempt: Try,
) -> Result<(Box<Instance>, Vec<Event>), Failed> {
    // Written so that the future has room for one of the two at a time: there may be one for each event.
    let started = match Instance::new(&pool.blueprint, deadline).await {
        Ok(instance) => instance.start(deadline, cause).await,
        Err(failed) => Err(failed),
    };
    match started {
        Ok(done) => {
            pool.backoff.succeeded();
            Ok((done.instance, done.outbox))
        }
        Err(failed) => {
            pool.backoff.failed(attempt, &failed.fault, fastrand::f64());
            Err(failed)
        }
    }
}

/// What a delivery is told that comes between two tries to start an instance.
fn not_yet(plugin: &str, early: &TooEarly) -> Fault {
    let (why, left) = (&early.why, early.left.as_secs_f64());
    let message = format!("{plugin} could not be started: {why}; tried again in {left:.1} s");
    Fault::new(Class::Unavailable, message)
}

/// What a delivery is told whose time was over before its instance was there.
fn still_starting(plugin: &str, deadline: Deadline) -> Fault {
    let until = deadline.set_by.shown();
    let message = format!("{plugin} was still starting a fresh instance at {until}; the next event may get it");
    Fault::new(Class::Overloaded, message).with_deadline_of(deadline.set_by.of())
}
