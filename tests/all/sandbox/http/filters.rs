//! Filters and HTTP: a filter may ask the network as it starts, and never while an event waits for it.

use palisade::{
    Class, ComponentError, Disposition, FilterOptions, Grants, LoadError, LogLevel, OnFault, PluginError, PluginSpec,
    Runtime,
};
use palisade_tests::{config, event, limits, runtime, small_engine, spec};
use serde_json::{Value, json};

use super::server::Server;
use crate::sandbox::beside::{Lines, SHORT, neighbour, sin_event};

/// The filter that asks, with a grant of this server.
fn asking(at: &str) -> PluginSpec {
    let granted = Grants::default().http_private(format!("http://{at}"));
    spec("fetching-filter").grants(granted)
}

async fn filtered_by(filter: PluginSpec) -> (Runtime, Lines) {
    let lines = Lines::default();
    let builder = Runtime::builder().engine(small_engine()).log_sink(lines.clone());
    let runtime = builder.build().unwrap();
    runtime.launch(vec![filter, neighbour()]).await.unwrap();
    (runtime, lines)
}

/// An event that the filter lets pass unasked must come to the neighbour.
async fn serves(runtime: &Runtime) {
    let report = runtime.publish(sin_event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("neighbour/all").is_some(), "{report:?}");
}

/// S8, H42: a filter that imports `wasi:http` is refused without the grant, like a plugin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h42_a_filter_without_the_grant_is_refused_at_load() {
    let runtime = runtime();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let error = runtime.load(spec("fetching-filter")).await.unwrap_err();
    let refused = matches!(&error, LoadError::Component { source: ComponentError::NotGranted { interface, .. }, .. }
        if interface.starts_with("wasi:http/"));
    assert!(refused && error.to_string().contains("(plugin.grants.http)"), "{error}");
    serves(&runtime).await;
}

/// S8, H42: with the grant its requests are denied all the same while it judges an event, and nobody is asked. It goes on, and
/// what it says then is its verdict and no fault, whatever a fault would mean; the operator can read why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h42_a_filters_requests_are_denied_while_an_event_waits() {
    let server = Server::start().await;
    for on_fault in [OnFault::Reject, OnFault::Pass] {
        let options = FilterOptions::default().on_fault(on_fault);
        let (runtime, lines) = filtered_by(asking(&server.authority()).filter(options)).await;
        for _ in 0..10 {
            let report = runtime
                .publish(event("any.event", json!(server.authority())))
                .await
                .unwrap();
            assert!(
                matches!(&report.disposition, Disposition::Filtered { name, .. } if &**name == "fetching-filter"),
                "{report:?}"
            );
            assert!(report.outcomes.is_empty(), "{report:?}");
            serves(&runtime).await;
        }
        let lines = lines.take();
        let told = |level: LogLevel, words: &str| {
            let has = |line: &&_| matches!(line, super::super::beside::Line { level: of, message, .. } if *of == level && message.contains(words));
            lines.iter().filter(has).count()
        };
        assert_eq!(
            told(LogLevel::Info, "no answer: ErrorCode::HttpRequestDenied"),
            10,
            "{lines:?}"
        );
        assert_eq!(
            told(LogLevel::Warn, "accepts may not send HTTP requests"),
            10,
            "{lines:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

/// S8, H42, H43: as it starts it may ask what is granted, and is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h43_a_filter_may_ask_as_it_starts() {
    let server = Server::start().await;
    let settings = config(json!({ "in-start": server.authority() }));
    let (runtime, _) = filtered_by(asking(&server.authority()).config(settings)).await;
    server.until_open(0).await;
    assert_eq!(server.connections(), 1);
    serves(&runtime).await;
}

/// S2, H2, H43: where the answer never comes it does not start, by its deadline; the connection is closed, the others go on, and
/// with another config it starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_a_filter_that_waits_for_an_answer_in_start_ends_by_the_deadline() {
    let (server, silent) = (Server::start().await, Server::silent().await);
    let at = silent.authority();
    let runtime = runtime();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let waiting = asking(&at).config(config(json!({ "in-start": at })));
    let waiting = waiting.limits(limits(|limits| limits.timeout = SHORT));
    runtime.load(waiting).await.unwrap();
    let error = runtime.start("fetching-filter").await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Start { fault, .. } if fault.class() == Class::Timeout),
        "{error}"
    );
    silent.until_open(0).await;
    assert_eq!((silent.connections(), server.connections()), (1, 0));
    serves(&runtime).await;
    runtime.reconfigure("fetching-filter", config(json!({}))).await.unwrap();
    runtime.start("fetching-filter").await.unwrap();
    serves(&runtime).await;
}
