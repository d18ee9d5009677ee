//! How long: the guest's own limits where it sets them, and the call's deadline in any case.

use palisade::{Class, Runtime};
use palisade_tests::{event, hostile};
use serde_json::{Value, json};

use super::server::Server;
use super::words::{Fetching, Names, fetcher, fetcher_of, get, limited, order};
use crate::sandbox::beside::{SHORT, only, sin_event, spun_meanwhile, until_busy};

/// S2, H43: a response that never comes, never ends, stalls or drips ends with the call's deadline, like everything that a guest
/// waits for; its connection is closed, and the next event is served by a fresh instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_a_slow_response_ends_by_the_deadline() {
    let server = Server::start().await;
    let at = server.authority();
    let hurried = limited(&at, |limits| {
        limits.timeout = SHORT;
        limits.http_response_bytes = u64::MAX;
    });
    let fetching = Fetching::new(hurried).await;
    for path in ["/silent", "/stalled", "/slow", "/endless"] {
        let outcome = fetching.outcome("fetch.order", get(&at, path)).await;
        assert_eq!(outcome.class, Class::Timeout, "{path}: {}", outcome.message());
        server.until_open(0).await;
        assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
    }
}

/// S2, H43: so does a connection that is never made: a name without an answer, a server that never begins with TLS, and a body
/// that is never taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_a_stalled_connection_ends_by_the_deadline() {
    let server = Server::start().await;
    let at = server.authority();
    let names = Names::default().silent("silent.test");
    let mut hurried = fetcher(|grants| {
        let silent = grants.http("http://silent.test");
        silent
            .http_private(format!("https://{at}"))
            .http_private(format!("http://{at}"))
    });
    hurried.limits.timeout = SHORT;
    hurried.limits.http_request_bytes = u64::MAX;
    let fetching = Fetching::with(Runtime::builder().resolver(names), hurried).await;
    for stalled in [
        get("silent.test", "/"),
        order(&at, "/", json!({ "scheme": "https" })),
        order(&at, "/stalled", json!({ "method": "POST", "body": 30_000_000 })),
    ] {
        let outcome = fetching.outcome("fetch.order", stalled).await;
        assert_eq!(outcome.class, Class::Timeout, "{}", outcome.message());
    }
    server.until_open(0).await;
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// S3, H7: requests are sent and answered while more guests spin than there are worker threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_h7_requests_are_answered_beside_more_spinners_than_threads() {
    let server = Server::start().await;
    let fetching = Fetching::new(fetcher_of(&server.authority())).await;
    let spinner = hostile().concurrency(4).grants(only("hostile.spin"));
    fetching.runtime.launch(vec![spinner]).await.unwrap();
    let publish = |event| {
        let runtime = fetching.runtime.clone();
        tokio::spawn(async move { runtime.publish(event).await })
    };
    let spinners: Vec<_> = (0..4)
        .map(|_| publish(sin_event("hostile.spin", Value::Null)))
        .collect();
    until_busy(&fetching.runtime, &spinners).await;
    let fetched = publish(event("fetch.order", get(&server.authority(), "/")));
    let report = fetched.await.unwrap().unwrap();
    assert!(report.all_ok() && report.of("fetcher/fetch").is_some(), "{report:?}");
    assert_eq!(server.heads().len(), 1);
    spun_meanwhile(spinners).await;
}

/// S2, H43: the guest's own limits end a request before that, and the guest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_the_guests_own_time_limits_hold() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher_of(&at)).await;
    let error = fetching
        .error(order(&at, "/silent", json!({ "first-byte-ms": 50 })))
        .await;
    assert_eq!(error, "ConnectionReadTimeout");
    let error = fetching
        .error(order(&at, "/slow", json!({ "first-byte-ms": 50 })))
        .await;
    assert_eq!(error, "ConnectionReadTimeout");
    let answer = fetching
        .fetch(order(&at, "/stalled", json!({ "between-bytes-ms": 50 })))
        .await;
    assert_eq!(
        (&answer["bytes"], &answer["error"]),
        (&json!(5), &json!("ConnectionReadTimeout")),
        "{answer}"
    );
    server.until_open(0).await;
    let patient =
        json!({ "connect-ms": u64::MAX / 1_000_000, "first-byte-ms": u64::MAX, "between-bytes-ms": u64::MAX });
    assert_eq!(fetching.fetch(order(&at, "/", patient)).await["bytes"], 5);
}

/// S2, H43: a name that is never answered ends by the guest's limit, as often as it asks; only so many look-ups are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_lookups_are_bounded_in_time_and_number() {
    let names = Names::default().silent("silent.test");
    let mut spec = fetcher(|grants| grants.http("http://silent.test"));
    spec.limits.http_requests = 2;
    let fetching = Fetching::with(Runtime::builder().resolver(names.clone()), spec).await;
    for _ in 0..4 {
        let error = fetching
            .error(order("silent.test", "/", json!({ "connect-ms": 20 })))
            .await;
        assert_eq!(error, "DnsTimeout");
    }
    assert_eq!(names.asked().len(), 2);
}
