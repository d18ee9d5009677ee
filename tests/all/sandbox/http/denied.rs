//! What no grant gives: other origins, and private addresses by whatever way.

use palisade::{Grants, LogLevel, Runtime};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::Server;
use super::words::{Fetching, Names, fetcher, fetcher_of, get, order};
use crate::sandbox::beside::Lines;

/// S8, H42: another port, scheme or host than granted, a user before it, and other ways to write a granted address are denied;
/// nobody is asked, and the operator can read why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h42_another_origin_than_granted_is_denied() {
    let (server, other) = (Server::start().await, Server::start().await);
    let (at, port) = (server.authority(), server.port());
    let (names, lines) = (Names::default(), Lines::default());
    let builder = Runtime::builder().resolver(names.clone()).log_sink(lines.clone());
    let fetching = Fetching::with(builder, fetcher_of(&at)).await;
    for elsewhere in [
        other.authority(),
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        format!("127.0.0.1.nip.test:{port}"),
        format!("user@{at}"),
        format!("{at}@evil.test"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("127.1:{port}"),
        format!("0:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::ffff:7f00:1]:{port}"),
        "169.254.169.254".to_owned(),
    ] {
        let error = fetching.error(get(&elsewhere, "/")).await;
        assert!(
            error == "HttpRequestDenied" || error == "HttpRequestUriInvalid",
            "{elsewhere}: {error}"
        );
    }
    let secure = order(&at, "/", json!({ "scheme": "https" }));
    assert_eq!(fetching.error(secure).await, "HttpRequestDenied");
    let error = fetching.error(order(&at, "/", json!({ "scheme": "ftp" }))).await;
    assert_eq!(error, "HttpProtocolError");
    let error = fetching.error(order(&at, "/", json!({ "method": "CONNECT" }))).await;
    assert_eq!(error, "HttpRequestMethodInvalid");
    assert_eq!((server.connections(), other.connections()), (0, 0));
    assert_eq!(names.asked(), [""; 0]);
    let line = format!(
        "a request to http://{} is denied: no http grant names",
        other.authority()
    );
    let lines = lines.take();
    assert!(
        lines
            .iter()
            .any(|told| told.level == LogLevel::Warn && told.message.starts_with(&line)),
        "{lines:?}"
    );
    assert_eq!(fetching.fetch(get(&at, "/")).await["status"], 200);
}

/// S8, H42: a path that is a URL, or has a line break in it, addresses nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h42_a_path_does_not_lead_elsewhere() {
    let server = Server::start().await;
    let fetching = Fetching::new(fetcher_of(&server.authority())).await;
    for path in [
        "http://evil.test/",
        "evil.test",
        "*",
        "/ HTTP/1.1\r\nhost: evil.test\r\n\r\n",
    ] {
        let error = fetching.error(get(&server.authority(), path)).await;
        assert_eq!(error, "HttpRequestUriInvalid", "{path}");
    }
    assert_eq!(server.connections(), 0);
}

/// S8, H42: the guest can't set `Host`, nor what frames a message or speaks to proxies; the request is never sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h42_a_forged_host_header_is_denied() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher_of(&at)).await;
    for name in [
        "Host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "te",
        "proxy-authorization",
        "proxy-connection",
        "proxy-anything",
        "http2-settings",
    ] {
        let error = fetching
            .error(order(&at, "/", json!({ "headers": [[name, "evil.test"]] })))
            .await;
        assert!(
            error.contains("headers: ") && error.contains("Forbidden"),
            "{name}: {error}"
        );
    }
    let split = json!({ "headers": [["x-a", "b\r\nhost: evil.test"]] });
    assert!(fetching.error(order(&at, "/", split)).await.contains("headers: "));
    assert_eq!(server.connections(), 0);
}

/// H42: a redirect is the guest's to read; nobody follows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_redirect_is_not_followed() {
    let server = Server::start().await;
    let fetching = Fetching::new(fetcher_of(&server.authority())).await;
    let answer = fetching.fetch(get(&server.authority(), "/redirect")).await;
    assert_eq!(answer["status"], 302, "{answer}");
    assert!(
        answer["headers"].to_string().contains("http://127.0.0.1:1/secret"),
        "{answer}"
    );
    assert_eq!(server.connections(), 1);
}

fn public(name: &str, port: u16) -> impl Fn(Grants) -> Grants {
    let origin = format!("http://{name}:{port}");
    move |grants| grants.http(origin.clone())
}

