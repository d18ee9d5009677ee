//! `data-dir`, and `[store]` with what is kept there.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::document::Document;
use super::error::ConfigProblem;
use super::events::EventsTable;
use super::value::{Count, HostPath, Parsed, Size, Time, Value};
use crate::store::StoreOptions;

/// A store that is smaller is a mistake.
const SMALLEST: u64 = 1024 * 1024;

/// `[store]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StoreTable {
    size: Option<Size<u64>>,
    dead_letters: Option<Count<usize, 1_000_000_000>>,
    dead_letter_age: Option<Time>,
    deduplication: Option<Time>,
}

/// The directory, if there is one; what would do nothing without it, or beside it, is a mistake.
pub(super) fn data_dir(
    path: Option<&Parsed<HostPath>>,
    store: Option<&Spanned<StoreTable>>,
    events: &EventsTable,
    document: &Document,
    problems: &mut Vec<ConfigProblem>,
) -> Option<PathBuf> {
    match (path, store) {
        (Some(_), store) => {
            if let Some(store) = store
                && store.get_ref().size.as_ref().is_some_and(|size| size.get() < SMALLEST)
            {
                let message = "a store of less than 1 MiB has no room for anything";
                problems.push(document.problem(&store.span(), "store.size", message));
            }
            for (key, place) in events.of_memory() {
                let message = format!(
                    "it is for dead letters in memory, and with data-dir they are on the disk: leave it out, and see store.{}",
                    if key == "dead-letters" { key } else { "size" }
                );
                problems.push(document.problem(&place, format!("events.{key}"), message));
            }
        }
        (None, Some(store)) => problems.push(document.problem(
            &store.span(),
            "store",
            "there is no store without data-dir: say in which directory it is, or leave this table out",
        )),
        (None, None) => {}
    }
    path.map(|path| document.path(&path.get().0))
}

impl StoreTable {
    pub(super) fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::default();
        if let Some(size) = &self.size {
            options.max_bytes = size.get();
        }
        if let Some(most) = &self.dead_letters {
            options.dead_letters = most.get();
        }
        if let Some(age) = &self.dead_letter_age {
            options.dead_letter_age = age.get();
        }
        if let Some(time) = &self.deduplication {
            options.deduplication = time.get();
        }
        options
    }
}
