//! The bounded queue before each handler: what it takes (B7), and in which order it lets events go (B6).

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::bus::apart::Apart;
use crate::bus::caller::Caller;
use crate::bus::entry::Entry;
use crate::bus::front::Front;
use crate::bus::inflight::Inflight;
use crate::bus::lanes::{Lane, Lanes};
use crate::bus::signal::Signal;
use crate::bus::window::Window;
use crate::clock::{Late, by};
use crate::delivery::{BacklogPolicy, Overflow, QueuePolicy};
use crate::handler::Origin;

/// What came of offering an entry.
pub(crate) enum Offer {
    Taken {
        /// The caller has to start a worker.
        start_worker: bool,
        /// What made room for it, under `drop-oldest`.
        dropped: Vec<Entry>,
    },
    /// Under `drop-newest`.
    Dropped,
    Full(Box<Entry>),
}

/// A queue bounded in events and bytes, with the count of its workers under the same lock: an entry is never left in a
/// queue whose last worker has just gone.
pub(crate) struct Queue {
    policy: QueuePolicy,
    pub(super) backlog: BacklogPolicy,
    max_workers: usize,
    inflight: Arc<Inflight>,
    state: Apart<Mutex<State>>,
    /// What the worker takes next, where there is only one: it need not lock the state for each.
    front: Apart<Front>,
    pub(super) room: Signal,
    /// The last worker has gone.
    idle: Signal,
    /// Whether there are entries or workers. A publisher that finds none has nothing ahead of it, and needs no lock to know
    /// that.
    busy: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    /// What may go.
    pub(super) ready: VecDeque<Entry>,
    /// How many are in the front, which the worker takes from meanwhile: there may be fewer by now, and never more.
    in_front: usize,
    /// What has to wait for another of its lane.
    pub(super) lanes: Lanes,
    /// Entries that wait for their next attempt elsewhere. They keep their room, or a handler that fails every event
    /// would let the queue grow without bound.
    pub(super) waiting: usize,
    pub(super) waiting_bytes: usize,
    /// Of all of them, waiting ones included.
    pub(super) bytes: usize,
    workers: usize,
    /// Nothing goes out until `resume`: the handler's breaker is open.
    paused: bool,
    /// Nothing goes out until `welcome`: the handler's plugin is away.
    away: bool,
    /// What of the stored ones is here.
    pub(super) window: Window,
    /// Set when a drain has run out of time: nothing comes in any more, nothing goes out.
    pub(super) closed: bool,
}

impl Queue {
    pub(crate) fn new(
        policy: QueuePolicy,
        backlog: BacklogPolicy,
        max_workers: usize,
        inflight: Arc<Inflight>,
    ) -> Self {
        Self {
            policy,
            backlog,
            max_workers,
            inflight,
            state: Apart::default(),
            front: Apart::default(),
            room: Signal::default(),
            idle: Signal::default(),
            busy: AtomicBool::new(false),
        }
    }

    pub(crate) fn policy(&self) -> QueuePolicy {
        self.policy
    }

    pub(super) fn max_workers(&self) -> usize {
        self.max_workers
    }

    pub(crate) fn len(&self) -> usize {
        self.state().queued()
    }

    /// B6: whether an event may go to the handler at once, past the queue, because nothing is ahead of it. Of a lane it then
    /// has the turn, until [`done`](Self::done).
    pub(crate) fn may_go_at_once(&self, lane: Option<&Lane>) -> bool {
        let Some(lane) = lane else {
            // What several workers take leaves in any order, so only what no worker has taken yet is ahead.
            return !self.busy.load(Atomic::SeqCst) || (self.max_workers > 1 && self.state().ready.is_empty());
        };
        self.counts().lanes.enter(lane)
    }

    /// Reads what a direct call looks at.
    #[inline]
    pub(super) fn touch(&self) {
        black_box(self.busy.load(Atomic::Relaxed));
    }

    /// The entry of a lane, or the direct call that had its turn, is done with: the next one of the lane may go. Says
    /// whether the caller has to start a worker.
    pub(crate) fn done(&self, lane: Option<&Lane>) -> bool {
        let Some(lane) = lane else { return false };
        let mut state = self.counts();
        let Some(next) = state.lanes.leave(lane) else {
            return false;
        };
        state.ready.push_back(next);
        self.worker_for(&mut state)
    }

