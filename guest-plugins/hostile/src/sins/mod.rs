//! All there are, by concern.

mod bus;
pub(crate) mod fault;
mod host;
mod memory;
mod output;
mod plain;
mod subscriptions;
pub(crate) mod time;

pub(crate) use host::Hoard;

use palisade_sdk::prelude::*;

use crate::Hostile;

type Sin = fn(&mut Hostile, &Event, &Context<'_>) -> Result<(), Failure>;

/// Each sin's name. Every `hostile.NAME` has a test in the runtime's repository: `cargo xtask tidy` sees to it.
pub(crate) const SINS: &[(&str, Sin)] = &[
    ("ok", plain::ok),
    ("count", plain::count),
    ("context", plain::context),
    ("fail-retry", fault::fail_retry),
    ("fail-reject", fault::fail_reject),
    ("flaky", fault::flaky),
    ("big-answer", fault::big_answer),
    ("trap", fault::trap),
    ("panic", fault::panic),
    ("exit", fault::exit),
    ("spin", time::spin),
    ("sleep", time::sleep),
    ("alloc", memory::alloc),
    ("grow", memory::grow),
    ("remains", memory::remains),
    ("fill", memory::fill),
    ("recurse", memory::recurse),
    ("brim", memory::brim),
    ("flood-log", output::flood_log),
    ("flood-stdout", output::flood_stdout),
    ("flood-stderr", output::flood_stderr),
    ("long-line", output::long_line),
    ("endless-line", output::endless_line),
    ("empty-writes", output::empty_writes),
    ("ansi", output::ansi),
    ("blab", output::blab),
    ("publish", bus::publish),
    ("cycle", bus::cycle),
    ("ping", bus::ping),
    ("pong", bus::pong),
    ("flood", bus::flood),
    ("big-publish", bus::big_publish),
    ("big-list", bus::big_list),
    ("forge", bus::forge),
    ("reserved", bus::reserved),
    ("subscribe", subscriptions::subscribe),
    ("unsubscribe", subscriptions::unsubscribe),
    ("flood-subscribe", subscriptions::flood_subscribe),
    ("big-random", host::big_random),
    ("handles", host::handles),
    ("env", host::env),
    ("net", host::net),
    ("fs", host::fs),
    ("disk", host::disk),
];
