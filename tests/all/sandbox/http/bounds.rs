//! How much: requests at a time, bytes of bodies and headers.

use palisade::{Class, Limits};
use serde_json::{Value, json};

use super::server::Server;
use super::words::{Fetching, fetcher_of, get, limited, order};

async fn with(change: impl FnOnce(&mut Limits)) -> (Server, Fetching) {
    let server = Server::start().await;
    let fetching = Fetching::new(limited(&server.authority(), change)).await;
    (server, fetching)
}

/// S1, H43: a response with as many bytes as it may have is read whole, whether it says its length or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_response_bytes_obeyed() {
    let (server, fetching) = with(|limits| limits.http_response_bytes = 1000).await;
    for path in ["/bytes?1000", "/chunks?1000"] {
        let answer = fetching.fetch(get(&server.authority(), path)).await;
        assert_eq!(
            (&answer["bytes"], answer.get("error")),
            (&json!(1000), None),
            "{path}: {answer}"
        );
    }
}

/// S1, H43: one that says that it has more is refused by its head; one that doesn't, where it has more. The guest is told, and
/// the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_response_bytes_violated() {
    let (server, fetching) = with(|limits| limits.http_response_bytes = 1000).await;
    let at = server.authority();
    let error = fetching.error(get(&at, "/bytes?1001")).await;
    assert_eq!(error, "HttpResponseBodySize(Some(1000))");
    for path in ["/chunks?1001", "/endless"] {
        let answer = fetching.fetch(get(&at, path)).await;
        assert_eq!(answer["error"], "HttpResponseBodySize(Some(1000))", "{path}: {answer}");
        assert!(
            answer["bytes"].as_u64().is_some_and(|bytes| bytes <= 1000),
            "{path}: {answer}"
        );
    }
    server.until_open(0).await;
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// S1, H43: a request with as many bytes as it may have, 10 of them in `POST` and `/count`, arrives whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_request_bytes_obeyed() {
    let (server, fetching) = with(|limits| limits.http_request_bytes = 100_010).await;
    let body = json!({ "method": "POST", "body": 100_000 });
    let answer = fetching.fetch(order(&server.authority(), "/count", body)).await;
    assert_eq!(answer["text"], "100000", "{answer}");
}

/// S1, H43: a request with more is not sent if it says so, and cut off where it doesn't. The guest is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_request_bytes_violated() {
    let (server, fetching) = with(|limits| limits.http_request_bytes = 100_000).await;
    let at = server.authority();
    for bytes in [100_001, 10_000_000] {
        let body = json!({ "method": "POST", "body": bytes });
        let error = fetching.error(order(&at, "/count", body)).await;
        assert_eq!(error, "HttpRequestBodySize(Some(100000))", "{bytes}");
    }
    server.until_open(0).await;
    let connections = server.connections();
    let said = json!({ "method": "POST", "body": 100_001, "headers": [["content-length", "100001"]] });
    let error = fetching.error(order(&at, "/count", said)).await;
    assert_eq!(error, "HttpRequestBodySize(Some(100000))");
    assert_eq!(server.connections(), connections);
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// S1, H43: as many requests as there may be at a time are all answered; and again, since those that are over don't count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_requests_obeyed() {
    let (server, fetching) = with(|limits| limits.http_requests = 3).await;
    for _ in 0..3 {
        let three = order(&server.authority(), "/", json!({ "times": 3 }));
        let answers = fetching.answers("fetch.order", three).await;
        assert_eq!(answers.len(), 3);
        assert!(answers.iter().all(|answer| answer["bytes"] == 5), "{answers:?}");
    }
    assert_eq!(server.connections(), 9);
}

