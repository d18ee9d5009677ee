//! T4: `publish` of what nobody is subscribed to, beside many who are subscribed to something else.

use anyhow::{Result, ensure};
use palisade::{Runtime, SubscribeOptions};

use crate::arguments::Arguments;
use crate::ours;
use crate::report::Row;
use crate::turns::{alone, each_of};

const WHAT: &str = "publish that matches nothing, 10,000 subscriptions";
const CALLS: u32 = 20_000;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let value = cost(arguments, 10_000).await?;
    Ok(Row::absolute("T4", WHAT, "ns", value, 200.0))
}

/// The nanoseconds of one such publish beside so many subscriptions, half of them literal.
pub(crate) async fn cost(arguments: &Arguments, subscriptions: u32) -> Result<f64> {
    let runtime = ours::builder(1).build()?;
    subscribe(&runtime, subscriptions)?;
    let event = ours::typed("bench.area-7.nobody", 1024)?;
    let publish = async |event| {
        let report = runtime.publish(event).await?;
        ensure!(report.outcomes.is_empty(), "somebody got it: {report:?}");
        Ok(())
    };
    let round = async || each_of(ours::handles(&event, CALLS), publish).await;
    alone(arguments.rounds(201, 51), round).await
}

/// A hundred patterns a handler, of every shape that looks like the type and does not match it.
fn subscribe(runtime: &Runtime, subscriptions: u32) -> Result<()> {
    let patterns: Vec<String> = (0..subscriptions).map(pattern).collect();
    for (number, patterns) in patterns.chunks(100).enumerate() {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let nothing = |_| std::future::ready(Ok(()));
        runtime.subscribe_with(
            &patterns,
            &format!("native-{number}"),
            SubscribeOptions::default(),
            nothing,
        )?;
    }
    Ok(())
}

fn pattern(number: u32) -> String {
    match number % 6 {
        0 | 2 | 4 => format!("bench.area-{number}.literal"),
        1 => format!("bench.area-7.some.*.n{number}"),
        3 => format!("*.*.n{number}"),
        _ => format!("bench.area-{number}.>"),
    }
}
