//! What of a handler's stored deliveries is in memory: a window that follows the store, as large as the queue (D1).
//!
//! Rows come in the order in which they were stored: as they are committed, or, when the queue had no room for them, by pages
//! later. Both are told by the thread that writes to the store, one after the other, so nothing is missed between them and
//! nothing comes twice.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::time::Instant;

use super::caller::Caller;
use super::entry::Entry;
use super::inflight::Pending;
use super::lanes::Lane;
use super::queue::{Queue, State};
use crate::clock::by;
use crate::delivery::{BacklogPolicy, DeliveryId, Overflow, Owed, Page};
use crate::handler::Origin;

/// The window of a queue that has one.
#[derive(Default)]
pub(super) struct Window {
    /// Whether it follows the store; else nothing comes in, and what is there stays on the disk.
    open: bool,
    /// What is in memory: queued, in a worker's hands, or waiting for an attempt.
    have: HashSet<DeliveryId>,
    /// All up to this one have been here, or are known in `spilled`.
    last: DeliveryId,
    /// There are later ones on the disk.
    behind: bool,
    /// Counts the times that it began anew: what was asked for before is of no use then.
    generation: u64,
    /// A page was asked for.
    loading: bool,
    /// The last page found no room at all; until something leaves the queue there is no use in another.
    stalled: bool,
    /// How much is owed, as far as the store has told, without what is damaged.
    owed: Owed,
    /// The first page has told of all that there was.
    is_counted: bool,
    damaged: HashSet<DeliveryId>,
    /// And how much publishers are about to store.
    announced: Owed,
    /// Lanes of which as many are in memory as may be: the others must not take the room from other lanes.
    spilled: HashMap<Lane, Spilled>,
    /// Publishers that wait for the first attempt at a row which is not in memory yet, and since when.
    callers: HashMap<DeliveryId, (Caller, Instant)>,
    /// Keeps `quiet` waiting while there is something owed that the handler can be given.
    active: Option<Pending>,
}

#[derive(Default)]
struct Spilled {
    ids: VecDeque<DeliveryId>,
    fetching: bool,
}

/// What became of a row that was offered to the window.
pub(super) enum Row {
    /// It is in the queue, and the caller may have to start a worker.
    Queued { start_worker: bool },
    /// Its next attempt is due later; `Queue::put_back` takes it then.
    Early(Box<Entry>),
    /// It stays on the disk for now, or is here already.
    Left,
    /// The window follows the store no more.
    Closed,
}

/// What the window needs from the store.
pub(super) struct Need {
    pub(super) rows: Rows,
    /// Of the window, when it asked.
    pub(super) generation: u64,
}

/// Which rows.
pub(super) enum Rows {
    /// Those after this one.
    After(DeliveryId),
    /// These of a lane.
    OfLane(Lane, Vec<DeliveryId>),
}

impl Rows {
    /// Which lane it is about, if one.
    pub(super) fn lane(&self) -> Option<Lane> {
        match self {
            Self::After(_) => None,
            Self::OfLane(lane, _) => Some(lane.clone()),
        }
    }
}

impl Queue {
    /// Follows the store from its first row on; whoever calls this asks for the first page.
    ///
    /// With `later` nothing is asked for until [`no_page`](Self::no_page) for the generation that is returned.
    pub(super) fn follow(&self, later: bool) -> u64 {
        let mut state = self.state();
        let window = &mut state.window;
        window.open = true;
        window.begin_anew();
        window.loading = later;
        let generation = window.generation;
        self.told(&mut state);
        generation
    }

    /// Follows the store no more: what is queued stays there for the next who does. What a worker has it ends.
    pub(super) fn rest(&self) {
        let mut state = self.state();
        state.window.open = false;
        state.window.begin_anew();
        state.window.callers.clear();
        let ready = std::mem::take(&mut state.ready);
        let (stored, others): (VecDeque<_>, _) = ready.into_iter().partition(|entry: &Entry| entry.stored.is_some());
        state.ready = others;
        for mut entry in state.lanes.take_stored() {
            state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
            // It never had the turn of its lane.
            entry.lane = None;
            state.leave_on_disk(&entry);
        }
        for entry in stored {
            state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
            state.leave_on_disk(&entry);
        }
        self.told(&mut state);
    }

    /// Makes room on the disk for an event that is about to be stored.
    pub(super) fn announce(&self, size: usize, origin: Origin) -> bool {
        let BacklogPolicy { mut events, mut bytes } = self.backlog;
        if origin != Origin::Publisher {
            (events, bytes) = (events.saturating_add(events / 4), bytes.saturating_add(bytes / 4));
        }
        let mut state = self.state();
        let Window { owed, announced, .. } = &state.window;
        let has_room = owed.events + announced.events < events
            && (owed.bytes + announced.bytes).saturating_add(size as u64) <= bytes;
        if has_room {
            state.window.announced.add(size);
        }
        has_room
    }

