//! All that the child has recorded, put together for the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::name::Name;
use super::record::Record;

/// An attempt of a native handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) life: u32,
    pub(super) name: Name,
    pub(super) attempt: u32,
}

/// What is recorded, by what it is about.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// How many lines were torn.
    pub(super) torn: usize,
    pub(super) lives: u32,
    pub(super) tried: BTreeSet<Name>,
    /// Those whose publish has returned, with whom they are owed to.
    pub(super) acked: BTreeMap<Name, BTreeSet<String>>,
    /// How many were published again though they were known.
    pub(super) again: u64,
    /// By handler, in the order in which they began.
    pub(super) attempts: BTreeMap<String, Vec<Attempt>>,
    /// What `keyed` published: the ids by cause.
    pub(super) handled: BTreeMap<Name, BTreeSet<String>>,
    /// How often `sink` and `audit` were called.
    pub(super) calls: u64,
    /// What the plugin published: the ids by cause.
    pub(super) reported: BTreeMap<Name, BTreeSet<String>>,
    /// How far it had counted, by the id of what it published.
    pub(super) counts: BTreeMap<String, BTreeSet<u64>>,
    pub(super) total: Option<u64>,
    /// By handler and event: the attempts of each letter.
    pub(super) letters: BTreeMap<(String, String), Vec<u32>>,
    pub(super) owed: BTreeMap<String, u64>,
    /// Of each shutdown: what was kept and what was given up.
    pub(super) ended: Vec<(u64, u64)>,
    pub(super) wrong: Vec<String>,
}

impl Book {
    /// What a file says.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&String::from_utf8_lossy(&fs::read(path)?)))
    }

    /// What these lines say.
    pub(super) fn of(lines: &str) -> Self {
        let mut book = Self::default();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            match Record::parse(line) {
                Some(record) => book.add(record),
                None => book.torn += 1,
            }
        }
        book
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Life(life) => self.lives = life,
            Record::Trying(name) => drop(self.tried.insert(name)),
            Record::Acked(name, by) => self.acked.entry(name).or_default().extend(by),
            Record::Again(..) => self.again += 1,
            Record::Attempt(handler, name, attempt) => {
                let life = self.lives;
                let attempts = self.attempts.entry(handler).or_default();
                attempts.push(Attempt { life, name, attempt });
            }
            Record::Sink(id, cause) => {
                self.calls += 1;
                self.handled.entry(cause).or_default().insert(id);
            }
            Record::Report(id, cause, count) => {
                self.calls += 1;
                self.reported.entry(cause).or_default().insert(id.clone());
                self.counts.entry(id).or_default().insert(count);
            }
            Record::Total(total) => self.total = Some(total),
            Record::Letter(handler, id, attempts) => self.letters.entry((handler, id)).or_default().push(attempts),
            Record::Owed(handler, events) => *self.owed.entry(handler).or_default() += events,
            Record::Ended(kept, abandoned) => self.ended.push((kept, abandoned)),
            Record::Wrong(words) => self.wrong.push(words),
        }
    }

    /// The attempts of one handler.
    pub(super) fn attempts_of(&self, handler: &str) -> &[Attempt] {
        self.attempts.get(handler).map_or(&[], Vec::as_slice)
    }

    /// The events that a handler is owed, as publishers know it.
    pub(super) fn owed_to(&self, handler: &str) -> impl Iterator<Item = Name> {
        let acked = self.acked.iter().filter(move |(_, by)| by.contains(handler));
        acked.map(|(name, _)| *name)
    }

    /// Those that a handler had to end as dead letters.
    pub(super) fn dead(&self, handler: &str) -> usize {
        self.letters.keys().filter(|(of, _)| of == handler).count()
    }

    /// How often events reached the end of a handler that fails at first.
    pub(super) fn ends(&self, handler: &str) -> BTreeMap<Name, u32> {
        let mut ends = BTreeMap::new();
        for attempt in self.attempts_of(handler) {
            if attempt.attempt > attempt.name.failures() {
                *ends.entry(attempt.name).or_default() += 1;
            }
        }
        ends
    }

    /// For how many events that was more than once: the kill came between that and the commit.
    pub(super) fn handled_twice(&self, handler: &str) -> usize {
        self.ends(handler).values().filter(|ends| **ends > 1).count()
    }

    /// How many different events came out of handlers.
    pub(super) fn came_out(&self) -> usize {
        let ids = self.handled.values().chain(self.reported.values());
        ids.map(BTreeSet::len).sum()
    }
}
