//! How late kills come: for the bench, and for what measures the neighbours, too.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use palisade::{Class, Event, Grants, HandlerSpec};

use crate::{hostile, publishes, runtime_with};

/// How long after its deadline each of so many kills came, of a guest that commits this sin and is never quarantined.
///
/// # Errors
/// When an attempt does not end as a timeout.
pub async fn late(sin: &str, kills: u32, deadline: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut short = HandlerSpec::default();
    short.timeout = Some(deadline);
    let hurried = hostile().handler("sin", short).grants(only(sin)).quarantine(None);
    let runtime = runtime_with([hurried]).await;
    let mut late = Vec::new();
    for _ in 0..kills {
        let event = Event::builder(sin, "/tests").build()?;
        let began = Instant::now();
        let report = runtime.publish(event).await?;
        let took = began.elapsed();
        let class = report.of("hostile/sin").context("it got the event")?.class;
        ensure!(class == Class::Timeout, "{sin} ended as {class}");
        late.push(took.saturating_sub(deadline));
    }
    Ok(late)
}

/// Grants for a hostile guest that is to get events of one type only.
pub fn only(event_type: &str) -> Grants {
    publishes("hostile.>").subscribe([event_type.parse().expect("a pattern")])
}
