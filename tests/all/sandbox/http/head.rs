//! What a request's head may be, whether it is sent or only kept.

use palisade::Class;
use serde_json::{Value, json};

use super::server::Server;
use super::words::{Fetching, fetcher_of, get, limited, order};

/// The longest of each part.
const LONGEST: [(&str, usize); 4] = [("method", 64), ("scheme", 64), ("authority", 300), ("path", 8192)];

/// What the host says to parts of these lengths.
async fn told(fetching: &Fetching, parts: impl IntoIterator<Item = (&str, usize)>) -> Value {
    let mut unsent = json!({ "times": 1, "method": 1, "scheme": 1, "authority": 1, "path": 1 });
    for (part, bytes) in parts {
        unsent[part] = bytes.into();
    }
    fetching.answers("fetch.unsent", unsent).await.remove(0)
}

/// S1, H43: parts as long as they may be are taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_the_parts_of_a_head_obeyed() {
    let fetching = Fetching::new(fetcher_of("127.0.0.1:1")).await;
    let taken = json!({ "method": true, "scheme": true, "authority": true, "path": true });
    assert_eq!(told(&fetching, LONGEST).await, taken);
}

/// S1, H43: one that is longer by a byte is not, and the guest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_the_parts_of_a_head_violated() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher_of(&at)).await;
    for (part, bytes) in LONGEST {
        let mut expected = json!({ "method": true, "scheme": true, "authority": true, "path": true });
        expected[part] = false.into();
        assert_eq!(told(&fetching, [(part, bytes + 1)]).await, expected);
    }
    let long = order(&at, "/", json!({ "method": "A".repeat(65) }));
    assert_eq!(fetching.error(long).await, "HttpRequestUriInvalid");
    assert_eq!(server.connections(), 0);
    assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
}

/// A request of exactly 1,000 bytes: `POST` and `/count`, a header of 5 and 485, and a body of 500.
fn of_1000(at: &str) -> Value {
    order(
        at,
        "/count",
        json!({ "method": "POST", "headers": [["x-big", "y".repeat(485)]], "body": 500 }),
    )
}

/// S1, H43: method, path and headers count with the body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_request_bytes_of_the_head_obeyed() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(limited(&at, |limits| limits.http_request_bytes = 1000)).await;
    assert_eq!(fetching.fetch(of_1000(&at)).await["text"], "500");
}

/// S1, H43: a request that is too long by its head is cut off in its body; one whose head alone is, is not sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h43_http_request_bytes_of_the_head_violated() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(limited(&at, |limits| limits.http_request_bytes = 999)).await;
    assert_eq!(fetching.error(of_1000(&at)).await, "HttpRequestBodySize(Some(999))");
    server.until_open(0).await;
    let connections = server.connections();
    for (path, header) in [("/", 1000), (&*format!("/{}", "p".repeat(1000)), 1)] {
        let large = json!({ "headers": [["x-big", "y".repeat(header)]] });
        let error = fetching.error(order(&at, path, large)).await;
        assert_eq!(error, "HttpRequestHeaderSectionSize(Some(999))");
    }
    assert_eq!(server.connections(), connections);
    let outcome = fetching.outcome("fetch.order", get(&at, "/")).await;
    assert_eq!(outcome.class, Class::Ok);
}
