//! A publisher that waits less long than a plugin may take: what is ended for it says so, and costs the plugin no more than
//! an instance. What that means to its quarantine is in `plugins/quarantine_deadlines.rs`.

use palisade::{Class, DeadlineOf, HandlerSpec, LimitKind, Outcome, PluginSpec, Runtime};
use palisade_tests::{config, event, hostile};
use serde_json::{Value, json};

use super::beside::{Beside, SHORT, sin_event};
use super::ledger::{Books, Mood, Watched, ledger};

/// The words of what was ended for its publisher, which have no key of the plugin's in them.
fn told(outcome: Option<&Outcome>, class: Class) -> String {
    let outcome = outcome.expect("it was tried");
    assert_eq!((outcome.class, outcome.limit()), (class, None), "{}", outcome.message());
    let fault = outcome.fault.as_ref().expect("it failed");
    assert_eq!(fault.deadline_of(), Some(DeadlineOf::Publisher));
    fault.message().to_owned()
}

/// The sinner, whose handler has less time than its other calls.
fn hurried_handler() -> PluginSpec {
    let mut own = HandlerSpec::default();
    own.timeout = Some(SHORT);
    let mut spec = hostile();
    spec.handlers.insert("sin".to_owned(), own);
    spec
}

/// B3, H15: who waited for a free instance until a deadline is told whose it was; what helps against it, where that is
/// something to configure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_h15_a_busy_instance_is_told_by_whose_deadline() {
    let sleeps_in_health = hurried_handler().config(config(json!({ "in-health": "sleep" })));
    let beside = Beside::new(sleeps_in_health).await;
    let runtime = beside.runtime.clone();
    let sleeps = tokio::spawn(async move { runtime.plugin_health("hostile").await });
    while !beside.runtime.plugin("hostile").unwrap().instance_memory.is_empty() {
        tokio::task::yield_now().await;
    }
    let ok = sin_event("hostile.ok", Value::Null);
    let hurried = beside.runtime.publish_within(ok, SHORT / 5).await.unwrap();
    assert_eq!(
        told(hurried.of("hostile/sin"), Class::Overloaded),
        "hostile had no free instance until the publisher's deadline"
    );
    let outcome = beside.sin("hostile.ok", Value::Null).await;
    assert_eq!(
        (outcome.class, outcome.message()),
        (
            Class::Overloaded,
            "hostile had no free instance until its deadline (plugin.concurrency)"
        )
    );
    assert_eq!(outcome.fault.unwrap().deadline_of(), Some(DeadlineOf::Handler));
    sleeps.abort();
    assert!(sleeps.await.unwrap_err().is_cancelled());
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S1, S2: a handler with less time than its plugin is told of its own limit, and not of the plugin's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_handlers_own_timeout_is_told_by_its_own_key() {
    let outcome = Beside::new(hurried_handler())
        .await
        .sin("hostile.spin", Value::Null)
        .await;
    assert_eq!(
        (outcome.class, outcome.limit()),
        (Class::Timeout, Some(LimitKind::HandlerTimeout))
    );
    assert_eq!(
        outcome.message(),
        "hostile did not end handle by its deadline and was stopped; its limit is 250ms (plugin.handler.NAME.timeout)"
    );
}

/// B3, S12: a call that the publisher's deadline ends while the store is at its writes says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_s12_a_commit_that_a_publisher_does_not_wait_for() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), ledger()).await;
    store.set(Mood::Hanging);
    let writes = event("ledger.do", json!([{ "set": ["a", ""] }]));
    let report = books.runtime.publish_within(writes, SHORT).await.unwrap();
    assert_eq!(
        told(report.of("ledger/do"), Class::Timeout),
        "ledger did not end handle by the publisher's deadline and was stopped"
    );
    store.set(Mood::Well);
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}
