//! One instance, and the calls into it.
//!
//! A call takes the instance and gives it back when all went well. After a trap, a timeout or a dropped future it is
//! gone, store and all: a poisoned instance can't be entered again because nobody has it (S5).

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Store, component};

use crate::delivery::PluginWrites;
use crate::event::Event;
use crate::handler::{BoxFuture, Completion, Delivery, Fault, Outbox};
use crate::key_value::{KeyValueError, WriteBuffer};
use crate::outcome::Class;
use crate::plugin::PluginInfo;
use crate::sandbox::answer::{Answer, bounded, fuel_used, settle};
use crate::sandbox::bindings::{filter, handler, lift_failure, lift_info, lower, plugin, types};
use crate::sandbox::blueprint::{Blueprint, Isolation};
use crate::sandbox::component::Exports;
use crate::sandbox::deadline::{Deadline, SetBy};
use crate::sandbox::fault::{classify, other_types};
use crate::sandbox::keyvalue;
use crate::sandbox::places::Place;
use crate::sandbox::pool::Pool;
use crate::sandbox::ready::Ready;
use crate::sandbox::slot::Slot;
use crate::sandbox::state::{HostState, Phase};
use crate::sandbox::turn::Turn;

/// A live instance. In a box wherever it goes: it goes from hand to hand at each call.
pub(crate) struct Instance {
    store: Store<HostState>,
    blueprint: Arc<Blueprint>,
    plugin: plugin::Guest,
    work: Work,
    turn: Turn,
    /// Looked up ahead of a call and for nothing else: see `touch`.
    guest: component::Instance,
    /// Its place among the instances that may live; given back after the store is gone.
    _place: Place,
    /// Its place in a pool, unless that is somebody else's to keep; given back last, too.
    slot: Option<Slot>,
}

enum Work {
    Handler(handler::Guest),
    Filter(filter::Guest),
}

/// A call that went well.
pub(super) struct Done<T> {
    pub(super) instance: Box<Instance>,
    pub(super) value: T,
    /// What the guest published, to be released if the value says so.
    pub(super) outbox: Vec<Event>,
    pub(super) fuel: Option<u64>,
    /// What it wrote to its key-value store, where that is committed by whoever acknowledges the event.
    pub(super) writes: Option<Box<PluginWrites>>,
}

/// A call that did not; the instance is gone.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// What is published all the same: the `start` of a fresh instance went well, whatever came after it.
    pub(super) outbox: Vec<Event>,
    pub(super) fuel: Option<u64>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            outbox: Vec::new(),
            fuel: None,
        }
    }
}

impl Instance {
    /// Makes one, its core start functions run under the deadline like any call.
    pub(super) async fn new(blueprint: &Arc<Blueprint>, deadline: Deadline) -> Result<Box<Self>, Failed> {
        let place = blueprint
            .engines
            .admit_instance(blueprint.places)
            .map_err(|why| Fault::new(Class::Overloaded, format!("{} got no instance: {why}", blueprint.name)))?;
        let mut store = blueprint.store(deadline);
        arm(&mut store, Phase::Instantiate, None, deadline)?;
        let turn = store.data().turn.clone();
        let instantiated = {
            let instantiating = pin!(blueprint.pre.instantiate_async(&mut store));
            bounded(&blueprint.engines, deadline, &turn, instantiating).await
        };
        let instance = settle(&mut store, instantiated)?;
        let wrong = |interface| move |error: wasmtime::Error| other_types(&blueprint.name, interface, &error);
        let (plugin, work) = match &blueprint.exports {
            Exports::Event { plugin, handler } => (
                plugin.load(&mut store, &instance).map_err(wrong("plugin"))?,
                Work::Handler(handler.load(&mut store, &instance).map_err(wrong("handler"))?),
            ),
            Exports::Filter { plugin, filter } => (
                plugin.load(&mut store, &instance).map_err(wrong("plugin"))?,
                Work::Filter(filter.load(&mut store, &instance).map_err(wrong("filter"))?),
            ),
        };
        Ok(Box::new(Self {
            store,
            blueprint: blueprint.clone(),
            plugin,
            work,
            turn,
            guest: instance,
            _place: place,
            slot: None,
        }))
    }

