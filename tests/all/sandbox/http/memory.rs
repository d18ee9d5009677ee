//! What of a response, and of a request, is in the host's memory: measured.

use futures_util::FutureExt;
use palisade::{Class, Limits, Outcome};
use serde_json::{Value, json};

use super::server::Server;
use super::words::{Fetching, fetcher_of, get, limited, order};
use crate::sandbox::beside::SHORT;
use crate::sandbox::measured::{Case, FLAT, Gauge, lean, measured};

const MIB: u64 = 1 << 20;

/// Carries out an order twice, and looks at how it ended.
fn fetching(
    change: impl FnOnce(&mut Limits) + 'static,
    path: &'static str,
    more: Value,
    ended: impl Fn(&Outcome) + 'static,
) -> Case {
    async move {
        let server = Server::start().await;
        let at = server.authority();
        let fetching = Fetching::with(lean(), limited(&at, change)).await;
        fetching.fetch(get(&at, "/")).await;
        let gauge = Gauge::begin();
        for _ in 0..2 {
            ended(&fetching.outcome("fetch.order", order(&at, path, more.clone())).await);
            server.until_open(0).await;
        }
        fetching.runtime.quiet().await;
        assert_eq!(fetching.fetch(get(&at, "/")).await["bytes"], 5);
        gauge.added()
    }
    .boxed_local()
}

fn is(class: Class) -> impl Fn(&Outcome) {
    move |outcome| assert_eq!(outcome.class, class, "{}", outcome.message())
}

/// S1, H43: a guest that reads 128 MiB, and as much again, of a response that has no end, has little of it in the host at a time.
#[test]
fn h43_an_endless_response_that_is_read_leaves_the_host_flat() {
    let [read] = measured(
        "sandbox::http::memory::h43_an_endless_response_that_is_read_leaves_the_host_flat",
        [fetching(
            |limits| limits.http_response_bytes = 128 * MIB,
            "/endless",
            json!({}),
            is(Class::Ok),
        )],
    );
    assert!(read <= FLAT, "{} KiB", read / 1024);
}

/// S1, S2, H43: so it is with eight of them at a time, of which all but one are not read, until the deadline.
#[test]
fn h43_endless_responses_that_are_not_read_leave_the_host_flat() {
    let unread = |limits: &mut Limits| {
        limits.timeout = SHORT;
        limits.http_response_bytes = u64::MAX;
    };
    let [unread] = measured(
        "sandbox::http::memory::h43_endless_responses_that_are_not_read_leave_the_host_flat",
        [fetching(unread, "/endless", json!({ "times": 8 }), is(Class::Timeout))],
    );
    assert!(unread <= FLAT, "{} KiB", unread / 1024);
}

/// S1, S2, H43: of a request's body that nobody takes the host has no copy: the guest has its 30 MB, and that is all.
#[test]
fn h43_a_huge_request_that_nobody_takes_leaves_the_host_flat() {
    const BODY: u64 = 30_000_000;
    let huge = |limits: &mut Limits| {
        limits.timeout = SHORT;
        limits.http_request_bytes = u64::MAX;
    };
    let body = json!({ "method": "POST", "body": BODY });
    let [huge] = measured(
        "sandbox::http::memory::h43_a_huge_request_that_nobody_takes_leaves_the_host_flat",
        [fetching(huge, "/slow", body, is(Class::Timeout))],
    );
    assert!(huge <= BODY + FLAT, "{} KiB", huge / 1024);
}

/// S1, H43: requests that are made, kept and never sent are small, however long a method and an authority the guest has.
#[test]
fn h43_requests_that_are_never_sent_leave_the_host_flat() {
    let unsent = async {
        let fetching = Fetching::with(lean(), fetcher_of("127.0.0.1:1")).await;
        let unsent = |times| json!({ "times": times, "method": 4 * MIB, "authority": 4 * MIB, "scheme": 1, "path": 1 });
        fetching.answers("fetch.unsent", unsent(1)).await;
        let gauge = Gauge::begin();
        let answers = fetching.answers("fetch.unsent", unsent(32)).await;
        let refused = json!({ "method": false, "authority": false, "scheme": true, "path": true });
        assert!(answers.iter().all(|answer| *answer == refused), "{answers:?}");
        gauge.added()
    };
    let [unsent] = measured(
        "sandbox::http::memory::h43_requests_that_are_never_sent_leave_the_host_flat",
        [unsent.boxed_local()],
    );
    assert!(unsent <= FLAT, "{} KiB", unsent / 1024);
}
