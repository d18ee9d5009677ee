//! A persistent trie of subject patterns: which subscriptions does an event type match?
//!
//! It is kept in a snapshot that publishers read without a lock, so every change is made on a clone. A clone shares all its
//! nodes; a change copies only those on the pattern's path, and of a wide one only a part (see `children`).
//!
//! Its depth is that of its deepest pattern, at most 128 tokens in 256 bytes, so the recursion below is bounded by that,
//! whatever event types come along.

use std::sync::Arc;

use self::children::Children;
use crate::pattern::{Pattern, Token};

mod children;

/// Values by pattern. Cheap to clone; a pattern may have many values, in the order in which they were inserted.
#[derive(Clone)]
pub(crate) struct Trie<T> {
    root: Arc<Node<T>>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Arc::default() }
    }
}

impl<T: Clone> Trie<T> {
    /// Adds a value, whether the pattern has some already or not.
    pub(crate) fn insert(&mut self, pattern: &Pattern, value: T) {
        Arc::make_mut(&mut self.root).insert(pattern.tokens(), value);
    }

    /// Removes the pattern's values that are meant, and returns how many they were.
    pub(crate) fn remove(&mut self, pattern: &Pattern, is_meant: impl Fn(&T) -> bool) -> usize {
        // Looking first keeps a removal that finds nothing from copying the path.
        if !self.values(pattern).iter().any(&is_meant) {
            return 0;
        }
        Arc::make_mut(&mut self.root).remove(pattern.tokens(), &is_meant)
    }

    /// Calls `visit` with each value whose pattern matches this type, in no order that would mean anything.
    pub(crate) fn for_each_match(&self, event_type: &str, mut visit: impl FnMut(&T)) {
        self.root.for_each_match(event_type, &mut visit);
    }

    /// Whether it has no values, and so no nodes but the root: what tests ask after removals.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// The values of exactly this pattern.
    fn values(&self, pattern: &Pattern) -> &[T] {
        let mut node = &self.root;
        for token in pattern.tokens() {
            let child = match token {
                Token::Literal(token) => node.literals.get(token),
                Token::One => node.one.as_ref(),
                Token::Rest => return &node.rest,
            };
            let Some(child) = child else { return &[] };
            node = child;
        }
        &node.here
    }
}

/// What follows one prefix of tokens. But for the root, no node is empty.
#[derive(Clone)]
struct Node<T> {
    /// Values of the pattern that ends here.
    here: Vec<T>,
    /// Values of the pattern that goes on with `>`.
    rest: Vec<T>,
    /// Patterns that go on with `*`.
    one: Option<Arc<Node<T>>>,
    /// Patterns that go on with any other token.
    literals: Children<Node<T>>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            here: Vec::new(),
            rest: Vec::new(),
            one: None,
            literals: Children::default(),
        }
    }
}

impl<T: Clone> Node<T> {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = Token<'a>>, value: T) {
        match path.next() {
            None => self.here.push(value),
            Some(Token::Rest) => self.rest.push(value),
            Some(Token::One) => Arc::make_mut(self.one.get_or_insert_default()).insert(path, value),
            Some(Token::Literal(token)) => self.literals.upsert(token, |child| child.insert(path, value)),
        }
    }

    fn remove<'a>(&mut self, mut path: impl Iterator<Item = Token<'a>>, is_meant: &impl Fn(&T) -> bool) -> usize {
        match path.next() {
            None => remove_from(&mut self.here, is_meant),
            Some(Token::Rest) => remove_from(&mut self.rest, is_meant),
            Some(Token::One) => {
                let Some(child) = &mut self.one else { return 0 };
                let removed = Arc::make_mut(child).remove(path, is_meant);
                self.one.take_if(|child| child.is_empty());
                removed
            }
            Some(Token::Literal(token)) => {
                let Some(child) = self.literals.get_mut(token) else {
                    return 0;
                };
                let child = Arc::make_mut(child);
                let removed = child.remove(path, is_meant);
                if child.is_empty() {
                    self.literals.remove(token);
                }
                removed
            }
        }
    }

    fn for_each_match(&self, rest_of_type: &str, visit: &mut impl FnMut(&T)) {
        for value in &self.rest {
            visit(value);
        }
        if self.literals.is_empty() && self.one.is_none() {
            return;
        }
        let (token, rest) = first_token(rest_of_type);
        if let Some(child) = self.literals.get(token) {
            child.for_each_match_of(rest, visit);
        }
        if let Some(child) = &self.one {
            child.for_each_match_of(rest, visit);
        }
    }

    /// The same for what follows the token that led here, if anything does.
    fn for_each_match_of(&self, rest: Option<&str>, visit: &mut impl FnMut(&T)) {
        match rest {
            Some(rest) => self.for_each_match(rest, visit),
            None => self.here.iter().for_each(visit),
        }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.one.is_none() && self.literals.is_empty()
    }
}

/// The token that comes first, and what follows its dot. By bytes: a type is too short for a search to be worth its beginning.
fn first_token(event_type: &str) -> (&str, Option<&str>) {
    let dot = event_type.bytes().position(|byte| byte == b'.');
    let parts = dot.and_then(|dot| Some((event_type.get(..dot)?, event_type.get(dot + 1..)?)));
    parts.map_or((event_type, None), |(token, rest)| (token, Some(rest)))
}

fn remove_from<T>(values: &mut Vec<T>, is_meant: &impl Fn(&T) -> bool) -> usize {
    let before = values.len();
    values.retain(|value| !is_meant(value));
    before - values.len()
}

#[cfg(test)]
mod tests;