    pub(super) async fn describe(mut self: Box<Self>, deadline: Deadline) -> Result<PluginInfo, Failed> {
        self.arm(Phase::Describe, None, deadline)?;
        let Self {
            store,
            blueprint,
            plugin,
            turn,
            ..
        } = &mut *self;
        let answer = bounded(&blueprint.engines, deadline, turn, pin!(plugin.call_describe(store))).await;
        settle(&mut self.store, answer).map(lift_info)
    }

    /// Calls `start`; an error text of the guest's is a fault of class `unavailable`.
    ///
    /// `cause` is the event that a fresh instance is made for, if it is: what `start` publishes comes of it, or a plugin
    /// that publishes in `start` what it handles would go on for ever.
    pub(super) async fn start(
        mut self: Box<Self>,
        deadline: Deadline,
        cause: Option<Event>,
    ) -> Result<Done<()>, Failed> {
        self.arm(Phase::Start, None, deadline)?;
        self.store.data_mut().call.cause = cause;
        let Self {
            store,
            blueprint,
            plugin,
            turn,
            ..
        } = &mut *self;
        let answer = bounded(
            &blueprint.engines,
            deadline,
            turn,
            pin!(plugin.call_start(store, &blueprint.config)),
        )
        .await;
        match settle(&mut self.store, answer)? {
            Ok(()) => {
                // An instance for one event writes what `start` wrote with the rest, when the event is acknowledged.
                if self.blueprint.isolation == Isolation::Persistent {
                    self.commit(deadline).await?;
                }
                Ok(self.done(()))
            }
            Err(text) => {
                let said = self.store.data().shown(&text);
                let message = format!("start of {} failed: {said}", self.blueprint.name);
                Err(Fault::new(Class::Unavailable, message).into())
            }
        }
    }

    pub(super) async fn stop(mut self: Box<Self>, deadline: Deadline) -> Result<Done<()>, Failed> {
        self.arm(Phase::Stop, None, deadline)?;
        let Self {
            store,
            blueprint,
            plugin,
            turn,
            ..
        } = &mut *self;
        let answer = bounded(&blueprint.engines, deadline, turn, pin!(plugin.call_stop(store))).await;
        settle(&mut self.store, answer)?;
        self.commit(deadline).await?;
        Ok(self.done(()))
    }

    /// Asks the guest for its health.
    pub(super) async fn health(mut self: Box<Self>, deadline: Deadline) -> Result<Done<Result<(), String>>, Failed> {
        self.arm(Phase::Health, None, deadline)?;
        let Self {
            store,
            blueprint,
            plugin,
            turn,
            ..
        } = &mut *self;
        let answer = bounded(&blueprint.engines, deadline, turn, pin!(plugin.call_health(store))).await;
        let health = settle(&mut self.store, answer)?.map_err(|text| self.store.data().shown(&text));
        Ok(self.done(health))
    }

