//! What is owed from before a start.

use std::collections::BTreeSet;

use palisade::{Backlog, Runtime};

use crate::{moment, text};

/// Logs what each handler is owed, and what is owed to nobody who is there now (D9).
pub(crate) fn tell(backlogs: &[Backlog], runtime: &Runtime) {
    let stats = runtime.handler_stats().into_iter();
    let handlers: BTreeSet<_> = stats.map(|stats| stats.handler.to_string()).collect();
    for backlog in backlogs {
        let handler = text::printable(&backlog.handler);
        let (events, size) = (text::events(backlog.events), text::size(backlog.bytes));
        let oldest = moment::seconds(backlog.oldest);
        if handlers.contains(&backlog.handler) {
            tracing::info!("owed from before: {handler}: {events}, {size}, the oldest since {oldest}");
        } else {
            tracing::warn!(
                "owed to a handler that is gone: {handler}: {events}, {size}, the oldest since {oldest}; from {} on they \
                 become dead letters, `orphaned` (the retry.max-age that the handler had)",
                moment::seconds(backlog.expires)
            );
        }
    }
}
