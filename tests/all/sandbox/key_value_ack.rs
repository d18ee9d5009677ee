//! A plugin's writes to its key-value store are kept with the acknowledgement of the call, and not before.

use std::time::Duration;

use palisade::{Class, Health, Isolation, PluginError, PluginSpec, RetryPolicy, Runtime};
use palisade_tests::{config, event, limits};
use serde_json::{Value, json};

use super::beside::SHORT;
use super::ledger::{Books, Mood, Watched, ledger, tell};

/// The ledger with a short deadline and retries at once.
fn retried() -> PluginSpec {
    let mut retry = RetryPolicy::default();
    (retry.attempts, retry.base, retry.cap) = (5, Duration::from_millis(1), Duration::from_millis(1));
    let mut spec = ledger().limits(limits(|limits| limits.timeout = SHORT));
    spec.retry = retry;
    // Six of its failures are on purpose.
    spec.quarantine = None;
    spec
}

/// S12, H27: a handler that counts and then fails, traps or runs out of time, and is tried again, counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_h27_a_retry_never_counts_twice() {
    let books = Books::new(retried()).await;
    for (place, end) in ["retry", "trap", "spin", "sleep"].into_iter().enumerate() {
        let ops = json!([{ "count": "a" }, { "end-before": [3, end] }]);
        let receipt = books.runtime.publish_async(event("ledger.do", ops)).await.unwrap();
        assert!(receipt.refused.is_empty(), "{receipt:?}");
        let reports = books.reports_of("handle").await;
        assert_eq!(reports.len(), place + 1, "{end}");
        assert_eq!(reports[place][0]["ok"], json!(place + 1), "{end}");
    }
}

/// S12: nothing of a call that is rejected is kept, nor what it removed gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_what_a_failed_call_wrote_and_removed_is_forgotten() {
    let books = Books::new(retried()).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    for (end, class) in [
        ("reject", Class::Rejected),
        ("retry", Class::Retry),
        ("trap", Class::Trap),
        ("sleep", Class::Timeout),
    ] {
        let ops = json!([{ "delete": "a" }, { "set": ["b", ""] }, { "end": end }]);
        books.fails(ops, class).await;
        let left = books.does(json!([{ "get": "a" }, { "exists": "b" }])).await;
        assert_eq!(json!(left), json!([{ "ok": "kept" }, { "ok": false }]), "{end}");
    }
}

/// S12, H30: neither is what a call wrote whose publisher went away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_h30_what_a_dropped_call_wrote_is_forgotten() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), ledger()).await;
    let runtime = books.runtime.clone();
    let dropped =
        tokio::spawn(async move { tell(&runtime, json!([{ "set": ["a", ""] }, { "until": "never" }])).await });
    store.asked_for("never").await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}

/// S12: two instances share the store: each sees what the other has committed, and nothing that it has not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_two_instances_see_what_is_committed() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), ledger().concurrency(2)).await;
    let runtime = books.runtime.clone();
    let ops = json!([{ "set": ["mine", "1"] }, { "get": "yours" }, { "until": "go" }, { "get": "yours" }]);
    let waiting = tokio::spawn(async move { tell(&runtime, ops).await });
    store.asked_for("go").await;
    let other = books
        .tell(json!([{ "exists": "mine" }, { "set": ["yours", "2"] }, { "set": ["go", ""] }]))
        .await;
    assert_eq!((other.class, waiting.await.unwrap().class), (Class::Ok, Class::Ok));
    let mut reports = books.reports_of("handle").await;
    reports.sort_by_key(Vec::len);
    let [other, waited] = reports.try_into().unwrap();
    assert_eq!(other[0]["ok"], json!(false), "not committed yet");
    assert_eq!((&waited[1]["ok"], &waited[3]["ok"]), (&Value::Null, &json!("2")));
    assert_eq!(books.ok(json!({ "get": "mine" })).await, json!("1"));
}

/// S12, H27: two instances don't exceed the caps together: the later one's call fails, and publishes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_h27_two_instances_dont_exceed_the_caps_together() {
    let store = Watched::new();
    let spec = ledger()
        .concurrency(2)
        .limits(limits(|limits| limits.key_value_keys = 10));
    let books = Books::with(Runtime::builder().key_value(store.clone()), spec).await;
    let runtime = books.runtime.clone();
    let ops = json!([{ "fill": ["a", 0, 6, 1] }, { "until": "go" }]);
    let late = tokio::spawn(async move { tell(&runtime, ops).await });
    store.asked_for("go").await;
    let filled = books
        .does(json!([{ "fill": ["b", 0, 5, 1] }, { "set": ["go", ""] }]))
        .await;
    assert_eq!(filled[0]["ok"], json!({ "done": 5, "error": null }));
    let outcome = late.await.unwrap();
    assert_eq!(outcome.class, Class::HostLimit, "{}", outcome.message());
    assert_eq!(
        outcome.message(),
        "what ledger wrote to its key-value store is not kept: the key-value store may have 10 keys \
         (plugin.limits.key-value-keys)"
    );
    assert_eq!(books.reports_of("handle").await.len(), 1, "its outbox is forgotten");
    assert_eq!(
        books.ok(json!("list-all")).await["pages"],
        json!([6]),
        "none of its six"
    );
}

