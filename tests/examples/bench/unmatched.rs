//! T4: `publish` of what nobody is subscribed to, beside many who are subscribed to something else.

use anyhow::{Result, ensure};
use palisade::{Event, Runtime, SubscribeOptions};

use crate::arguments::Arguments;
use crate::ours;
use crate::report::Row;
use crate::turns::{alone, each_of};

const WHAT: &str = "publish that matches nothing, 10,000 subscriptions";
const CALLS: u32 = 20_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let beside = Beside::new(10_000, Patterns::Both)?;
    let value = alone(arguments.rounds(201, 51), async || beside.cost().await).await?;
    Ok(Row::absolute("T4", WHAT, "ns", value, 200.0))
}

/// What others are subscribed to: every shape that looks like the type and does not match it.
#[derive(Clone, Copy)]
pub(crate) enum Patterns {
    Literals,
    Wildcards,
    /// One after the other.
    Both,
}

/// A runtime with so many subscriptions, and an event for none of them.
pub(crate) struct Beside {
    runtime: Runtime,
    event: Event,
}

impl Beside {
    pub(crate) fn new(subscriptions: u32, patterns: Patterns) -> Result<Self> {
        let runtime = ours::builder(1).build()?;
        subscribe(
            &runtime,
            (0..subscriptions).map(|number| patterns.pattern(number)).collect(),
        )?;
        let event = ours::typed("bench.area-7.nobody", 1024)?;
        Ok(Self { runtime, event })
    }

    /// The nanoseconds of a publish.
    pub(crate) async fn cost(&self) -> Result<f64> {
        each_of(ours::handles(&self.event, CALLS), async |event| {
            let report = self.runtime.publish(event).await?;
            ensure!(report.outcomes.is_empty(), "somebody got it: {report:?}");
            Ok(())
        })
        .await
    }
}

/// A hundred patterns a handler.
fn subscribe(runtime: &Runtime, patterns: Vec<String>) -> Result<()> {
    for (number, patterns) in patterns.chunks(100).enumerate() {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let nothing = |_| std::future::ready(Ok(()));
        let name = format!("native-{number}");
        runtime.subscribe_with(&patterns, &name, SubscribeOptions::default(), nothing)?;
    }
    Ok(())
}

impl Patterns {
    fn pattern(self, number: u32) -> String {
        match (self, number % 2) {
            (Patterns::Literals, _) | (Patterns::Both, 0) => format!("bench.area-{number}.literal"),
            _ => wildcard(number),
        }
    }
}

fn wildcard(number: u32) -> String {
    match number % 3 {
        0 => format!("bench.area-7.some.*.n{number}"),
        1 => format!("*.*.n{number}"),
        // Not the area of the type.
        _ => format!("bench.other-{number}.>"),
    }
}
