//! Nothing is granted by default: no environment, no network, no publishing, no listening. Files are in `files.rs`.

use std::net::{TcpListener, UdpSocket};

use palisade::Grants;
use palisade_tests::{Seen, hostile, publishes};
use serde_json::{Value, json};

use super::beside::Beside;

/// S8, H40: a plugin sees no environment, no arguments, no working directory and no directories.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h40_the_hosts_environment_is_empty_by_default() {
    let beside = Beside::new(hostile()).await;
    let report = beside.report("hostile.env", Value::Null).await;
    assert_eq!(
        report,
        json!({ "sin": "env", "env": {}, "args": [], "cwd": null, "directories": [] })
    );
}

/// S8, H40: of the environment it sees what is granted by name and set, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h40_an_environment_variable_is_granted_by_name() {
    let path = std::env::var("PATH").expect("every environment has a PATH");
    let grants = publishes("hostile.>").env("PATH").env("PALISADE_TESTS_NEVER_SET");
    let beside = Beside::new(hostile().grants(grants)).await;
    let report = beside.report("hostile.env", Value::Null).await;
    assert_eq!(report["env"], json!({ "PATH": path }));
    assert_eq!(report["args"], json!([]));
}

/// S8, H41: it reaches no socket and resolves no name, though somebody listens on the other side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h41_the_network_is_denied() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    udp.set_nonblocking(true).unwrap();
    let beside = Beside::new(hostile()).await;
    let report = beside.report("hostile.net", json!(address.to_string())).await;
    for way in ["connect", "listen", "datagram", "resolve"] {
        assert!(report[way]["error"].is_string(), "{way}: {report}");
    }
    assert!(tcp.accept().is_err(), "nobody came");
    assert!(udp.recv(&mut [0; 16]).is_err(), "nothing came");
}

/// S8, H25: what no grant names is not published; the guest is told which grant is lacking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h25_publishing_is_denied_without_a_grant() {
    let beside = Beside::new(hostile().grants(publishes("hostile.report"))).await;
    let everything = Seen::published(&beside.runtime);
    let report = beside
        .report("hostile.publish", json!({ "type": "hostile.drop" }))
        .await;
    assert_eq!(
        report["error"],
        "publish: no publish grant names `hostile.drop` (plugin.grants.publish)"
    );
    assert_eq!(everything.types(), ["hostile.report"]);
}

/// S8: without any grant a plugin can't publish at all, not even in `start`, and runs all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_plugin_without_grants_publishes_nothing() {
    let beside = Beside::new(hostile().grants(Grants::default())).await;
    let everything = Seen::published(&beside.runtime);
    beside.sin("hostile.count", Value::Null).await;
    beside.obeys("hostile.flood", json!(5)).await;
    beside.runtime.quiet().await;
    assert_eq!(everything.types(), [""; 0]);
}

/// S8, B11, H25: types of the host's are refused whatever the grant, and so is what can't be a type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h25_types_of_the_host_are_denied_whatever_the_grant() {
    let beside = Beside::new(hostile().grants(publishes(">"))).await;
    let everything = Seen::published(&beside.runtime);
    let report = beside.report("hostile.reserved", Value::Null).await;
    let answers = report["answers"].as_object().unwrap();
    assert_eq!(answers.len(), 9);
    for (event_type, answer) in answers {
        if event_type == "not.granted" {
            assert!(answer["ok"].is_string(), "here it is granted: {answer}");
            continue;
        }
        let why = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{event_type} was taken: {answer}"));
        let is_hosts = ["plugin.", "system.", "config."]
            .iter()
            .any(|prefix| event_type.starts_with(prefix));
        assert_eq!(why.contains("is a host event"), is_hosts, "{event_type}: {why}");
    }
    assert_eq!(everything.types(), ["not.granted", "hostile.report"]);
}

/// S8, H25: metadata that the host stamps, attributes of CloudEvents and what is no name are refused, each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h25_forged_metadata_is_denied() {
    let beside = Beside::new(hostile()).await;
    let everything = Seen::published(&beside.runtime);
    let report = beside.report("hostile.forge", Value::Null).await;
    let answers = report["answers"].as_object().unwrap();
    assert_eq!(answers.len(), 17);
    for (name, answer) in answers {
        let why = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("`{name}` was taken: {answer}"));
        assert!(why.contains(&format!("`{name}`")), "{why}");
    }
    assert_eq!(everything.types(), ["hostile.report"]);
}

/// S8, H26: a plugin may not subscribe without a grant, nor to more than its grant covers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h26_subscribing_is_denied_beyond_the_grant() {
    let beside = Beside::new(hostile()).await;
    let report = beside.report("hostile.subscribe", json!("other.>")).await;
    assert_eq!(
        report["error"],
        "subscribe: no subscribe grant covers `other.>` (plugin.grants.subscribe)"
    );
    let grants = publishes("hostile.>").subscribe(["hostile.>".parse().unwrap(), "other.*".parse().unwrap()]);
    let beside = Beside::new(hostile().grants(grants)).await;
    for wider in [">", "other.>", "*.*", "plugin.>", "system.startup"] {
        let report = beside.report("hostile.subscribe", json!(wider)).await;
        assert!(
            report["error"].as_str().is_some_and(|why| why.contains(wider)),
            "{wider}: {report}"
        );
    }
    let report = beside.report("hostile.subscribe", json!("other.thing")).await;
    assert_eq!(report["ok"], Value::Null, "{report}");
    assert!(report.get("error").is_none(), "{report}");
}
