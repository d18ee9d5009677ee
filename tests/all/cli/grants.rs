//! What `palisade call` grants: an argument for each grant that a config file knows.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::*;

/// The one answer of a guest that reports what it was told to do, in the event that it published.
fn answer(ended: &Ended) -> Value {
    let published = ended.json_lines().remove(0)["published"][0].clone();
    published["data"]["answers"][0].clone()
}

/// An order to the fetcher, with these arguments.
fn fetch(authority: &str, arguments: &[&str]) -> Ended {
    let file = component("fetcher");
    let call = ["call", &file, "-", "--json", "--grant-publish", "fetch.report"];
    let order = json!({ "authority": authority, "path": "/" }).to_string();
    Dir::new().piped(&[&call, arguments].concat(), line("e-1", "fetch.order", &order))
}

/// A server that answers one request, and tells its head.
fn server() -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.extend(byte);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
            .unwrap();
        String::from_utf8(head).unwrap()
    });
    (port, served)
}

/// S8: an origin is granted by argument; without one the plugin is refused, and told by which argument it would not be.
#[test]
fn s8_an_origin_is_granted_by_argument() {
    fetch("127.0.0.1:1", &[])
        .expect(1)
        .says(&["it needs the grant `http`", "call gives it with --http ORIGIN"]);
    let (port, served) = server();
    let (authority, origin) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let ended = fetch(&authority, &["--http-private", &origin]).expect(0);
    let answer = answer(&ended);
    assert_eq!(
        (&answer["status"], &answer["text"]),
        (&200.into(), &"hello".into()),
        "{answer}"
    );
    assert!(served.join().unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

/// S8, H42: an origin that is not said to be private is not reached at an address that is, whether the address is written down or
/// what a name resolves to.
#[test]
fn s8_h42_a_private_address_is_granted_only_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    fetch("127.0.0.1", &["--http", "http://127.0.0.1"])
        .expect(2)
        .says(&["http://127.0.0.1 has no public address: grant it with --http-private"]);
    let authority = format!("localhost:{port}");
    let ended = fetch(&authority, &["--http", &format!("http://{authority}")]).expect(0);
    let answer = answer(&ended);
    assert!(answer["error"].as_str().unwrap().contains("Prohibited"), "{answer}");
    // Nor is an origin granted along with another.
    let ended = fetch(&authority, &["--http-private", "http://localhost:1"]).expect(0);
    let answer = self::answer(&ended);
    assert!(answer["error"].as_str().unwrap().contains("Denied"), "{answer}");
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "somebody called"
    );
}

/// S8: an origin of the arguments comes on top of those of the config's.
#[test]
fn s8_arguments_come_on_top_of_the_grants_of_the_config() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/fetcher.wasm\"\n[plugin.grants]\npublish = [\"fetch.report\"]\n\
         http = [\"https://api.example.com\"]\n",
    );
    let (port, served) = server();
    let (file, origin) = (component("fetcher"), format!("http://127.0.0.1:{port}"));
    let order = json!({ "authority": format!("127.0.0.1:{port}"), "path": "/" }).to_string();
    let event = line("e-1", "fetch.order", &order);
    let call = ["call", &file, "-", "--json", "--config", "palisade.toml"];
    let denied = answer(&dir.piped(&call, &event).expect(0));
    assert!(denied["error"].as_str().unwrap().contains("Denied"), "{denied}");
    let ended = dir.piped(&[&call[..], &["--http-private", &origin]].concat(), &event);
    assert_eq!(answer(&ended.expect(0))["text"], "hello");
    served.join().unwrap();
}

/// S8: precise clocks are granted by argument, and taken back by it.
#[test]
fn s8_clocks_are_as_exact_as_is_said() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/ledger.wasm\"\ngrants = { publish = [\"ledger.*\"], key-value = true, clocks = \"precise\" }\n",
    );
    let (file, event) = (component("ledger"), line("e-1", "ledger.do", r#"[{"clocks":1}]"#));
    let by_argument = [
        "call",
        &file,
        "-",
        "--json",
        "--key-value",
        "--grant-publish",
        "ledger.*",
    ];
    let by_config = ["call", &file, "-", "--json", "--config", "palisade.toml"];
    for (call, clocks, is_coarse) in [
        (&by_argument[..], &[][..], true),
        (&by_argument, &["--clocks", "coarse"], true),
        (&by_argument, &["--clocks", "precise"], false),
        (&by_config, &[], false),
        (&by_config, &["--clocks", "coarse"], true),
    ] {
        let ended = dir.piped(&[call, clocks].concat(), &event).expect(0);
        let answer = answer(&ended);
        let resolution = answer["ok"]["wall-resolution"].as_u64().unwrap();
        assert_eq!(resolution == 1_000_000, is_coarse, "{clocks:?}: {answer}");
    }
}

/// S8: what an argument can't give is said, not passed over.
#[test]
fn s8_grants_that_would_do_nothing_are_refused() {
    let (dir, event) = (Dir::new(), line("e-1", "user.login", ""));
    let filter = component("no-secrets");
    for grant in [
        &["--grant-publish", "a.*"][..],
        &["--grant-subscribe", "a.*"],
        &["--key-value"],
        &["--http", "https://api.example.com"],
    ] {
        let call = [&["call", &filter, "-"], grant].concat();
        dir.piped(&call, &event)
            .expect(1)
            .says(&["no-secrets is a filter, which is granted env, fs and clocks only"]);
    }
    let call = [
        "call", &filter, "-", "--env", "REGION", "--fs", ".:/here", "--clocks", "precise",
    ];
    dir.piped(&call, &event).expect(0);
    let probe = component("probe");
    let call = ["call", &probe, "-", "--fs", ".:/here", "--fs", ".:/here/:write"];
    dir.piped(&call, &event)
        .expect(1)
        .says(&["two directories are called /here"]);
}

#[test]
fn a_plugin_that_depends_on_another_is_not_called_alone() {
    let call = ["call", &component("dependent"), "-"];
    let ended = Dir::new().piped(&call, line("e-1", "dependent.do", ""));
    ended
        .expect(1)
        .says(&["dependent depends on probe", "palisade run --stdin"]);
}
