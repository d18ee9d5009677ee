//! Who is subscribed to what: a snapshot that publishers read without a lock and that each change replaces.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::bus::endpoint::{Endpoint, EndpointId};
use crate::bus::trie::Trie;
use crate::pattern::Pattern;

/// How many maps the exact types are spread over: a change copies one of them, not all.
const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, Vec<Arc<Endpoint>>>;

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
            hasher: RandomState::new(),
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
        let exact = self
            .exact
            .get(self.shard_of(event_type))
            .and_then(|shard| shard.get(event_type));
        exact.into_iter().flatten().for_each(&mut add);
        self.wildcard.for_each_match(event_type, add);
        targets.once_each();
        targets
    }

    pub(crate) fn insert(&mut self, pattern: &Pattern, endpoint: Arc<Endpoint>) {
        if !pattern.is_literal() {
            return self.wildcard.insert(pattern, endpoint);
        }
        let shard = self.shard_of(pattern.as_str());
        if let Some(shard) = self.exact.get_mut(shard) {
            Arc::make_mut(shard)
                .entry(Arc::from(pattern.as_str()))
                .or_default()
                .push(endpoint);
        }
    }

    pub(crate) fn remove(&mut self, pattern: &Pattern, endpoint: EndpointId) {
        if !pattern.is_literal() {
            self.wildcard.remove(pattern, |other| other.id() == endpoint);
            return;
        }
        let shard = self.shard_of(pattern.as_str());
        let Some(shard) = self.exact.get_mut(shard).map(Arc::make_mut) else {
            return;
        };
        if let Some(endpoints) = shard.get_mut(pattern.as_str()) {
            endpoints.retain(|other| other.id() != endpoint);
            if endpoints.is_empty() {
                shard.remove(pattern.as_str());
            }
        }
    }

    fn shard_of(&self, event_type: &str) -> usize {
        // The map hashes once more with its own keys; the top bits here are enough to spread.
        (self.hasher.hash_one(event_type) >> 58) as usize % SHARDS
    }
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
