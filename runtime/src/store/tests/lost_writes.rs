//! D8, H44: what was acknowledged is there after the power failed, at whichever write, with what was not synced lost or torn.

use std::collections::BTreeMap;

use fastrand::Rng;
use futures_util::future::join_all;

use super::power::Disk;
use super::*;
use crate::delivery::PluginWrites;
use crate::key_value::{KeyPageLimits, KeyValueCaps, KeyValueStore, KeyValueWrite};

/// What is known of one event.
#[derive(Clone, Debug)]
enum Known {
    /// It was to be stored, and there was no answer.
    Tried,
    /// It was stored. An attempt may have been counted of which no answer came.
    Owed {
        id: DeliveryId,
        attempts: u32,
        tried: u32,
    },
    /// It was to be settled, with what its handler published and wrote, and there was no answer.
    Settling {
        id: DeliveryId,
        attempts: u32,
    },
    Settled,
}

/// The store on a disk that fails, and what a publisher and a handler of it remember.
struct Life {
    directory: TempDir,
    disk: &'static Disk,
    rng: Rng,
    events: BTreeMap<String, Known>,
    next: u32,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            disk: Disk::new(seed),
            rng: Rng::with_seed(seed),
            events: BTreeMap::new(),
            next: 0,
        }
    }

    fn open(&self) -> Result<DurableStore, StoreError> {
        DurableStore::open_by(self.directory.path(), StoreOptions::default(), Some(self.disk.name))
    }

    /// Until the power is cut, which may be while the store is opened or closed, too.
    async fn live(&mut self) {
        self.disk.cut_after(self.rng.u64(0..250));
        let Ok(store) = self.open() else {
            assert!(self.disk.is_off(), "a store that was cut can be opened");
            return;
        };
        let checkpoint = [1, 10, 1000][self.rng.usize(0..3)];
        let pragma = format!("PRAGMA wal_autocheckpoint = {checkpoint}");
        let set = store.0.writer.run(move |db| Ok(db.query_row(&pragma, [], |_| Ok(()))?));
        set.await.unwrap();
        for _ in 0..self.rng.usize(0..30) {
            match self.rng.u8(0..5) {
                0..=2 => self.publish(&store).await,
                3 => self.settle(&store).await,
                _ => self.retry(&store).await,
            }
        }
        drop(store);
    }

    /// Some at once, in one transaction.
    async fn publish(&mut self, store: &DurableStore) {
        let new: Vec<_> = (0..self.rng.usize(1..8)).map(|_| self.new_event()).collect();
        let ids: Vec<_> = new.iter().map(|new| new.event.id().to_owned()).collect();
        let stored = together(store, new.into_iter().map(|new| store.append(new, Box::new(|_| ())))).await;
        for (id, stored) in ids.into_iter().zip(stored) {
            let known = stored.map_or(Known::Tried, |stored| Known::Owed {
                id: only(&stored),
                attempts: 0,
                tried: 0,
            });
            self.events.insert(id, known);
        }
    }

    fn new_event(&mut self) -> NewEvent {
        self.next += 1;
        let data = vec![b'x'; [10, 1000, 20_000][self.rng.usize(0..3)]];
        let event = Event::builder("a", "/tests")
            .id(format!("{:04}", self.next))
            .data("text/plain", data);
        owed_event(event.build().unwrap(), &["parent"])
    }

    /// One that is owed is done; its handler has published an event and written a pair.
    async fn settle(&mut self, store: &DurableStore) {
        let Some((event, id, attempts)) = self.any_owed() else {
            return;
        };
        let settlement = Settlement {
            delivery: Some((id, Verdict::Done)),
            outbox: vec![owed(&event, &["child"])],
            writes: Some(PluginWrites {
                plugin: "p".into(),
                writes: vec![KeyValueWrite {
                    key: event.clone(),
                    value: Some(bytes::Bytes::from_static(b"1")),
                }],
                caps: KeyValueCaps {
                    keys: 10_000,
                    bytes: 1_000_000,
                },
            }),
            letters: vec![letter(&event, None, at(9))],
        };
        let known = match try_settle(store, settlement).await {
            Ok(settled) => {
                assert!(!settled.gone, "{event}");
                Known::Settled
            }
            Err(_) => Known::Settling { id, attempts },
        };
        self.events.insert(event, known);
    }

    async fn retry(&mut self, store: &DurableStore) {
        let Some((event, id, attempts)) = self.any_owed() else {
            return;
        };
        let tried = attempts + 1;
        let settlement = Settlement {
            delivery: Some((
                id,
                Verdict::Retry {
                    attempts: tried,
                    due: at(9),
                },
            )),
            ..Settlement::default()
        };
        let attempts = try_settle(store, settlement).await.map_or(attempts, |_| tried);
        self.events.insert(event, Known::Owed { id, attempts, tried });
    }

    fn any_owed(&mut self) -> Option<(String, DeliveryId, u32)> {
        let owed: Vec<_> = self
            .events
            .iter()
            .filter_map(|(event, known)| match known {
                Known::Owed { id, attempts, .. } => Some((event.clone(), *id, *attempts)),
                _ => None,
            })
            .collect();
        self.rng.choice(owed)
    }

    /// The power is on again: what was promised is there. From here on what is there is what was promised.
    async fn check(&mut self) {
        self.disk.restart();
        let store = self.open().unwrap();
        let (parents, children) = (load(&store, "parent").await, ids(&store, "child").await);
        assert!(parents.damaged.is_empty(), "what is there is whole");
        let page = KeyPageLimits {
            keys: 10_000,
            bytes: 1_000_000,
        };
        let written = KeyValueStore::list(&store, "p", None, page).await.unwrap().keys;
        let mut letters = letter_ids(&store).await;
        let mut sorted = children.clone();
        sorted.sort();
        letters.sort();
        assert_eq!(
            (&sorted, &sorted),
            (&written, &letters),
            "all of a settlement, or nothing"
        );
        let mut there: BTreeMap<_, _> = parents
            .deliveries
            .iter()
            .map(|one| (one.event.id().to_owned(), one))
            .collect();
        assert_eq!(there.len(), parents.deliveries.len(), "none is there twice");
        for (event, known) in std::mem::take(&mut self.events) {
            let (parent, child) = (there.remove(&event), sorted.binary_search(&event).is_ok());
            let found = (parent.map(|one| (one.id, one.attempts)), child);
            let is_right = match (known.clone(), found) {
                (Known::Tried, (_, child)) => !child,
                (Known::Owed { id, attempts, tried }, (Some((is, had)), false)) => {
                    is == id && (had == attempts || had == tried)
                }
                (Known::Settling { id, attempts }, (Some(found), false)) => found == (id, attempts),
                (Known::Settling { .. } | Known::Settled, (None, true)) => true,
                _ => false,
            };
            assert!(is_right, "{event}: {known:?}, and there is {found:?}");
            match found {
                (Some((id, attempts)), _) => {
                    self.events.insert(
                        event,
                        Known::Owed {
                            id,
                            attempts,
                            tried: attempts,
                        },
                    );
                }
                (None, true) => drop(self.events.insert(event, Known::Settled)),
                (None, false) => {}
            }
        }
        assert!(there.is_empty(), "nothing is there that was not published: {there:?}");
        self.check_marks(&store).await;
    }

    /// D6: the marks against repetition are as sure as the events.
    async fn check_marks(&mut self, store: &DurableStore) {
        for event in self.events.keys() {
            let repeated = Event::builder("a", "/tests").id(event).build().unwrap();
            let stored = store
                .append(owed_event(repeated, &["parent"]), Box::new(|_| ()))
                .await
                .unwrap();
            assert_eq!(stored, [Stored::Duplicate], "{event}");
        }
    }
}

