//! The components that are loaded now, each once: plugins of the same bytes share their machine code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::plugin::PluginInfo;
use crate::sandbox::component::Compiled;

/// What is shared by: the digest of the bytes that were read, and whether fuel is compiled in. Never a path, behind which
/// other bytes may be by now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    digest: String,
    metered: bool,
}

type Entries = Mutex<HashMap<Key, Weak<KnownComponent>>>;

/// The components of a runtime. Held weakly: one that no plugin has any more is gone, machine code and all.
#[derive(Default)]
pub(super) struct Known(Arc<Entries>);

/// What is found out about a component once, by whichever plugin asks first; those that ask meanwhile wait for the answer.
/// Nothing in here depends on a plugin's name, grants, limits or config. Lives as long as a plugin that has it.
pub(crate) struct KnownComponent {
    key: Key,
    home: Arc<Entries>,
    /// Held to look into the cache, so that only one does.
    looking: Mutex<()>,
    pub(super) compiled: OnceCell<Arc<Compiled>>,
    /// What its `describe` answered; nobody has held it against any limits yet.
    pub(super) described: OnceCell<Arc<PluginInfo>>,
    /// Set when nothing of it is left to be kept in the cache.
    pub(super) kept: OnceCell<()>,
}

impl Known {
    /// The component with this digest. What is not known of it yet, its cells will say.
    pub(super) fn component(&self, digest: &str, metered: bool) -> Arc<KnownComponent> {
        let key = Key {
            digest: digest.to_owned(),
            metered,
        };
        let mut entries = lock(&self.0);
        if let Some(known) = entries.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let known = Arc::new(KnownComponent {
            key: key.clone(),
            home: self.0.clone(),
            looking: Mutex::default(),
            compiled: OnceCell::new(),
            described: OnceCell::new(),
            kept: OnceCell::new(),
        });
        entries.insert(key, Arc::downgrade(&known));
        known
    }
}

impl KnownComponent {
    /// The right to look for it where it may be kept. Blocks while another does.
    pub(super) fn looking(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the cache had.
    pub(super) fn found(&self, compiled: Arc<Compiled>, info: PluginInfo) {
        // Where somebody compiles it at this moment, with a cache that had nothing yet, it is that one's.
        if self.compiled.set(compiled).is_ok() {
            let _ = self.described.set(Arc::new(info));
            let _ = self.kept.set(());
        }
    }
}

impl Drop for KnownComponent {
    fn drop(&mut self) {
        let mut entries = lock(&self.home);
        // Another of the same bytes may have taken its place since the last plugin let go of this one.
        if entries.get(&self.key).is_some_and(|entry| entry.strong_count() == 0) {
            entries.remove(&self.key);
        }
    }
}

fn lock(entries: &Entries) -> MutexGuard<'_, HashMap<Key, Weak<KnownComponent>>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S10: the same bytes for the same engine are one component, for as long as somebody has it.
    #[test]
    fn s10_a_component_is_known_while_somebody_has_it() {
        let known = Known::default();
        let (first, second) = (known.component("sha256:a", false), known.component("sha256:a", false));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &known.component("sha256:a", true)), "other code");
        assert!(!Arc::ptr_eq(&first, &known.component("sha256:b", false)), "other bytes");
        assert_eq!(lock(&known.0).len(), 1, "those that nobody kept are forgotten");
        drop(first);
        assert!(Arc::ptr_eq(&second, &known.component("sha256:a", false)));
        drop(second);
        assert!(lock(&known.0).is_empty());
    }
}