    /// Takes its place.
    #[inline]
    pub(super) fn put(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Gives up its place.
    pub(super) fn out_of_place(&mut self) -> Option<Slot> {
        self.slot.take()
    }

    /// The pool that it has its place in.
    pub(super) fn pool(&self) -> Option<Arc<Pool>> {
        self.slot.as_ref().map(Slot::pool)
    }

    #[inline]
    pub(super) fn is_of(&self, pool: &Arc<Pool>) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.is_of(pool))
    }

    /// Goes into the list of its pool.
    pub(super) fn into_list(mut self: Box<Self>) {
        if let Some(slot) = self.slot.take() {
            slot.keep(self);
        }
    }

    /// Gives the guest one event, and tells it how much time is left. `before` is what its `start` published, if it is fresh;
    /// when all went well it is left `ready` for the next event. To be called of an instance that has its place.
    ///
    /// One block, made where it stays, and no async functions in it: each would copy what it is given, and this is the way of
    /// every event.
    pub(crate) fn handle<'a>(
        mut self: Box<Self>,
        before: Vec<Event>,
        ready: &'a Arc<Ready>,
        handler: u32,
        delivery: Delivery,
        left: Duration,
        deadline: Deadline,
    ) -> BoxFuture<'a, Completion> {
        Box::pin(async move {
            let ended = 'call: {
                if let Err(failed) = self.arm(Phase::Handle, Some(delivery.event.clone()), deadline) {
                    break 'call Err(failed);
                }
                let Self {
                    store,
                    blueprint,
                    work,
                    turn,
                    ..
                } = &mut *self;
                let Work::Handler(guest) = work else {
                    break 'call Err(self.not_made_for("handle"));
                };
                let told = types::Delivery {
                    attempt: delivery.attempt,
                    time_left_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                    replayed: delivery.replayed,
                };
                let answer = {
                    let call = pin!(guest.call_handle(&mut *store, handler, lower(&delivery.event), told));
                    bounded(&blueprint.engines, deadline, turn, call).await
                };
                settle(store, answer)
            };
            let (verdict, writes) = match ended {
                Ok(Ok(())) if self.store.data().call.writes.is_empty() => (Ok(()), None),
                Ok(Ok(())) => {
                    let writes = self.take_writes();
                    if let Err(failed) = Box::pin(self.commit(deadline)).await {
                        return self.failed(failed, before);
                    }
                    (Ok(()), writes)
                }
                Ok(Err(failure)) => (Err(lift_failure(failure, |text| self.store.data().shown(text))), None),
                Err(failed) => return self.failed(failed, before),
            };
            // Only now, so that a call which is dropped leaves its place after its store.
            let Some(slot) = self.slot.take() else {
                return Completion::failed(Fault::new(Class::Unavailable, "the instance has no place in a pool"));
            };
            let done = self.done(verdict);
            slot.completion(Done { writes, ..done }, before, ready)
        })
    }

    /// What the bus has to do after a call that failed.
    #[cold]
    fn failed(mut self: Box<Self>, failed: Failed, before: Vec<Event>) -> Completion {
        let slot = self.slot.take();
        // The store is gone before its place is another's.
        drop(self);
        match slot {
            Some(slot) => slot.failed(failed, before),
            None => Completion::failed(failed.fault),
        }
    }

    /// What the call wrote to its key-value store, where that is committed by whoever acknowledges the event.
    fn take_writes(&mut self) -> Option<Box<PluginWrites>> {
        let writes = &mut self.store.data_mut().call.writes;
        self.blueprint.key_value.to_be_acknowledged(writes).map(Box::new)
    }

    /// Asks a filter about one event.
    pub(super) async fn accepts(mut self: Box<Self>, event: &Event, deadline: Deadline) -> Result<Done<bool>, Failed> {
        self.arm(Phase::Accepts, Some(event.clone()), deadline)?;
        let Self {
            store,
            blueprint,
            work,
            turn,
            ..
        } = &mut *self;
        let Work::Filter(guest) = work else {
            return Err(self.not_made_for("accepts"));
        };
        let answer = {
            let call = pin!(guest.call_accepts(&mut *store, lower(event)));
            bounded(&blueprint.engines, deadline, turn, call).await
        };
        let accepted = settle(store, answer)?;
        Ok(self.done(accepted))
    }

    /// S12: makes what the call wrote to its key-value store everybody's, before the instance takes another call. If that
    /// fails the call has failed, and the instance, which thinks otherwise, is gone.
    async fn commit(&mut self, deadline: Deadline) -> Result<(), Failed> {
        let writes = &mut self.store.data_mut().call.writes;
        if writes.is_empty() {
            return Ok(());
        }
        let writes = std::mem::take(writes);
        Box::pin(self.commit_these(writes, deadline)).await
    }

    async fn commit_these(&mut self, writes: WriteBuffer, deadline: Deadline) -> Result<(), Failed> {
        let Blueprint {
            engines,
            key_value,
            name,
            ..
        } = &*self.blueprint;
        let answer = bounded(
            engines,
            deadline,
            &self.turn,
            pin!(async { Ok(key_value.commit(writes).await) }),
        )
        .await;
        let committed = match answer {
            // A store that takes so long is no fault of the guest's; a publisher who waits less long is told so.
            Answer::Late if deadline.set_by != SetBy::Publisher => {
                Err(KeyValueError::Failed("it did not answer in time".to_owned()))
            }
            answer => settle(&mut self.store, answer)?,
        };
        committed.map_err(|error| Failed {
            fault: keyvalue::not_committed(name, &error),
            outbox: Vec::new(),
            fuel: fuel_used(&self.store),
        })
    }

    /// Reads ahead what a call begins with, down to what wasmtime looks up: see [`Handler::touch`](crate::Handler::touch).
    #[inline]
    pub(super) fn touch(&mut self) {
        self.store.set_epoch_deadline(2);
        if let Some(export) = &self.blueprint.an_export {
            black_box(self.guest.get_func(&mut self.store, export).is_some());
        }
        let state = self.store.data();
        black_box((state.limits().fuel, state.limiter.denied().is_some(), state.call.phase));
        black_box((state.call.writes.is_empty(), state.call.event.is_some()));
        #[cfg(feature = "wasi-http")]
        state.http.touch();
        if let Some(slot) = &self.slot {
            slot.touch();
        }
        self.turn.touch();
        self.blueprint.touch();
    }

    /// How many bytes all its memories have.
    pub(super) fn memory(&self) -> usize {
        self.store.data().limiter.memory()
    }

    /// Sets deadline and fuel anew (S2) and clears what the last call left.
    fn arm(&mut self, phase: Phase, event: Option<Event>, deadline: Deadline) -> Result<(), Failed> {
        arm(&mut self.store, phase, event, deadline)
    }

    #[inline]
    fn done<T>(mut self: Box<Self>, value: T) -> Done<T> {
        #[cfg(feature = "wasi-http")]
        self.store.data_mut().http.end_call();
        let call = &mut self.store.data_mut().call;
        (call.event, call.cause) = (None, None);
        let outbox = std::mem::take(&mut call.outbox).events;
        let fuel = fuel_used(&self.store);
        Done {
            instance: self,
            value,
            outbox,
            fuel,
            writes: None,
        }
    }

    fn not_made_for(&self, what: &str) -> Failed {
        let message = format!(
            "{} is of the world that does not export `{what}`",
            self.store.data().plugin()
        );
        Fault::new(Class::Unavailable, message).into()
    }
}

#[inline]
fn arm(store: &mut Store<HostState>, phase: Phase, event: Option<Event>, deadline: Deadline) -> Result<(), Failed> {
    // Not the next tick, which may come at once: a call that is over within a tick is not to give way to others.
    store.set_epoch_deadline(2);
    if let Some(fuel) = store.data().limits().fuel {
        let set = store.set_fuel(fuel);
        set.map_err(|error| Failed::from(classify(&error, store.data())))?;
    }
    let state = store.data_mut();
    state.limiter.arm();
    state.forget_stderr();
    let keeps_writes = phase == Phase::Handle && state.blueprint.isolation == Isolation::PerEvent;
    let call = &mut state.call;
    if !keeps_writes && !call.writes.is_empty() {
        call.writes = WriteBuffer::default();
    }
    call.phase = phase;
    (call.deadline, call.ticks) = (deadline, 0);
    (call.event, call.cause) = (event, None);
    call.outbox = Outbox::default();
    Ok(())
}