/// All of them in one transaction.
async fn together<T>(store: &DurableStore, jobs: impl Iterator<Item: Future<Output = T>>) -> Vec<T> {
    let (begun, begins) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let gate = store.0.writer.run(move |_| {
        begun.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    });
    let mut gate = Box::pin(gate);
    assert!(futures_util::poll!(&mut gate).is_pending());
    begins.recv().unwrap();
    // In the order of their first poll.
    let (all, ()) = futures_util::future::join(join_all(jobs), async { drop(go_on) }).await;
    gate.await.unwrap();
    all
}

/// D8, H44: whatever was acknowledged is there after the power failed, and what was not is there whole or not at all.
#[tokio::test]
async fn h44_d8_nothing_acknowledged_is_lost_with_the_power() {
    for seed in 0..30 {
        let mut life = Life::new(seed);
        for _ in 0..4 {
            life.live().await;
            life.check().await;
        }
    }
}

/// D8, H45: on a disk without room nothing is acknowledged falsely, alone or together with others; with room again it goes on.
#[tokio::test]
async fn h45_d8_a_full_disk_takes_nothing_falsely_and_recovers() {
    let life = Life::new(0);
    let store = life.open().unwrap();
    let first = only(&append(&store, "1", &["a"]).await);
    life.disk.set_full(true);
    let ids_of_refused: Vec<_> = (2..20).map(|n| n.to_string()).collect();
    let jobs = ids_of_refused
        .iter()
        .map(|id| store.append(owed(id, &["a"]), Box::new(|_| ())));
    for refused in together(&store, jobs).await {
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    }
    let settlement = Settlement {
        delivery: Some((first, Verdict::Done)),
        ..Settlement::default()
    };
    let refused = try_settle(&store, settlement).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(ids(&store, "a").await, ["1"]);
    life.disk.set_full(false);
    append(&store, "2", &["a"]).await;
    assert!(!done(&store, first).await.gone);
    life.disk.cut();
    drop(store);
    life.disk.restart();
    life.disk.set_full(true);
    let store = life.open().unwrap();
    assert_eq!(
        ids(&store, "a").await,
        ["2"],
        "it is opened without room for the log's fold, too"
    );
}

/// D2, T8: what comes while the disk is busy is committed together, with one sync.
#[tokio::test]
async fn d2_those_who_wait_share_a_commit() {
    let life = Life::new(0);
    let store = life.open().unwrap();
    append(&store, "first", &["a"]).await;
    let before = life.disk.syncs("-wal");
    let ids: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    let jobs = ids.iter().map(|id| append(&store, id, &["a"]));
    assert_eq!(together(&store, jobs).await.len(), 200);
    assert_eq!(life.disk.syncs("-wal") - before, 1);
}
