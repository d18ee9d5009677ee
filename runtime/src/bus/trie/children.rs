use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

/// The children of a node by token: a map whose clones share nearly everything.
///
/// A root with ten thousand children is ordinary (`tenant-1.>`, `tenant-2.>`, ...), and a hash map would be copied whole at
/// every subscribe. Here the entries lie sorted by their hash in chunks of [`CHUNK`]; a change copies one chunk and the
/// list of chunks. A look-up is two binary searches through numbers, and compares one token.
#[derive(Clone)]
pub(super) struct Children<N> {
    /// None is empty.
    chunks: Vec<Chunk<N>>,
}

/// A larger one is split. At 10,000 entries a change then copies about as many chunk pointers as entries.
const CHUNK: usize = 64;

/// So many are compared one by one, which takes less than the hash.
const FEW: usize = 4;

#[derive(Clone)]
struct Chunk<N> {
    /// No entry has a lesser hash; the chunk before it has only lesser ones. The first chunk's is not looked at.
    from: u64,
    entries: Arc<Vec<Entry<N>>>,
}

/// Sorted by hash, then by token, so that tokens of equal hashes, chance or malice, cost nothing more.
struct Entry<N> {
    hash: u64,
    token: Arc<str>,
    child: Arc<N>,
}

impl<N> Children<N> {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn get(&self, token: &str) -> Option<&Arc<N>> {
        if let [Chunk { entries, .. }] = &*self.chunks
            && entries.len() <= FEW
        {
            let entry = entries.iter().find(|entry| *entry.token == *token)?;
            return Some(&entry.child);
        }
        if self.is_empty() {
            return None;
        }
        let hash = hash_of(token);
        let entries = &self.chunks.get(self.chunk_of(hash))?.entries;
        let at = find(entries, hash, token).ok()?;
        entries.get(at).map(|entry| &entry.child)
    }

    pub(super) fn get_mut(&mut self, token: &str) -> Option<&mut Arc<N>> {
        let hash = hash_of(token);
        let chunk = self.chunk_of(hash);
        let entries = &mut self.chunks.get_mut(chunk)?.entries;
        let at = find(entries, hash, token).ok()?;
        Arc::make_mut(entries).get_mut(at).map(|entry| &mut entry.child)
    }

    /// Changes a child, or a new and empty one where there was none.
    pub(super) fn upsert(&mut self, token: &str, change: impl FnOnce(&mut N))
    where
        N: Clone + Default,
    {
        if let Some(child) = self.get_mut(token) {
            return change(Arc::make_mut(child));
        }
        let mut child = N::default();
        change(&mut child);
        self.insert(Entry {
            hash: hash_of(token),
            token: token.into(),
            child: Arc::new(child),
        });
    }

    /// Adds an entry whose token is new.
    fn insert(&mut self, entry: Entry<N>) {
        let at_chunk = self.chunk_of(entry.hash);
        let Some(chunk) = self.chunks.get_mut(at_chunk) else {
            return self.chunks.push(Chunk {
                from: entry.hash,
                entries: Arc::new(vec![entry]),
            });
        };
        let at = find(&chunk.entries, entry.hash, &entry.token).unwrap_or_else(|free| free);
        Arc::make_mut(&mut chunk.entries).insert(at, entry);
        let upper = chunk.split();
        self.chunks.splice(at_chunk + 1..at_chunk + 1, upper);
    }

    pub(super) fn remove(&mut self, token: &str) {
        let hash = hash_of(token);
        let at_chunk = self.chunk_of(hash);
        let Some(chunk) = self.chunks.get_mut(at_chunk) else {
            return;
        };
        if let Ok(at) = find(&chunk.entries, hash, token) {
            Arc::make_mut(&mut chunk.entries).remove(at);
        }
        if chunk.entries.is_empty() {
            self.chunks.remove(at_chunk);
        }
    }

    /// Where the chunk lies that a hash belongs to.
    fn chunk_of(&self, hash: u64) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.from <= hash)
            .saturating_sub(1)
    }
}