    /// The same, waiting for room until the deadline where the policy says so and the event can ever fit.
    ///
    /// Cancellation safe.
    pub(super) async fn announce_until(&self, size: usize, deadline: Instant) -> bool {
        let can_wait = self.policy().overflow == Overflow::Block && size as u64 <= self.backlog.bytes;
        let announced = self.room.until(|| match self.announce(size, Origin::Publisher) {
            true => Some(true),
            false if !can_wait || self.is_closed() => Some(false),
            false => None,
        });
        by(deadline, announced).await.unwrap_or(false)
    }

    /// What was announced will not be stored.
    pub(super) fn withdraw(&self, size: usize) {
        self.state().window.announced.remove(size);
        self.room.tell();
    }

    /// A row was stored that was announced, and its commit was the last one so far.
    pub(super) fn committed(&self, entry: Entry, id: DeliveryId) -> Row {
        let size = entry.event.size_bytes();
        let mut state = self.state();
        state.window.announced.remove(size);
        state.window.owed.add(size);
        let row = if !state.window.open {
            Row::Closed
        } else if state.window.behind {
            state.window.leave_for_now(entry, id)
        } else {
            self.take_row(&mut state, entry, id)
        };
        self.told(&mut state);
        row
    }

    /// A row was stored that another window of this handler's name should have been told of, which is not open any more.
    pub(super) fn missed(&self, size: usize) {
        let mut state = self.state();
        // Else the first page tells of it.
        if state.window.is_counted {
            state.window.owed.add(size);
        }
        state.window.behind = true;
        self.told(&mut state);
    }

    /// A page has come: its entries, each with its id. Says what became of each, until there was no room.
    pub(super) fn page(&self, generation: u64, page: &Page, entries: Vec<(Entry, DeliveryId)>) -> Vec<Row> {
        let mut state = self.state();
        if state.window.generation != generation {
            return Vec::new();
        }
        state.window.loading = false;
        if let Some(owed) = page.owed {
            state.window.owed = owed;
            state.window.is_counted = true;
            state.window.damaged.clear();
        }
        state.window.forget_damaged(page);
        let mut rows = Vec::with_capacity(entries.len());
        let mut all = true;
        let had_some = !entries.is_empty();
        for (entry, id) in entries {
            if !state.window.open || !self.has_room(&state, &entry) {
                all = false;
                break;
            }
            rows.push(self.take_row(&mut state, entry, id));
        }
        state.window.stalled = had_some && rows.is_empty();
        if all && state.window.open {
            state.window.last = page.last.unwrap_or(state.window.last);
            state.window.behind = page.more;
        }
        self.told(&mut state);
        rows
    }

    /// A page did not come.
    pub(super) fn no_page(&self, generation: u64, lane: Option<&Lane>) {
        let mut state = self.state();
        if state.window.generation != generation {
            return;
        }
        match lane {
            None => state.window.loading = false,
            // From the first on, past all that is here.
            Some(_) => state.window.begin_anew(),
        }
        self.told(&mut state);
    }

    /// Rows of a lane have come that had to wait on the disk.
    pub(super) fn lane_page(
        &self,
        generation: u64,
        lane: &Lane,
        page: &Page,
        entries: Vec<(Entry, DeliveryId)>,
    ) -> Vec<Row> {
        let mut state = self.state();
        if state.window.generation != generation {
            return Vec::new();
        }
        state.window.forget_damaged(page);
        let mut rows = Vec::with_capacity(entries.len());
        if let Some(spilled) = state.window.spilled.get_mut(lane) {
            spilled.fetching = false;
            if spilled.ids.is_empty() {
                state.window.spilled.remove(lane);
            }
            for (entry, id) in entries {
                rows.push(self.enter(&mut state, entry, id));
            }
        }
        self.told(&mut state);
        rows
    }

    /// What the window needs now, which it counts as asked for.
    pub(super) fn need(&self) -> Option<Need> {
        let mut state = self.counts();
        if !state.window.open || state.closed {
            return None;
        }
        let half = state.queued() <= self.policy().events / 2 && state.waiting < self.policy().events.max(1);
        let State { window, lanes, .. } = &mut *state;
        let generation = window.generation;
        if window.behind && !window.loading && !window.stalled && half {
            window.loading = true;
            let rows = Rows::After(window.last);
            self.told(&mut state);
            return Some(Need { rows, generation });
        }
        let most = self.lane_most();
        let may_hold = lanes.held() < self.held_most();
        let (lane, spilled) = window.spilled.iter_mut().find(|(lane, spilled)| {
            let is_out = lanes.held_of(lane) == 0;
            !spilled.fetching && is_out && (may_hold || !lanes.is_taken(lane))
        })?;
        spilled.fetching = true;
        let ids = spilled.ids.drain(..most.min(spilled.ids.len())).collect();
        let rows = Rows::OfLane(lane.clone(), ids);
        Some(Need { rows, generation })
    }

    /// The delivery is over, for the store too.
    pub(super) fn settled(&self, id: DeliveryId, size: usize) {
        let mut state = self.state();
        state.window.have.remove(&id);
        state.window.owed.remove(size);
        self.told(&mut state);
        drop(state);
        self.room.tell();
    }

