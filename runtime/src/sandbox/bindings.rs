//! The generated side of the contract, and nothing else knows it: conversions to and from the domain's types.

use std::time::Duration;

use crate::draft::Draft;
use crate::event::Event;
use crate::handler::Fault;
use crate::outcome::Class;
use crate::plugin::{HandlerInfo, Ordering, PluginInfo};
use crate::sandbox::log::printable;
use crate::terminal::is_unsafe_to_show;

mod generated {
    #![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package palisade:host;
            world host {
                include palisade:plugin/event-plugin@0.1.0;
                export palisade:plugin/filter@0.1.0;
                import wasi:keyvalue/store@0.2.0-draft2;
            }
        ",
        world: "palisade:host/host",
        imports: { "wasi:keyvalue/store@0.2.0-draft2": async | trappable, default: trappable },
        exports: { default: async },
        with: { "wasi:keyvalue/store@0.2.0-draft2.bucket": crate::sandbox::keyvalue::Bucket },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(super) use generated::exports::palisade::plugin::{filter, handler, plugin};
pub(super) use generated::palisade::plugin::{bus, context, types};
pub(super) use generated::wasi::keyvalue::store as keyvalue;
pub(super) use generated::wasi::logging::logging;

/// The longest error text of a guest that is kept; what is longer is cut.
pub(super) const MAX_TEXT: usize = 8 * 1024;

/// Borrows an event for lowering; nothing is copied but into the guest.
#[inline]
pub(super) fn lower(event: &Event) -> types::Event<'_> {
    types::Event {
        id: event.id(),
        type_: event.event_type(),
        source: event.source(),
        time: event.timestamp_nanos(),
        data: event.data(),
    }
}

/// A guest's draft, as it came.
pub(super) fn lift_draft(draft: bus::Draft) -> Draft {
    let mut lifted = Draft::new(draft.type_).with_data(draft.data);
    if let Some(content_type) = draft.content_type {
        lifted = lifted.with_content_type(content_type);
    }
    draft
        .metadata
        .into_iter()
        .fold(lifted, |lifted, (name, value)| lifted.with_metadata(name, value))
}

/// What the guest said of its failure; `shown` takes out what must not be shown.
pub(super) fn lift_failure(failure: handler::Failure, shown: impl Fn(&str) -> String) -> Fault {
    match failure {
        handler::Failure::Retry((message, after)) => {
            let after = after.map(|ms| Duration::from_millis(u64::from(ms)));
            Fault::new(Class::Retry, shown(&message)).with_retry_after(after)
        }
        handler::Failure::Reject(message) => Fault::new(Class::Rejected, shown(&message)),
    }
}

/// What the guest says it is; checked by the caller.
pub(super) fn lift_info(info: plugin::Info) -> PluginInfo {
    PluginInfo {
        name: info.name,
        version: cut(info.version),
        description: cut(info.description),
        dependencies: info.dependencies,
        handlers: info.handlers.into_iter().map(lift_handler).collect(),
    }
}

fn lift_handler(info: plugin::HandlerInfo) -> HandlerInfo {
    HandlerInfo {
        name: info.name,
        patterns: info.patterns,
        timeout: info.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        ordering: match info.ordering {
            plugin::Ordering::None => Ordering::None,
            plugin::Ordering::Key(key) => Ordering::Key(key),
            plugin::Ordering::Strict => Ordering::Strict,
        },
    }
}

/// A guest's text, safe to show and cut to what is worth keeping.
pub(super) fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT && !text.contains(is_unsafe_to_show) {
        return text;
    }
    printable(&text, MAX_TEXT)
}
