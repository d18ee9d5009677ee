//! Lanes: events that keep their order among themselves, across retries (B6). Of each lane one has the turn, ready, in a
//! worker's hands or waiting for its next attempt; the others of it are held here.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::time::Instant;

use super::entry::Entry;
use crate::delivery::EventOrder;
use crate::event::Event;

/// Which events keep their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// All of the handler.
    All,
    /// Those with this value of the metadata key.
    Value(Arc<str>),
}

impl Lane {
    /// Of an event, for a handler with this order.
    pub(crate) fn of(event: &Event, ordering: &EventOrder) -> Option<Self> {
        match ordering {
            EventOrder::None => None,
            EventOrder::Strict => Some(Self::All),
            EventOrder::Key(key) => event.metadata(key).map(|value| Self::Value(Arc::from(&*value))),
        }
    }
}

impl Lane {
    /// The same for events of one lane.
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}

/// The lanes that somebody has the turn of.
#[derive(Default)]
pub(super) struct Lanes {
    taken: HashMap<Lane, VecDeque<Entry>>,
    held: usize,
}

impl Lanes {
    /// How many entries are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes the turn of a lane; false if somebody has it.
    pub(super) fn enter(&mut self, lane: &Lane) -> bool {
        if self.taken.contains_key(lane) {
            return false;
        }
        self.taken.insert(lane.clone(), VecDeque::new());
        true
    }

    /// Gives the entry back if it is its turn; else it is held.
    pub(super) fn join(&mut self, entry: Entry) -> Option<Entry> {
        let Some(lane) = entry.lane.clone() else {
            return Some(entry);
        };
        match self.taken.get_mut(&lane) {
            Some(held) => {
                held.push_back(entry);
                self.held += 1;
                None
            }
            None => {
                self.taken.insert(lane, VecDeque::new());
                Some(entry)
            }
        }
    }

    /// Gives up the turn; the next entry has it then.
    pub(super) fn leave(&mut self, lane: &Lane) -> Option<Entry> {
        let next = self.taken.get_mut(lane)?.pop_front();
        match next {
            Some(_) => self.held -= 1,
            None => drop(self.taken.remove(lane)),
        }
        next
    }

    /// Since when the oldest of the held ones waits, and in which lane.
    pub(super) fn oldest(&self) -> Option<(Instant, Lane)> {
        let firsts = self
            .taken
            .iter()
            .filter_map(|(lane, held)| Some((held.front()?.since, lane)));
        let (since, lane) = firsts.min_by_key(|(since, _)| *since)?;
        Some((since, lane.clone()))
    }

    /// Removes the first of those held in a lane.
    pub(super) fn take_first(&mut self, lane: &Lane) -> Option<Entry> {
        let first = self.taken.get_mut(lane)?.pop_front()?;
        self.held -= 1;
        Some(first)
    }

    /// Whether somebody has the turn.
    pub(super) fn is_taken(&self, lane: &Lane) -> bool {
        self.taken.contains_key(lane)
    }

    /// All that are held.
    pub(super) fn held_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.taken.values_mut().flatten()
    }

    /// How many entries of a lane are held.
    pub(super) fn held_of(&self, lane: &Lane) -> usize {
        self.taken.get(lane).map_or(0, VecDeque::len)
    }

    /// Removes those that are stored. Who has a turn keeps it.
    pub(super) fn take_stored(&mut self) -> Vec<Entry> {
        let mut taken = Vec::new();
        for held in self.taken.values_mut() {
            let all = std::mem::take(held);
            let (stored, others): (VecDeque<_>, VecDeque<_>) =
                all.into_iter().partition(|entry| entry.stored.is_some());
            *held = others;
            taken.extend(stored);
        }
        self.held -= taken.len();
        taken
    }

    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        self.held = 0;
        self.taken.drain().flat_map(|(_, held)| held).collect()
    }
}
