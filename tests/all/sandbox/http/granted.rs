//! What a grant gives.

use palisade::{ComponentError, Grants, Health, LoadError, NeededGrant, Runtime};
use palisade_tests::{config, runtime, spec};
use serde_json::json;

use super::server::Server;
use super::words::{Fetching, Names, fetcher, fetcher_of, get, order};

/// S8: a plugin that imports `wasi:http` is refused without a grant, by a message that names it; and so is one whose grant is no
/// origin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_http_without_a_grant_is_refused_at_load() {
    let runtime = runtime();
    let error = runtime.load(spec("fetcher")).await.unwrap_err();
    let refused = matches!(&error, LoadError::Component { source: ComponentError::NotGranted { interface, .. }, .. }
        if interface.starts_with("wasi:http/"));
    assert!(refused && error.to_string().contains("(plugin.grants.http)"), "{error}");
    for (origin, why) in [
        ("https://example.com/path", "\"https://example.com/path\" is no origin"),
        ("http://169.254.169.254", "no public address"),
    ] {
        let error = runtime.load(fetcher(|grants| grants.http(origin))).await.unwrap_err();
        assert!(matches!(&error, LoadError::Invalid { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("plugin.grants.http: ") && words.contains(why), "{words}");
    }
    assert!(runtime.plugins().is_empty());
    runtime.load(fetcher_of("127.0.0.1:1")).await.unwrap();
}

/// S8: whatever a component asks for, it is shown without any grant; `check`, which is about a start, refuses it as `load` does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_what_is_not_granted_is_inspected_and_not_checked() {
    let runtime = runtime();
    let inspected = runtime.inspect(spec("fetcher")).await.unwrap();
    assert_eq!(inspected.needs, [NeededGrant::Http]);
    assert!(!NeededGrant::Http.is_in(&Grants::default()));
    let description = &inspected.info.description;
    assert!(description.contains("HttpRequestDenied"), "{description}");
    let refused = runtime.check(vec![spec("fetcher")]).await.unwrap_err().to_string();
    assert!(refused.contains("(plugin.grants.http)"), "{refused}");
    assert_eq!(runtime.inspect(spec("probe")).await.unwrap().needs, []);
}

/// S8, H41, H42: a granted origin is served; the request is the guest's, `Host` and framing are ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_granted_origin_is_served() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher_of(&at)).await;
    let headers = json!({ "method": "PATCH", "headers": [["X-Own", "mine"], ["accept", "text/plain"]] });
    let answer = fetching.fetch(order(&at, "/path?a=b", headers)).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(
        (&answer["text"], &answer["bytes"]),
        (&json!("hello"), &json!(5)),
        "{answer}"
    );
    assert!(answer.get("error").is_none(), "{answer}");
    let head = &server.heads()[0];
    assert!(head.starts_with("PATCH /path?a=b HTTP/1.1\r\n"), "{head}");
    for line in ["x-own: mine", "accept: text/plain", &format!("host: {at}")] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    let answer = fetching
        .fetch(order(&at, "/count", json!({ "method": "POST", "body": 200_000 })))
        .await;
    assert_eq!(answer["text"], "200000", "{answer}");
    let answer = fetching.fetch(order(&at, "/bytes?100000", json!({}))).await;
    assert_eq!(answer["bytes"], 100_000, "{answer}");
    let answer = fetching.fetch(order(&at, "/", json!({ "method": "HEAD" }))).await;
    assert_eq!(
        (&answer["status"], &answer["bytes"]),
        (&json!(200), &json!(0)),
        "{answer}"
    );
}

/// S8, H42: the guest's spelling of a granted origin doesn't matter, and the server sees ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_spellings_of_a_granted_origin_are_one() {
    let server = Server::start().await;
    let names = Names::default().with("intranet.test", &["127.0.0.1"]);
    let port = server.port();
    let granted = fetcher(|grants| grants.http_private(format!("HTTP://Intranet.TEST:{port}")));
    let fetching = Fetching::with(Runtime::builder().resolver(names.clone()), granted).await;
    let answer = fetching.fetch(get(&format!("INTRANET.test:{port}"), "/")).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert!(server.heads()[0].contains(&format!("\r\nhost: intranet.test:{port}\r\n")));
    assert_eq!(names.asked(), ["intranet.test"]);
}

/// S8: each request has a connection of its own, closed after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_each_request_has_a_connection_of_its_own() {
    let server = Server::start().await;
    let fetching = Fetching::new(fetcher_of(&server.authority())).await;
    for _ in 0..3 {
        fetching.fetch(get(&server.authority(), "/")).await;
    }
    assert_eq!(server.connections(), 3);
    server.until_open(0).await;
}

/// S8: `start`, `stop` and `health` may send requests as `handle` does; `describe`, where no grant is in force, is denied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_the_phases_that_may_send_requests() {
    let server = Server::start().await;
    let get = |path: &str| get(&server.authority(), path);
    let settings = json!({ "in-start": get("/start"), "in-stop": get("/stop"), "in-health": get("/health") });
    let granted = fetcher(|grants| {
        let local = grants.http_private(format!("http://{}", server.authority()));
        local.http_private("http://describe.test")
    });
    let fetching = Fetching::new(granted.config(config(settings))).await;
    assert_eq!(fetching.report(0).await[0]["status"], 200);
    let health = fetching.runtime.plugin_health("fetcher").await.unwrap();
    assert!(
        matches!(&health, Health::Unhealthy(told) if told.contains("Number(200)")),
        "{health:?}"
    );
    fetching.runtime.stop("fetcher").await.unwrap();
    assert_eq!(fetching.report(1).await[0]["status"], 200);
    let inspected = fetching.runtime.inspect(fetcher_of("127.0.0.1:1")).await.unwrap();
    let description = &inspected.info.description;
    assert!(description.contains("HttpRequestDenied"), "{description}");
    let paths: Vec<_> = server
        .heads()
        .iter()
        .map(|head| head.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["/start", "/health", "/stop"]);
}
