//! Palisade in a program of your own: a native handler, a sandboxed plugin and a filter on one bus.
//!
//!     cargo xtask guests && cargo run --example embed --no-default-features
//!
//! The plugin watches failed logins, the filter keeps test traffic away from it, and the native handler prints the alert
//! that the plugin publishes.

use std::error::Error;
use std::time::Duration;

use palisade::{Disposition, Draft, Event, FilterOptions, Grants, PluginConfig, PluginSpec, Runtime};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().build()?;

    // A native handler: a closure. What it publishes goes the same way as what plugins publish.
    runtime.subscribe("auth.bruteforce", "pager", |cx| async move {
        println!(
            "alert from {}: {}",
            cx.event.source(),
            String::from_utf8_lossy(cx.event.data())
        );
        cx.publish(Draft::new("pager.called"))
            .map_err(|error| palisade::Failure::reject(error.to_string()))?;
        Ok(())
    })?;

    // A filter: decides once, before anyone sees the event.
    runtime.add_filter("no-test-traffic", FilterOptions::default(), |event: &Event| {
        event.source() != "/test"
    });

    // A plugin: may publish `auth.*` and nothing else; no files, no network, 64 MiB of memory.
    let plugin = PluginSpec::from_file("target/plugins/auth-enhancer.wasm")
        .config(PluginConfig::default().with("window", "60s").with("threshold", 3))
        .grants(Grants::default().publish(["auth.*".parse()?]));
    runtime.launch(vec![plugin]).await?;

    for attempt in 1..=3 {
        let event = Event::builder("user.login.failed", "/sshd")
            .json(&json!({ "ip": "192.0.2.7" }))
            .build()?;
        let report = runtime.publish(event).await?;
        for outcome in &report.outcomes {
            println!(
                "attempt {attempt}: {} {} in {:?}",
                outcome.handler, outcome.class, outcome.duration
            );
        }
    }
    let event = Event::builder("user.login.failed", "/test")
        .json(&json!({ "ip": "192.0.2.7" }))
        .build()?;
    let report = runtime.publish(event).await?;
    println!(
        "test traffic is filtered: {}",
        matches!(report.disposition, Disposition::Filtered { .. })
    );

    runtime.quiet().await;
    runtime.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