    /// The delivery is not over, but nobody here has it any more: it comes again from the disk.
    pub(super) fn lost(&self, id: DeliveryId) {
        let mut state = self.state();
        if state.window.have.remove(&id) {
            state.window.begin_anew();
        }
        self.told(&mut state);
    }

    /// How many events are owed on the disk.
    pub(super) fn owed(&self) -> u64 {
        self.counts().window.owed.events
    }

    /// How many entries of one lane may be in memory beside the one that has the turn.
    fn lane_most(&self) -> usize {
        (self.policy().events / 32).max(1)
    }

    /// How many entries all lanes may hold together: those of keys that fail must leave room for others.
    fn held_most(&self) -> usize {
        (self.policy().events / 2).max(1)
    }

    fn take_row(&self, state: &mut State, entry: Entry, id: DeliveryId) -> Row {
        if state.window.have.contains(&id) {
            state.window.last = state.window.last.max(id);
            return Row::Left;
        }
        if let Some(lane @ Lane::Value(_)) = &entry.lane {
            let has_many = state.lanes.held_of(lane) >= self.lane_most();
            let is_full = has_many || (state.lanes.is_taken(lane) && state.lanes.held() >= self.held_most());
            if is_full || state.window.spilled.contains_key(lane) {
                let spilled = state.window.spilled.entry(lane.clone()).or_default();
                spilled.ids.push_back(id);
                state.window.last = state.window.last.max(id);
                return state.window.leave_for_now(entry, id);
            }
        }
        if !self.has_room(state, &entry) {
            state.window.behind = true;
            return state.window.leave_for_now(entry, id);
        }
        state.window.last = state.window.last.max(id);
        self.enter(state, entry, id)
    }

    fn enter(&self, state: &mut State, mut entry: Entry, id: DeliveryId) -> Row {
        if !state.window.have.insert(id) {
            return Row::Left;
        }
        if let Some((caller, _)) = state.window.callers.remove(&id) {
            entry.caller = Some(caller);
        }
        let size = entry.event.size_bytes();
        state.bytes = state.bytes.saturating_add(size);
        let is_early = entry.not_before.is_some_and(|due| due > Instant::now());
        match state.lanes.join(entry) {
            Some(entry) if is_early => {
                state.waiting += 1;
                state.waiting_bytes = state.waiting_bytes.saturating_add(size);
                return Row::Early(Box::new(entry));
            }
            Some(entry) => state.ready.push_back(entry),
            None => {}
        }
        Row::Queued {
            start_worker: self.worker_for(state),
        }
    }

    /// The largest event has room in an empty queue: it was stored, so it has to be delivered. What waits for its next
    /// attempt keeps nothing else from coming in, up to as much again.
    fn has_room(&self, state: &State, entry: &Entry) -> bool {
        let size = entry.event.size_bytes();
        let policy = self.policy();
        state.queued() == 0 && state.waiting < policy.events
            || state.queued() < policy.events
                && state.waiting < policy.events
                && state.bytes.saturating_add(size) <= policy.bytes
    }
}

impl Window {
    /// Whether it knows of something to be delivered, or is about to know.
    fn is_active(&self) -> bool {
        self.open && (self.owed.events > 0 || self.loading || !self.is_counted)
    }

    /// What is on the disk comes again from the first row on, past all that is in memory.
    pub(super) fn begin_anew(&mut self) {
        self.generation += 1;
        self.is_counted = false;
        self.spilled.clear();
        self.moved();
        (self.last, self.behind, self.loading) = (DeliveryId::NONE, true, false);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// A row that has no room in memory now. Its publisher waits on.
    fn leave_for_now(&mut self, mut entry: Entry, id: DeliveryId) -> Row {
        if let Some(caller) = entry.caller.take() {
            if self.callers.len() >= self.callers.capacity() {
                self.callers.retain(|_, (caller, _)| !caller.is_gone());
            }
            self.callers.insert(id, (caller, entry.since));
        }
        Row::Left
    }

    /// Publishers whose rows are not in memory yet.
    pub(super) fn take_callers(&mut self) -> impl Iterator<Item = (Caller, Instant)> {
        std::mem::take(&mut self.callers).into_values()
    }

    /// It is not in memory any more, and stays on the disk.
    pub(super) fn leave(&mut self, id: DeliveryId) {
        self.have.remove(&id);
    }

    /// Something left the queue.
    pub(super) fn moved(&mut self) {
        self.stalled = false;
    }

    /// Begins or ends what keeps `quiet` waiting.
    pub(super) fn told(&mut self, may_go: bool, begin: impl FnOnce() -> Pending) {
        match (self.is_active() && may_go, self.active.is_some()) {
            (true, false) => self.active = Some(begin()),
            (false, true) => self.active = None,
            _ => {}
        }
    }

    /// They can't be delivered, so nobody waits for them.
    fn forget_damaged(&mut self, page: &Page) {
        let new = page.damaged.iter().filter(|id| self.damaged.insert(**id)).count();
        self.owed.events = self.owed.events.saturating_sub(new as u64);
    }
}

impl Owed {
    fn add(&mut self, size: usize) {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(size as u64);
    }

    fn remove(&mut self, size: usize) {
        self.events = self.events.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size as u64);
    }
}