    /// Takes the entry if there is room, or as the policy says.
    pub(crate) fn offer(&self, entry: Entry) -> Offer {
        let (events, bytes) = self.room_for(entry.origin);
        let size = entry.event.size_bytes();
        let mut state = self.counts();
        let mut dropped = Vec::new();
        if !state.has_room(events, bytes, size) {
            self.gather(&mut state);
        }
        while !state.has_room(events, bytes, size) || state.closed {
            let oldest = match self.policy.overflow {
                Overflow::DropNewest if !state.closed => return Offer::Dropped,
                // Nothing is dropped for an event that has no room even so.
                Overflow::DropOldest if !state.closed && state.can_make_room(events, bytes, size) => {
                    state.take_oldest()
                }
                _ => None,
            };
            let Some(oldest) = oldest else {
                self.told(&mut state);
                return Offer::Full(Box::new(entry));
            };
            dropped.push(oldest);
        }
        state.bytes = state.bytes.saturating_add(size);
        let start_worker = self.push(&mut state, entry);
        Offer::Taken { start_worker, dropped }
    }

    /// Puts an entry last; says whether the caller has to start a worker, which is counted already.
    fn push(&self, state: &mut State, entry: Entry) -> bool {
        if let Some(entry) = state.lanes.join(entry) {
            state.ready.push_back(entry);
        }
        self.worker_for(state)
    }

    /// Whether there is work for one worker more, which is counted then.
    pub(super) fn worker_for(&self, state: &mut State) -> bool {
        let start = state.may_go() && !state.ready.is_empty() && state.workers < self.max_workers;
        if start {
            state.workers += 1;
        }
        self.told(state);
        start
    }

    /// How many events and bytes it may hold for an entry of this origin to come in. Handlers and the host can't wait, so a
    /// publisher that keeps the queue full must not take all the room from them.
    fn room_for(&self, origin: Origin) -> (usize, usize) {
        let QueuePolicy { events, bytes, .. } = self.policy;
        match origin {
            Origin::Publisher => (events, bytes),
            Origin::Handler | Origin::Host => (events.saturating_add(events / 4), bytes.saturating_add(bytes / 4)),
        }
    }

    /// Takes the entry once there is room, until the deadline if the policy says so and the entry can ever fit.
    ///
    /// Cancellation safe: an entry that was not taken is dropped with the future, none is half in.
    pub(crate) async fn offer_until(&self, entry: Entry, deadline: Instant) -> Offer {
        let can_wait = self.policy.overflow == Overflow::Block && entry.event.size_bytes() <= self.policy.bytes;
        let mut left = match self.offer(entry) {
            Offer::Full(entry) if can_wait => Some(entry),
            answer => return answer,
        };
        let taken = self.room.until(|| match self.offer(*left.take()?) {
            Offer::Full(entry) if !self.is_closed() => {
                left = Some(entry);
                None
            }
            answer => Some(answer),
        });
        match by(deadline, taken).await {
            Ok(answer) => answer,
            Err(Late) => left.map_or(Offer::Dropped, Offer::Full),
        }
    }

    /// Keeps room for an entry that waits for its next attempt, even beyond the bounds: it was inside a moment ago. Its lane
    /// waits with it.
    pub(crate) fn hold(&self, entry: &Entry) {
        let mut state = self.counts();
        let size = entry.event.size_bytes();
        state.waiting += 1;
        state.waiting_bytes = state.waiting_bytes.saturating_add(size);
        state.bytes = state.bytes.saturating_add(size);
    }

    /// Gives up the room of an entry that waited, because there will be no next attempt.
    pub(crate) fn release(&self, entry: &Entry) {
        let (mut state, size) = (self.counts(), entry.event.size_bytes());
        state.no_longer_waits(size);
        state.bytes = state.bytes.saturating_sub(size);
        drop(state);
        self.room.tell();
    }

    /// Puts back an entry that waited and is due; says whether the caller has to start a worker.
    pub(crate) fn put_back(&self, entry: Entry) -> bool {
        let mut state = self.counts();
        state.no_longer_waits(entry.event.size_bytes());
        if state.closed || (entry.stored.is_some() && !state.window.is_open()) {
            state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
            state.leave_on_disk(&entry);
            return self.worker_for(&mut state);
        }
        // Of a lane it has the turn still.
        state.ready.push_back(entry);
        self.worker_for(&mut state)
    }