/// S12: with an instance for each event, what `start` writes is kept with the event, and not if that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_per_event_instances_write_start_and_event_together() {
    let spec = ledger()
        .isolation(Isolation::PerEvent)
        .config(config(json!({ "in-start": [{ "count": "starts" }] })));
    let books = Books::new(spec).await;
    let count = json!([{ "count": "events" }, { "get": "starts" }]);
    assert_eq!(
        json!(books.does(count.clone()).await),
        json!([{ "ok": 1 }, { "ok": "1" }])
    );
    for (end, class) in [("retry", Class::Retry), ("trap", Class::Trap)] {
        books.fails(json!([{ "count": "events" }, { "end": end }]), class).await;
    }
    assert_eq!(json!(books.does(count).await), json!([{ "ok": 2 }, { "ok": "2" }]));
}

/// S12: `start` and `stop` may write; what a `start` that fails wrote is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_start_and_stop_write_when_they_return_ok() {
    let life = json!({ "in-start": [{ "count": "starts" }], "in-stop": [{ "count": "stops" }, { "get": "starts" }] });
    let books = Books::new(ledger().config(config(life))).await;
    books.runtime.stop("ledger").await.unwrap();
    assert_eq!(
        books.reports_of("stop").await,
        [[json!({ "ok": 1 }), json!({ "ok": "1" })]]
    );
    let failing = json!({ "in-start": [{ "count": "starts" }, { "end": "reject" }] });
    books.runtime.reconfigure("ledger", config(failing)).await.unwrap();
    let error = books.runtime.start("ledger").await.unwrap_err();
    assert!(matches!(error, PluginError::Start { .. }), "{error}");
    books.runtime.reconfigure("ledger", config(json!({}))).await.unwrap();
    books.runtime.start("ledger").await.unwrap();
    let left = books.does(json!([{ "get": "starts" }, { "get": "stops" }])).await;
    assert_eq!(json!(left), json!([{ "ok": "1" }, { "ok": "1" }]));
}

/// S12: `health` may read and not write, and is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_health_may_read_and_not_write() {
    let ops = json!([{ "get": "a" }, { "set": ["a", "2"] }, { "delete": "a" }, "list-all"]);
    let books = Books::new(ledger().config(config(json!({ "in-health": ops })))).await;
    books.ok(json!({ "set": ["a", "1"] })).await;
    let Health::Unhealthy(told) = books.runtime.plugin_health("ledger").await.unwrap() else {
        panic!("it tells by an error");
    };
    let answers: Value = serde_json::from_str(&told).unwrap();
    let words = "key-value store: health may not write to the key-value store";
    assert_eq!(
        (
            &answers[0]["ok"],
            &answers[1]["error"],
            &answers[2]["error"],
            &answers[3]["ok"]["pages"]
        ),
        (&json!("1"), &json!(words), &json!(words), &json!([1]))
    );
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("1"));
}

/// S12: `describe` sees an empty store and an empty config, and may not write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_describe_sees_nothing_and_may_not_write() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "set": ["kept", "1"] })).await;
    let inspected = books
        .runtime
        .inspect(ledger().config(config(json!({ "a": "b" }))))
        .await
        .unwrap();
    let answers: Value = serde_json::from_str(&inspected.info.description).unwrap();
    let words = "key-value store: describe may not write to the key-value store";
    assert_eq!(answers, json!([{ "error": words }, { "ok": null }, { "ok": {} }]));
}

/// S12, S9: a store that fails, hangs or panics fails the call that meets it, typed, and nothing is kept of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_s9_a_commit_that_fails_fails_its_call() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), retried()).await;
    for (mood, class, words) in [
        (Mood::Failing, Class::Unavailable, "the disk is gone"),
        (Mood::Panicking, Class::HostPanic, "a store that panics"),
        (Mood::Hanging, Class::Unavailable, "it did not answer in time"),
    ] {
        store.set(mood);
        let told = books.fails(json!([{ "set": ["a", ""] }]), class).await;
        assert!(told.contains(words), "{told}");
        store.set(Mood::Well);
        assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false), "{mood:?}");
    }
    let told = books.fails(json!([{ "get": "panic" }]), Class::HostPanic).await;
    assert!(told.contains("a store that panics"), "{told}");
}
