use std::time::Duration;

use crate::{Context, Event, Failure};

/// One handler of a plugin: a method, and the events it is called for.
///
/// ```
/// # use palisade_sdk::prelude::*;
/// # struct Shop;
/// # impl Shop { fn bill(&mut self, _: &Event, _: &Context) -> Result<(), Failure> { Ok(()) } }
/// let timeout = Duration::from_secs(5);
/// let handler = Handler::new("bill", Shop::bill).on("order.*.paid").timeout(timeout).ordered_by("customer");
/// ```
pub struct Handler<P> {
    pub(crate) name: String,
    pub(crate) call: Call<P>,
    pub(crate) patterns: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) ordering: Ordering,
}

pub(crate) type Call<P> = fn(&mut P, &Event, &Context<'_>) -> Result<(), Failure>;

/// How events to one handler are ordered when a first attempt fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ordering {
    None,
    Key(String),
    Strict,
}

impl<P> Handler<P> {
    /// `name` is unique in the plugin: letters, digits, `-` and `_`, at most 64 bytes. What the host stores for a
    /// handler (queued events, dead letters) is stored under it, so keep it from version to version.
    pub fn new(name: impl Into<String>, call: fn(&mut P, &Event, &Context<'_>) -> Result<(), Failure>) -> Self {
        Self {
            name: name.into(),
            call,
            patterns: Vec::new(),
            timeout: None,
            ordering: Ordering::None,
        }
    }

    /// Adds a subject pattern: dot-separated tokens, `*` for one token, `>` at the end for one or more.
    pub fn on(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// The longest one call may take; a call that takes longer is killed with its instance. Counted in whole
    /// milliseconds, at least one and at most 49 days; the operator's ceiling if larger, the host's default if not
    /// given.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Events with the same value of this metadata key keep their order, across retries; others go on. Without it,
    /// first attempts come in publish order and retries come later. A runtime that can't keep this ordering (0.1.0 offers
    /// only none) refuses the plugin at load.
    pub fn ordered_by(mut self, metadata_key: impl Into<String>) -> Self {
        self.ordering = Ordering::Key(metadata_key.into());
        self
    }

    /// All events keep their order: a retried one holds its successors. A runtime that can't keep this ordering (0.1.0
    /// offers only none) refuses the plugin at load.
    pub fn strictly_ordered(mut self) -> Self {
        self.ordering = Ordering::Strict;
        self
    }
}
