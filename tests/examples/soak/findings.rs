//! What went wrong: each kind once, with how often.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How many kinds are kept; what is said in so many ways is said well enough.
const KINDS: usize = 50;

/// What went wrong so far.
#[derive(Default)]
pub(crate) struct Findings(Mutex<BTreeMap<String, u64>>);

impl Findings {
    /// Notes something that must not be; the first of its kind is told at once.
    pub(crate) fn add(&self, what: impl Into<String>) {
        let what = what.into();
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = kinds.get_mut(&what) {
            *count += 1;
        } else if kinds.len() < KINDS {
            eprintln!("WRONG: {what}");
            kinds.insert(what, 1);
        }
    }

    /// Notes it unless all is well.
    pub(crate) fn check(&self, well: bool, what: impl FnOnce() -> String) {
        if !well {
            self.add(what());
        }
    }

    /// All, a line each.
    pub(crate) fn all(&self) -> Vec<String> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds
            .iter()
            .map(|(what, count)| {
                if *count == 1 {
                    what.clone()
                } else {
                    format!("{what} ({count} times)")
                }
            })
            .collect()
    }
}
