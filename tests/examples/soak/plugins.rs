//! Who takes part: the healthy plugins and the hostile ones.

use std::time::Duration;

use palisade::{FilterOptions, Grants, HandlerSpec, Isolation, Overflow, PluginSpec, QueuePolicy, RetryPolicy};
use palisade_tests::{config, limits, publishes, spec};
use serde_json::json;

use crate::sins::{FAN_OUT, LOOPS};

/// How long a hostile plugin may take for an event: short, so that kills are many.
const SHORT: Duration = Duration::from_millis(20);
/// And for `describe`, `start` and `stop`: on a busy machine a decent one needs some of it.
const LIFE: Duration = Duration::from_millis(500);

/// The hostile plugins: name, whether each event gets a fresh instance, whether fuel is metered.
pub(crate) const HOSTILE: [(&str, bool, bool); 4] = [
    ("bad", false, false),
    ("bad-fresh", true, false),
    ("bad-metered", false, true),
    ("bad-metered-fresh", true, true),
];

/// The healthy plugins, all of which take part from begin to end.
pub(crate) fn healthy() -> Vec<PluginSpec> {
    let logins = json!({ "window": "5s", "threshold": 3 });
    let patient = FilterOptions::default().timeout(Duration::from_secs(30));
    vec![
        spec("probe").name("steady").concurrency(2),
        // The hostile guest has good sides: it can report what it was given.
        spec("hostile")
            .name("scribe")
            .grants(subscribed(publishes("hostile.report"), &["hostile.context"])),
        spec("auth-enhancer").config(config(logins)).grants(publishes("auth.>")),
        spec("no-secrets").concurrency(2).filter(patient),
    ]
}

/// Whether a handler must get everything that is sent to it.
pub(crate) fn must_get_all(handler: &str) -> bool {
    ["scribe/sin", "auth-enhancer/logins", "reports", "alerts"].contains(&handler)
}

/// All hostile plugins.
pub(crate) fn hostile() -> Vec<PluginSpec> {
    HOSTILE
        .iter()
        .map(|(name, fresh, metered)| {
            // What comes back to those who publish it goes to one of them only: with each more the loop would not
            // go round but grow by that factor, sixteen times.
            let loops = if *name == "bad" { LOOPS } else { &[] };
            let names: Vec<_> = FAN_OUT.iter().map(|sin| sin.event_type()).collect();
            let names: Vec<_> = names.iter().map(String::as_str).chain(loops.iter().copied()).collect();
            sinner(name, *fresh, *metered).grants(subscribed(publishes("hostile.>"), &names))
        })
        .collect()
}

/// One hostile plugin with short limits, on nothing but `hostile.ok`. Every spec of one is made here.
pub(crate) fn sinner(name: &str, fresh: bool, metered: bool) -> PluginSpec {
    let limits = limits(|limits| {
        limits.timeout = LIFE;
        limits.memory = 32 * 1024 * 1024;
        limits.fuel = metered.then_some(20_000_000);
    });
    let mut hurried = HandlerSpec::default();
    hurried.timeout = Some(SHORT);
    let mut queue = QueuePolicy::default();
    (queue.events, queue.overflow) = (64, Overflow::Reject);
    let mut retry = RetryPolicy::default();
    (retry.attempts, retry.base, retry.cap) = (2, Duration::from_millis(50), Duration::from_millis(100));
    let isolation = if fresh {
        Isolation::PerEvent
    } else {
        Isolation::Persistent
    };
    spec("hostile")
        .name(name)
        .isolation(isolation)
        .concurrency(2)
        .limits(limits)
        .handler("sin", hurried)
        .quarantine(None)
        .queue(queue)
        .retry(retry)
        .grants(subscribed(publishes("hostile.>"), &["hostile.ok"]))
}

fn subscribed(grants: Grants, patterns: &[&str]) -> Grants {
    grants.subscribe(patterns.iter().map(|pattern| pattern.parse().expect("a pattern")))
}