impl<N> Chunk<N> {
    /// Gives away the upper half of a chunk that is too large. Equal hashes stay together, so that one look finds them.
    fn split(&mut self) -> Option<Self> {
        if self.entries.len() <= CHUNK {
            return None;
        }
        let from = self.entries.get(CHUNK / 2)?.hash;
        let at = self.entries.partition_point(|entry| entry.hash < from);
        (at > 0).then(|| Self {
            from,
            entries: Arc::new(Arc::make_mut(&mut self.entries).split_off(at)),
        })
    }
}

impl<N> Default for Children<N> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<N> Clone for Entry<N> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            token: self.token.clone(),
            child: self.child.clone(),
        }
    }
}

fn find<N>(entries: &[Entry<N>], hash: u64, token: &str) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.hash.cmp(&hash).then_with(|| (*entry.token).cmp(token)))
}

fn hash_of(token: &str) -> u64 {
    FixedState::default().hash_one(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    /// B1
    #[test]
    fn thousands_of_children_come_and_go() {
        let mut children = Children::<u32>::default();
        let token = |number: u32| format!("tenant-{number}");
        for number in 0..5_000 {
            children.upsert(&token(number), |child| *child = number);
        }
        let shared = children.clone();
        assert!(
            children
                .chunks
                .iter()
                .all(|chunk| (1..=CHUNK).contains(&chunk.entries.len()))
        );
        for number in 0..5_000 {
            assert_eq!(children.get(&token(number)).map(|child| **child), Some(number));
            children.remove(&token(number));
            assert!(children.get(&token(number)).is_none());
        }
        assert!(children.is_empty());
        assert!((0..5_000).all(|number| shared.get(&token(number)).is_some()));
    }

    /// B1
    #[test]
    fn a_change_copies_one_chunk() {
        let mut children = Children::<u32>::default();
        (0..5_000).for_each(|number| children.upsert(&number.to_string(), |child| *child = number));
        let before = children.clone();
        children.remove("77");
        let same = |(a, b): (&Chunk<u32>, &Chunk<u32>)| Arc::ptr_eq(&a.entries, &b.entries);
        let shared = before
            .chunks
            .iter()
            .zip(&children.chunks)
            .filter(|pair| same(*pair))
            .count();
        assert_eq!(shared, before.chunks.len() - 1);
    }

    /// H26
    #[test]
    fn equal_hashes_stay_in_one_chunk() {
        let entry = |hash, token: usize| Entry {
            hash,
            token: format!("{token:03}").into(),
            child: Arc::new(()),
        };
        let mut alike = Chunk {
            from: 0,
            entries: Arc::new((0..=CHUNK).map(|token| entry(7, token)).collect()),
        };
        assert!(alike.split().is_none());
        let hash_of_place = |place| if place < 20 { 1 } else { 7 };
        let entries = (0..=CHUNK).map(|place| entry(hash_of_place(place), place)).collect();
        let mut mixed = Chunk {
            from: 0,
            entries: Arc::new(entries),
        };
        let upper = mixed.split().unwrap();
        assert_eq!(
            (mixed.entries.len(), upper.entries.len(), upper.from),
            (20, CHUNK - 19, 7)
        );
    }

    proptest! {
        /// B1
        #[test]
        fn behaves_like_a_map(changes in prop::collection::vec((any::<bool>(), 0_u8..=200, any::<u32>()), 0..600)) {
            let (mut children, mut map) = (Children::<u32>::default(), BTreeMap::new());
            for (insert, token, value) in changes {
                let token = token.to_string();
                if insert {
                    children.upsert(&token, |child| *child = value);
                    map.insert(token, value);
                } else {
                    children.remove(&token);
                    map.remove(&token);
                }
            }
            prop_assert_eq!(children.is_empty(), map.is_empty());
            for token in 0_u8..=200 {
                let token = token.to_string();
                prop_assert_eq!(children.get(&token).map(|child| **child), map.get(&token).copied());
            }
        }
    }
}