/// S1, H43: one more is refused, and those before it are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_requests_violated() {
    let (server, fetching) = with(|limits| limits.http_requests = 3).await;
    let five = order(&server.authority(), "/", json!({ "times": 5 }));
    let answers = fetching.answers("fetch.order", five).await;
    let of = |field: &str, value: Value| answers.iter().filter(|answer| answer[field] == value).count();
    assert_eq!(
        (of("bytes", json!(5)), of("error", json!("ConnectionLimitReached"))),
        (3, 2),
        "{answers:?}"
    );
    assert_eq!(server.connections(), 3);
}

/// S1, H43: requests that a call leaves open are closed when it returns: an instance that lives on doesn't pile them up, and a
/// later call that goes on with one is told that it has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_requests_left_open_end_with_their_call() {
    let (server, fetching) = with(|limits| limits.http_requests = 2).await;
    let at = server.authority();
    for _ in 0..3 {
        let kept = order(&at, "/stalled", json!({ "times": 2, "read": "keep" }));
        let answers = fetching.answers("fetch.order", kept).await;
        assert!(answers.iter().all(|answer| answer["status"] == 200), "{answers:?}");
        server.until_open(0).await;
    }
    let pending = order(&at, "/silent", json!({ "times": 2, "read": "keep-pending" }));
    fetching.answers("fetch.order", pending).await;
    server.until_open(0).await;
    let answers = fetching.answers("fetch.resume", json!({})).await;
    assert_eq!(answers.len(), 8);
    assert!(
        answers.iter().all(|answer| answer["error"] == "HttpResponseIncomplete"),
        "{answers:?}"
    );
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// H43: a request that the guest drops, at whatever point, is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_a_request_that_is_dropped_is_closed() {
    let (server, fetching) = with(|_| {}).await;
    for (path, read) in [
        ("/endless", "head"),
        ("/stalled", "head"),
        ("/silent", "nothing"),
        ("/endless", "nothing"),
    ] {
        fetching
            .fetch(order(&server.authority(), path, json!({ "read": read })))
            .await;
        server.until_open(0).await;
    }
}

/// H43: the head of a response has a bound, in bytes and in headers; below it, it is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_the_headers_of_a_response_are_bounded() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher_of(&at)).await;
    for path in ["/header?10000", "/headers?100"] {
        let answer = fetching.fetch(get(&at, path)).await;
        assert_eq!(answer["status"], 200, "{path}");
    }
    for path in ["/header?100000", "/header?10000000", "/headers?1000"] {
        let error = fetching.error(get(&at, path)).await;
        assert_eq!(error, "HttpResponseHeaderSectionSize(None)", "{path}");
    }
    server.until_open(0).await;
}

/// S11, H43: the headers of a request have a bound, too, which wasmtime has no type for; below it, they are sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_h43_the_headers_of_a_request_are_bounded() {
    let (server, fetching) = with(|_| {}).await;
    let at = server.authority();
    let headers = |bytes: usize| json!({ "headers": [["x-big", "y".repeat(bytes)]] });
    assert_eq!(fetching.fetch(order(&at, "/", headers(10_000))).await["status"], 200);
    let outcome = fetching.outcome("fetch.order", order(&at, "/", headers(100_000))).await;
    assert_eq!(outcome.class, Class::HostLimit, "{}", outcome.message());
    assert!(
        outcome.message().contains("HTTP headers of more than 32 KiB"),
        "{}",
        outcome.message()
    );
    assert_eq!(server.connections(), 1);
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// H43: what is cut short, is no HTTP or never comes is an error, and never a whole response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_a_broken_response_is_told() {
    let (server, fetching) = with(|_| {}).await;
    let at = server.authority();
    let short = fetching.fetch(get(&at, "/short")).await;
    assert_eq!(
        (&short["bytes"], &short["error"]),
        (&json!(5), &json!("HttpResponseIncomplete")),
        "{short}"
    );
    assert_eq!(fetching.error(get(&at, "/gone")).await, "ConnectionTerminated");
    assert_eq!(fetching.error(get(&at, "/garbage")).await, "HttpProtocolError");
}