/// H42: a granted name that has an address which is not public is not connected to, whatever else it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_name_that_resolves_to_a_private_address_is_denied() {
    let server = Server::start().await;
    let answers = [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["0.0.0.0"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::1"],
        &["fd00:ec2::254"],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
    ];
    let (mut names, lines) = (Names::default(), Lines::default());
    for answer in answers {
        names = names.with("public.test", answer);
    }
    let builder = Runtime::builder().resolver(names.clone()).log_sink(lines.clone());
    let fetching = Fetching::with(builder, fetcher(public("public.test", server.port()))).await;
    for answer in answers {
        let error = fetching
            .error(get(&format!("public.test:{}", server.port()), "/"))
            .await;
        assert_eq!(error, "DestinationIpProhibited", "{answer:?}");
        let lines = lines.take();
        assert!(
            lines.iter().any(|line| line.message.contains("private = true")),
            "{lines:?}"
        );
    }
    assert_eq!(names.asked().len(), answers.len());
    assert_eq!(server.connections(), 0);
}

/// H42: the same name is served where the grant says `private`: by the first address that answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_private_grant_allows_private_addresses() {
    let server = Server::start().await;
    // Nobody listens at the second address of loopback.
    let names = Names::default().with("intranet.test", &["127.0.0.2", "127.0.0.1"]);
    let at = format!("intranet.test:{}", server.port());
    let granted = fetcher(|grants| grants.http_private(format!("http://{at}")));
    let fetching = Fetching::with(Runtime::builder().resolver(names), granted).await;
    assert_eq!(fetching.fetch(get(&at, "/")).await["status"], 200);
}

/// H42: rebinding. The resolver is asked once for each request, and what it says later doesn't count: the first answer is
/// checked and dialled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_name_that_is_bound_anew_is_resolved_once_a_request() {
    let server = Server::start().await;
    let at = format!("rebound.test:{}", server.port());
    // Good at first, when it is checked, and bad when it would be dialled.
    let names = Names::default()
        .with("rebound.test", &["127.0.0.1"])
        .with("rebound.test", &["127.0.0.2"]);
    let granted = fetcher(|grants| grants.http_private(format!("http://{at}")));
    let fetching = Fetching::with(Runtime::builder().resolver(names.clone()), granted).await;
    assert_eq!(fetching.fetch(get(&at, "/")).await["status"], 200);
    assert_eq!(names.asked().len(), 1);
    assert_eq!(fetching.error(get(&at, "/")).await, "ConnectionRefused");
    assert_eq!(names.asked().len(), 2);
    assert_eq!(server.connections(), 1);
}

/// H42: a name that nobody knows, or that has no address, is told as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_name_without_an_address_is_a_dns_error() {
    let names = Names::default().with("empty.test", &[]);
    let granted = fetcher(|grants| grants.http("https://empty.test").http("https://unknown.test"));
    let fetching = Fetching::with(Runtime::builder().resolver(names), granted).await;
    for name in ["empty.test", "unknown.test"] {
        let error = fetching.error(order(name, "/", json!({ "scheme": "https" }))).await;
        assert!(error.starts_with("DnsError"), "{name}: {error}");
    }
}

/// H42: the system's resolver takes part in the same checks: `localhost` is not public.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_the_systems_answers_are_checked_too() {
    let server = Server::start().await;
    let at = format!("localhost:{}", server.port());
    let fetching = Fetching::new(fetcher(public("localhost", server.port()))).await;
    assert_eq!(fetching.error(get(&at, "/")).await, "DestinationIpProhibited");
    let fetching = Fetching::new(fetcher_of(&at)).await;
    assert_eq!(fetching.fetch(get(&at, "/")).await["status"], 200);
    assert_eq!(server.connections(), 1);
}

/// S8: `https` is TLS or nothing: a server that speaks plain text to it gets no request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_plain_text_is_no_tls() {
    let server = Server::start().await;
    let at = server.authority();
    let fetching = Fetching::new(fetcher(|grants| grants.http_private(format!("https://{at}")))).await;
    let secure = order(&at, "/", json!({ "scheme": "https", "connect-ms": 250 }));
    // The server waits for the end of a head that never comes.
    assert_eq!(fetching.error(secure).await, "ConnectionTimeout");
    assert_eq!(server.heads().len(), 0);
    let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = mail.local_addr().unwrap().to_string();
    let greeting = tokio::spawn(async move {
        let (mut stream, _) = mail.accept().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let fetching = Fetching::new(fetcher(|grants| grants.http_private(format!("https://{at}")))).await;
    let error = fetching.error(order(&at, "/", json!({ "scheme": "https" }))).await;
    assert_eq!(error, "TlsProtocolError");
    // The client has closed, in order or not.
    let _ = greeting.await.unwrap();
}
