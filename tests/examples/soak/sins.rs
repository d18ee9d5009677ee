//! The sins, how each may end, and the tasks that publish them.

use std::sync::Arc;

use palisade::{Class, Event, Outcome, Report};
use palisade_tests::event;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::plugins::HOSTILE;
use crate::soak::Soak;

/// One sin: its name, its data (`null` is none), and the class that explains its end. `timeout`, `overloaded` and, where
/// fuel is metered, `out-of-fuel` explain the end of any.
pub(crate) struct Sin {
    name: &'static str,
    data: fn() -> Value,
    ends: &'static [Class],
}

impl Sin {
    const fn new(name: &'static str, data: fn() -> Value, ends: &'static [Class]) -> Self {
        Self { name, data, ends }
    }

    /// The type of the event that asks for it.
    pub(crate) fn event_type(&self) -> String {
        format!("hostile.{}", self.name)
    }

    fn event(&self) -> Event {
        match (self.data)() {
            Value::Null => Event::builder(self.event_type(), "/soak").build().expect("an event"),
            data => event(&self.event_type(), data),
        }
    }

    fn explains(&self, outcome: &Outcome, metered: bool) -> bool {
        let class = outcome.class;
        let always = matches!(class, Class::Timeout | Class::Overloaded);
        always || self.ends.contains(&class) || (metered && class == Class::OutOfFuel)
    }
}

const NONE: fn() -> Value = || Value::Null;
const FINE: &[Class] = &[Class::Ok];

/// What all hostile plugins are asked for at once.
pub(crate) const FAN_OUT: &[Sin] = &[
    Sin::new("ok", NONE, FINE),
    Sin::new("count", NONE, FINE),
    Sin::new("fail-retry", NONE, &[Class::Retry]),
    Sin::new("fail-reject", NONE, &[Class::Rejected]),
    Sin::new("flaky", || json!(2), &[Class::Retry, Class::Ok]),
    Sin::new("big-answer", || json!(10), &[Class::HostLimit]),
    Sin::new("trap", NONE, &[Class::Trap]),
    Sin::new("panic", || json!("on request"), &[Class::Trap]),
    Sin::new("exit", NONE, &[Class::Trap]),
    Sin::new("spin", NONE, &[]),
    Sin::new("sleep", NONE, &[]),
    Sin::new("alloc", NONE, &[Class::OutOfMemory]),
    Sin::new("grow", NONE, FINE),
    Sin::new("fill", || json!(4), &[]),
    Sin::new("recurse", NONE, &[Class::StackOverflow]),
    Sin::new("brim", NONE, &[Class::StackOverflow]),
    Sin::new("flood-log", || json!(2_000), FINE),
    Sin::new("flood-stdout", || json!(2_000), FINE),
    Sin::new("flood-stderr", || json!(2_000), FINE),
    Sin::new("long-line", || json!(1), FINE),
    Sin::new("empty-writes", || json!(1_000), FINE),
    Sin::new("ansi", NONE, FINE),
    Sin::new("publish", || json!({ "type": "hostile.drop", "data": 1 }), FINE),
    Sin::new("flood", NONE, FINE),
    Sin::new("big-publish", || json!(2), FINE),
    Sin::new("big-list", || json!(1_000), FINE),
    Sin::new("forge", NONE, FINE),
    Sin::new("reserved", NONE, FINE),
    Sin::new("subscribe", || json!("healthy.>"), FINE),
    Sin::new("flood-subscribe", || json!(300), FINE),
    Sin::new("unsubscribe", || json!("hostile.extra.7"), FINE),
    Sin::new("big-random", NONE, &[Class::HostLimit]),
    Sin::new("handles", NONE, &[Class::HostLimit]),
    Sin::new("env", NONE, FINE),
    Sin::new("net", NONE, FINE),
];

/// What begins an endless loop of publishes; one plugin only has these.
pub(crate) const LOOPS: &[&str] = &["hostile.cycle", "hostile.ping", "hostile.pong", "hostile.extra.*"];

/// A task that asks for one sin after another, and looks at how each ended.
pub(crate) async fn direct(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line(format!("sinner {task}")));
    while !soak.is_over() {
        let sin = chance.one_of(FAN_OUT);
        line.now_at(sin.name);
        soak.tally.hostile();
        match soak.runtime.publish(sin.event()).await {
            Ok(report) => judge(&soak, sin, &report),
            Err(error) => soak
                .findings
                .add(format!("hostile.{} was not published: {error}", sin.name)),
        }
        chance.pause(2).await;
    }
    line.now_at("ended");
}

/// A task that does so by the queues, with the loops among it.
pub(crate) async fn queued(soak: Arc<Soak>, task: usize) {
    let (mut chance, line) = (soak.chance(task), soak.board.line(format!("sinner {task}, queued")));
    while !soak.is_over() {
        let event = any(&mut chance);
        line.now_at("publish_async of a sin");
        soak.tally.hostile();
        match soak.runtime.publish_async(event).await {
            Ok(receipt) => soak
                .findings
                .check(receipt.matched == receipt.enqueued + receipt.refused.len(), || {
                    format!("a receipt that does not add up: {receipt:?}")
                }),
            Err(error) => soak.findings.add(format!("a sin was not queued: {error}")),
        }
        line.now_at("pause");
        chance.pause(100).await;
    }
    line.now_at("ended");
}

fn any(chance: &mut Chance) -> Event {
    if chance.below(10) == 0 {
        let event_type = *chance.one_of(&["hostile.cycle", "hostile.ping"]);
        return Event::builder(event_type, "/soak").build().expect("an event");
    }
    chance.one_of(FAN_OUT).event()
}

fn judge(soak: &Soak, sin: &Sin, report: &Report) {
    for outcome in &report.outcomes {
        let handler = outcome.handler.to_string();
        let hostile = HOSTILE
            .iter()
            .find(|(name, _, _)| outcome.handler.plugin() == Some(name));
        let explained = match hostile {
            Some((_, _, metered)) => sin.explains(outcome, *metered),
            // Somebody else on the same events: steady, a native one, another task's plugin that comes and goes.
            None => match outcome.class {
                Class::Ok => true,
                class => {
                    !is_steady(&handler) && matches!(class, Class::Unavailable | Class::Overloaded | Class::Timeout)
                }
            },
        };
        soak.findings.check(explained, || {
            format!(
                "hostile.{} ended as {} for {handler}: {}",
                sin.name,
                outcome.class,
                outcome.message()
            )
        });
    }
    let served = report
        .outcomes
        .iter()
        .any(|outcome| is_steady(&outcome.handler.to_string()));
    soak.findings
        .check(served, || format!("steady did not get hostile.{}", sin.name));
}

fn is_steady(handler: &str) -> bool {
    handler == "steady/all"
}