    /// Removes such entries, of those that may go.
    pub(crate) fn take(&self, such: impl Fn(&Entry) -> bool) -> VecDeque<Entry> {
        let mut state = self.state();
        let ready = std::mem::take(&mut state.ready);
        let (taken, others): (VecDeque<_>, _) = ready.into_iter().partition(such);
        state.ready = others;
        let bytes: usize = taken.iter().map(|entry: &Entry| entry.event.size_bytes()).sum();
        state.bytes = state.bytes.saturating_sub(bytes);
        self.told(&mut state);
        drop(state);
        self.room.tell();
        taken
    }

    /// Puts back the entry that a worker took a moment ago, first in the queue, and lets nothing go until `resume`.
    pub(crate) fn pause(&self, entry: Entry) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.bytes = state.bytes.saturating_add(entry.event.size_bytes());
        state.ready.push_front(entry);
        state.paused = true;
        self.told(&mut state);
    }

    /// The same until `welcome`: the handler's plugin is away, and what is stored waits for it.
    pub(super) fn wait_for_plugin(&self, entry: Entry) {
        let mut state = self.state();
        if !state.closed && state.window.is_open() {
            state.bytes = state.bytes.saturating_add(entry.event.size_bytes());
            state.ready.push_front(entry);
            state.away = true;
        } else {
            state.leave_on_disk(&entry);
        }
        self.told(&mut state);
    }

    /// The plugin is back; says as `resume` does how many workers the caller has to start.
    pub(super) fn welcome(&self) -> usize {
        self.state().away = false;
        self.start_workers()
    }

    /// Takes the publishers that wait in the queue for an entry that is stored: they are told now, the entries stay.
    pub(super) fn take_callers(&self) -> Vec<(Caller, Instant)> {
        let mut state = self.state();
        let elsewhere: Vec<_> = state.window.take_callers().collect();
        let State { ready, lanes, .. } = &mut *state;
        let stored = ready
            .iter_mut()
            .chain(lanes.held_mut())
            .filter(|entry| entry.stored.is_some());
        let here = stored.filter_map(|entry| Some((entry.caller.take()?, entry.since)));
        here.chain(elsewhere).collect()
    }

    /// The worker that had the entry has it no more, and the entry is not over: if it is stored it comes again, from the disk.
    pub(super) fn left(&self, entry: &Entry) {
        let mut state = self.state();
        state.leave_on_disk(entry);
        if entry.stored.is_some() && state.window.is_open() {
            state.window.begin_anew();
        }
        self.told(&mut state);
    }

    /// Returns when no worker is at work.
    pub(super) async fn idle(&self) {
        self.idle.until(|| (self.counts().workers == 0).then_some(())).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.counts().closed
    }

    /// Lets events go again; says how many workers the caller has to start, which are counted already.
    pub(crate) fn resume(&self) -> usize {
        self.state().paused = false;
        self.start_workers()
    }

    /// Counts as many workers as there is work for, for the caller to start.
    fn start_workers(&self) -> usize {
        let mut state = self.state();
        if !state.may_go() {
            self.told(&mut state);
            return 0;
        }
        let start = state.ready.len().min(self.max_workers.saturating_sub(state.workers));
        state.workers += start;
        self.told(&mut state);
        start
    }

    /// The next entry for a worker; `None` ends the worker.
    ///
    /// There is more room then, which the worker has to tell (`room`).
    pub(crate) fn next(&self) -> Option<Entry> {
        if self.max_workers == 1
            && let Some(entry) = self.front.pop()
        {
            return Some(entry);
        }
        let mut state = self.counts();
        self.settle(&mut state);
        let next = if state.may_go() { state.ready.pop_front() } else { None };
        let Some(entry) = next else {
            state.workers -= 1;
            self.told(&mut state);
            if state.workers == 0 {
                self.idle.tell();
            }
            return None;
        };
        state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
        state.window.moved();
        // Several workers share what is ready; and the window looks at it after each event.
        if self.max_workers == 1 && !state.window.is_open() {
            state.in_front = self.front.fill(&mut state.ready);
        }
        Some(entry)
    }

    /// Empties the queue and takes nothing more, for a drain that ran out of time.
    pub(crate) fn close(&self) -> Vec<Entry> {
        let mut state = self.state();
        state.closed = true;
        let mut entries: Vec<Entry> = std::mem::take(&mut state.ready).into();
        entries.extend(state.lanes.take_all());
        let bytes: usize = entries.iter().map(|entry| entry.event.size_bytes()).sum();
        state.bytes = state.bytes.saturating_sub(bytes);
        self.told(&mut state);
        drop(state);
        self.room.tell();
        entries
    }

    /// After each change of entries or workers.
    pub(super) fn told(&self, state: &mut State) {
        let can_be_given = !state.away && !state.closed;
        state.window.told(can_be_given, || self.inflight.pending());
        let is_busy = state.queued() + state.workers > 0;
        // Written under the lock alone, and nearly always what it is.
        if self.busy.load(Atomic::Relaxed) != is_busy {
            self.busy.store(is_busy, Atomic::SeqCst);
        }
    }

    /// The state, with all that is queued in it.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.counts();
        self.gather(&mut state);
        state
    }

    /// The state, for whoever adds at the end, or looks at nothing that is ready: some of that may be in the front.
    pub(super) fn counts(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the worker has taken from the front.
    fn settle(&self, state: &mut State) {
        if state.in_front > 0 {
            let (left, gone) = self.front.left();
            state.in_front = left;
            state.bytes = state.bytes.saturating_sub(gone);
        }
    }

    /// Puts what is in the front back.
    fn gather(&self, state: &mut State) {
        self.settle(state);
        if state.in_front > 0 {
            self.front.empty(&mut state.ready);
            // The worker may have taken some more before.
            self.settle(state);
        }
    }
}

