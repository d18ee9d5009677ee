//! Who is subscribed to what: a snapshot that publishers read without a lock and that each change replaces.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::bus::endpoint::{Endpoint, EndpointId};
use crate::bus::trie::Trie;
use crate::pattern::Pattern;

/// How many maps the exact types are spread over: a change copies one of them, not all.
const SHARDS: usize = 64;

/// By type; the hash is computed once, for the map and for the place in it.
type Shard = HashTable<Exact>;

/// The handlers subscribed to exactly one type.
#[derive(Clone)]
struct Exact {
    event_type: Arc<str>,
    endpoints: Vec<Arc<Endpoint>>,
}

/// The subscriptions as one publish sees them.
#[derive(Clone)]
pub(crate) struct Table {
    exact: Vec<Arc<Shard>>,
    wildcard: Trie<Arc<Endpoint>>,
    hasher: RandomState,
}

/// The handlers that match a type; a single one, the common case, costs no allocation.
pub(crate) enum Targets {
    None,
    One(Arc<Endpoint>),
    Many(Vec<Arc<Endpoint>>),
}

impl Default for Table {
    fn default() -> Self {
        Self {
            exact: vec![Arc::default(); SHARDS],
            wildcard: Trie::default(),
            hasher: RandomState::default(),
        }
    }
}

impl Table {
    /// The handlers subscribed to a type, each once however many of its patterns match, except `not_for`: a plugin is not
    /// told of itself.
    pub(crate) fn targets(&self, event_type: &str, not_for: Option<&str>) -> Targets {
        let mut targets = Targets::None;
        let mut add = |endpoint: &Arc<Endpoint>| {
            if not_for.is_none() || endpoint.name().plugin() != not_for {
                targets.add(endpoint);
            }
        };
        let hash = self.hasher.hash_one(event_type);
        let shard = self.exact.get(shard_of(hash));
        let exact = shard.and_then(|shard| shard.find(hash, |exact| &*exact.event_type == event_type));
        if let Some(exact) = exact {
            exact.endpoints.iter().for_each(&mut add);
        }
        self.wildcard.for_each_match(event_type, add);
        targets.once_each();
        targets
    }

    pub(crate) fn insert(&mut self, pattern: &Pattern, endpoint: Arc<Endpoint>) {
        if !pattern.is_literal() {
            return self.wildcard.insert(pattern, endpoint);
        }
        let (event_type, hasher) = (pattern.as_str(), &self.hasher);
        let hash = hasher.hash_one(event_type);
        if let Some(shard) = self.exact.get_mut(shard_of(hash)) {
            let is_it = |exact: &Exact| &*exact.event_type == event_type;
            let entry = Arc::make_mut(shard).entry(hash, is_it, |exact| hasher.hash_one(&*exact.event_type));
            let new = || Exact {
                event_type: event_type.into(),
                endpoints: Vec::new(),
            };
            entry.or_insert_with(new).get_mut().endpoints.push(endpoint);
        }
    }

    pub(crate) fn remove(&mut self, pattern: &Pattern, endpoint: EndpointId) {
        if !pattern.is_literal() {
            self.wildcard.remove(pattern, |other| other.id() == endpoint);
            return;
        }
        let hash = self.hasher.hash_one(pattern.as_str());
        let Some(shard) = self.exact.get_mut(shard_of(hash)).map(Arc::make_mut) else {
            return;
        };
        let Ok(mut exact) = shard.find_entry(hash, |exact| &*exact.event_type == pattern.as_str()) else {
            return;
        };
        exact.get_mut().endpoints.retain(|other| other.id() != endpoint);
        if exact.get().endpoints.is_empty() {
            exact.remove();
        }
    }
}

/// By bits of the hash that decide neither on the place in the map nor on its tag.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl Targets {
    fn add(&mut self, endpoint: &Arc<Endpoint>) {
        match self {
            Targets::None => *self = Targets::One(endpoint.clone()),
            Targets::One(first) if first.id() == endpoint.id() => {}
            Targets::One(first) => *self = Targets::Many(vec![first.clone(), endpoint.clone()]),
            Targets::Many(all) => all.push(endpoint.clone()),
        }
    }

    /// Drops repetitions, of handlers that several patterns brought here, and puts the rest in the order of subscription.
    fn once_each(&mut self) {
        if let Targets::Many(all) = self {
            all.sort_unstable_by_key(|endpoint| endpoint.id());
            all.dedup_by_key(|endpoint| endpoint.id());
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Targets::None => 0,
            Targets::One(_) => 1,
            Targets::Many(all) => all.len(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Arc<Endpoint>] {
        match self {
            Targets::None => &[],
            Targets::One(one) => std::slice::from_ref(one),
            Targets::Many(all) => all,
        }
    }
}