impl State {
    /// Nobody here has the entry any more; the next of its lane has the turn.
    pub(super) fn leave_on_disk(&mut self, entry: &Entry) {
        if let Some(id) = entry.stored {
            self.window.leave(id);
        }
        if let Some(next) = entry.lane.as_ref().and_then(|lane| self.lanes.leave(lane)) {
            self.ready.push_back(next);
        }
    }

    fn may_go(&self) -> bool {
        !self.paused && !self.away && !self.closed
    }

    pub(super) fn queued(&self) -> usize {
        self.ready.len() + self.in_front + self.lanes.held()
    }

    fn has_room(&self, events: usize, bytes: usize, size: usize) -> bool {
        self.queued() + self.waiting < events && self.bytes.saturating_add(size) <= bytes
    }

    fn no_longer_waits(&mut self, size: usize) {
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
    }

    /// Whether there would be room if all that no attempt has begun for made way.
    fn can_make_room(&self, events: usize, bytes: usize, size: usize) -> bool {
        let tried = self.ready.iter().filter(|entry| entry.attempts > 0);
        let (mut stay, mut taken) = (self.waiting, self.waiting_bytes);
        for entry in tried {
            stay += 1;
            taken = taken.saturating_add(entry.event.size_bytes());
        }
        stay < events && taken.saturating_add(size) <= bytes
    }

    /// Removes what has waited longest of what no attempt has begun for.
    fn take_oldest(&mut self) -> Option<Entry> {
        let untried = self.ready.iter().position(|entry| entry.attempts == 0);
        let ready = untried.and_then(|at| Some((self.ready.get(at)?.since, at)));
        let held = self.lanes.oldest();
        let oldest = match (ready, held) {
            (Some((ready, _)), Some((held, lane))) if held < ready => self.lanes.take_first(&lane),
            (Some((_, at)), _) => {
                let entry = self.ready.remove(at)?;
                // The turn of its lane passes to the next one, which has its place.
                if let Some(next) = entry.lane.as_ref().and_then(|lane| self.lanes.leave(lane)) {
                    self.ready.insert(at, next);
                }
                Some(entry)
            }
            (None, Some((_, lane))) => self.lanes.take_first(&lane),
            (None, None) => None,
        }?;
        self.bytes = self.bytes.saturating_sub(oldest.event.size_bytes());
        Some(oldest)
    }
}
