//! What a plugin's key-value store holds, and how much of it. When writes are kept is in `key_value_ack.rs`.

use palisade::{Class, LoadError, MemoryKeyValueStore, PluginSpec, Runtime};
use palisade_tests::{config, limits, publishes, runtime, spec};
use serde_json::{Value, json};

use super::ledger::{Books, ledger};

fn with_limits(change: impl FnOnce(&mut palisade::Limits)) -> PluginSpec {
    ledger().limits(limits(change))
}

/// S8, S12: without the grant a component that imports the store is refused, by the grant's name.
#[tokio::test]
async fn s8_s12_without_its_grant_the_store_is_refused_at_load() {
    let runtime = runtime();
    let error = runtime
        .load(spec("ledger").grants(publishes("ledger.*")))
        .await
        .unwrap_err();
    assert!(matches!(error, LoadError::Component { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains(
            "it imports wasi:keyvalue/store@0.2.0-draft2: it needs the grant `key-value` (plugin.grants.key-value)"
        ),
        "{words}"
    );
    assert!(runtime.load(ledger()).await.is_ok());
}

/// S12: a plugin of the SDK that has no use for the store, or for `wasi:config`, does not import it.
#[tokio::test]
async fn s12_only_plugins_that_use_the_store_import_it() {
    let runtime = runtime();
    for name in [
        "hello",
        "probe",
        "hostile",
        "auth-enhancer",
        "audit-logger",
        "no-secrets",
    ] {
        let imports = runtime.inspect(spec(name)).await.unwrap().imports;
        let other = imports
            .iter()
            .find(|name| name.contains("keyvalue") || name.contains("config"));
        assert_eq!(other, None, "{name}");
    }
    let imports = runtime.inspect(ledger()).await.unwrap().imports;
    assert!(
        imports.iter().any(|name| name == "wasi:keyvalue/store@0.2.0-draft2"),
        "{imports:?}"
    );
}

/// S12: what is set is there, until it is removed; the call itself sees what it did.
#[tokio::test]
async fn s12_keys_are_set_read_and_removed() {
    let books = Books::new(ledger()).await;
    let ops = json!([
        { "get": "a" }, { "set": ["a", "one"] }, { "get": "a" }, { "exists": "a" }, { "set": ["a", "two"] },
        { "get": "a" }, { "delete": "a" }, { "get": "a" }, { "exists": "a" }, { "delete": "a" }, { "set": ["a", ""] },
    ]);
    let answers: Vec<_> = books
        .does(ops)
        .await
        .iter()
        .map(|answer| answer["ok"].clone())
        .collect();
    assert_eq!(
        json!(answers),
        json!([null, null, "one", true, null, "two", null, null, false, null, null])
    );
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!(""));
    books.ok(json!({ "delete": "a" })).await;
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}

/// S12: a plugin has one store, by two names.
#[tokio::test]
async fn s12_there_is_one_store_with_two_names() {
    let books = Books::new(ledger()).await;
    for name in ["", "default"] {
        assert_eq!(books.ok(json!({ "open": name })).await, json!(true));
    }
    for name in ["other", "Default", "../neighbour"] {
        assert_eq!(
            books.refused(json!({ "open": name })).await,
            "key-value store: there is none"
        );
    }
}

/// S12: what a plugin wrote stays over stop, change of config and unload; no other plugin sees it.
#[tokio::test]
async fn s12_a_store_outlives_its_instances_and_is_its_plugins_own() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    let runtime = &books.runtime;
    runtime.stop("ledger").await.unwrap();
    runtime.start("ledger").await.unwrap();
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("kept"));
    runtime.reconfigure("ledger", config(json!({ "x": 1 }))).await.unwrap();
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("kept"));
    runtime.unload("ledger").await.unwrap();
    runtime.launch(vec![ledger()]).await.unwrap();
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("kept"));
    runtime.unload("ledger").await.unwrap();
    let in_start = config(json!({ "in-start": [{ "get": "a" }, "list-all"] }));
    runtime
        .launch(vec![ledger().name("other").config(in_start)])
        .await
        .unwrap();
    let answers = books.reports_of("start").await.pop().unwrap();
    assert_eq!(answers[0]["ok"], Value::Null);
    assert_eq!(answers[1]["ok"]["pages"], json!([0]));
}

/// S1, S12, H27: keys of 256 bytes and values as large as the limit says are taken.
#[tokio::test]
async fn s12_h27_key_and_value_bytes_obeyed() {
    let books = Books::new(with_limits(|limits| limits.key_value_value_bytes = 1000)).await;
    let key = "k".repeat(256);
    books.ok(json!({ "set-sized": [key, 1000] })).await;
    assert_eq!(books.ok(json!({ "exists": key })).await, json!(true));
}

/// S1, S12, H27: larger ones are refused by words that name the limit, and the guest goes on.
#[tokio::test]
async fn s12_h27_key_and_value_bytes_violated() {
    let books = Books::new(with_limits(|limits| limits.key_value_value_bytes = 1000)).await;
    assert_eq!(
        books.refused(json!({ "set-sized": ["a", 1001] })).await,
        "key-value store: the value has 1001 bytes; 1000 are the most (plugin.limits.key-value-value-bytes)"
    );
    let key = "k".repeat(257);
    for op in [
        json!({ "set": [key, ""] }),
        json!({ "get": key }),
        json!({ "exists": key }),
        json!({ "delete": key }),
        json!({ "list": key }),
    ] {
        let words = books.refused(op).await;
        assert_eq!(words, "key-value store: the key has 257 bytes; 256 are the most");
    }
    assert_eq!(
        books.ok(json!("list-all")).await["pages"],
        json!([0]),
        "nothing is left of it"
    );
}

/// S1, S12, H27: as many keys as the limit says are taken, in one call or in several; what exists can be set again.
#[tokio::test]
async fn s12_h27_number_of_keys_obeyed() {
    let books = Books::new(with_limits(|limits| limits.key_value_keys = 20)).await;
    for from in [0, 10, 0] {
        let filled = books.ok(json!({ "fill": ["k", from, 10, 3] })).await;
        assert_eq!(filled, json!({ "done": 10, "error": null }));
    }
    assert_eq!(books.ok(json!("list-all")).await["pages"], json!([20]));
}

/// S1, S12, H27: beyond it the guest is told; what it removes makes room, in the same call already.
#[tokio::test]
async fn s12_h27_number_of_keys_violated() {
    let books = Books::new(with_limits(|limits| limits.key_value_keys = 20)).await;
    let words = "key-value store: the key-value store may have 20 keys (plugin.limits.key-value-keys)";
    let filled = books.ok(json!({ "fill": ["k", 0, 1000, 3] })).await;
    assert_eq!(filled, json!({ "done": 20, "error": words }));
    assert_eq!(books.refused(json!({ "set": ["one more", ""] })).await, words);
    let answers = books
        .does(json!([{ "delete": "k00000" }, { "set": ["one more", ""] }, { "set": ["two more", ""] }]))
        .await;
    assert_eq!(answers[1], json!({ "ok": null }));
    assert_eq!(answers[2], json!({ "error": words }));
    assert_eq!(books.ok(json!("list-all")).await["pages"], json!([20]));
}

/// S1, S12, H27: keys and values together may have as many bytes as the limit says.
#[tokio::test]
async fn s12_h27_bytes_of_the_store_obeyed() {
    let books = Books::new(with_limits(|limits| limits.key_value_bytes = 10_000)).await;
    let filled = books.ok(json!({ "fill": ["key-", 0, 100, 91] })).await;
    assert_eq!(filled, json!({ "done": 100, "error": null }));
    books.ok(json!({ "fill": ["key-", 0, 100, 91] })).await;
    books.ok(json!({ "set-sized": ["key-00000", 50] })).await;
    books.ok(json!({ "set-sized": ["key-00001", 132] })).await;
}

/// S1, S12, H27: beyond them the guest is told, whether they are of one call or of many.
#[tokio::test]
async fn s12_h27_bytes_of_the_store_violated() {
    let books = Books::new(with_limits(|limits| limits.key_value_bytes = 10_000)).await;
    let words = "key-value store: the key-value store may have 10000 bytes of keys and values \
                 (plugin.limits.key-value-bytes)";
    let filled = books.ok(json!({ "fill": ["key-", 0, 1000, 91] })).await;
    assert_eq!(filled, json!({ "done": 100, "error": words }));
    assert_eq!(books.refused(json!({ "set-sized": ["key-00001", 92] })).await, words);
    assert_eq!(books.refused(json!({ "set": ["x", ""] })).await, words);
    books.ok(json!({ "set-sized": ["key-00001", 90] })).await;
    books.ok(json!({ "set": ["x", ""] })).await;
}

/// S12: a plugin whose limits were lowered below what it has can change and remove things, and add none.
#[tokio::test]
async fn s12_a_store_above_its_lowered_caps_may_only_shrink() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "fill": ["k", 0, 10, 10] })).await;
    books.runtime.unload("ledger").await.unwrap();
    let lowered = with_limits(|limits| (limits.key_value_keys, limits.key_value_bytes) = (5, 50));
    books.runtime.launch(vec![lowered]).await.unwrap();
    assert!(
        books
            .refused(json!({ "set": ["new", ""] }))
            .await
            .contains("may have 5 keys")
    );
    assert!(
        books
            .refused(json!({ "set-sized": ["k00000", 11] }))
            .await
            .contains("may have 50 bytes")
    );
    books.ok(json!({ "set-sized": ["k00000", 9] })).await;
    books.ok(json!({ "empty": ["k", 0, 7] })).await;
    books.ok(json!({ "set": ["n", ""] })).await;
    assert_eq!(books.ok(json!("list-all")).await["pages"], json!([4]));
}

/// S1, S12, H27: all plugins together have no more than the store takes; a call that would go beyond fails whole.
#[tokio::test]
async fn s12_h27_a_store_in_memory_is_bounded_over_all_plugins() {
    let builder = Runtime::builder().key_value(MemoryKeyValueStore::new(1000));
    let in_start = config(json!({ "in-start": [{ "set-sized": ["a", 599] }] }));
    let books = Books::with(builder, ledger()).await;
    books
        .runtime
        .launch(vec![ledger().name("other").config(in_start)])
        .await
        .unwrap();
    books.ok(json!({ "set-sized": ["a", 399] })).await;
    let words = books
        .fails(json!([{ "set-sized": ["b", 399] }]), Class::Unavailable)
        .await;
    assert!(words.contains("of all plugins together may have 1000 bytes"), "{words}");
    assert_eq!(books.ok(json!({ "exists": "b" })).await, json!(false));
}

/// S1, S12, H18, H27: open stores are handles, and limited as such.
#[tokio::test]
async fn s12_h18_open_stores_are_handles() {
    let books = Books::new(with_limits(|limits| limits.handles = 100)).await;
    assert_eq!(books.ok(json!({ "hoard": 50 })).await, json!(50));
    let words = books.fails(json!([{ "hoard": 1000 }]), Class::HostLimit).await;
    assert!(words.contains("plugin.limits.handles"), "{words}");
    assert_eq!(books.ok(json!({ "hoard": 50 })).await, json!(50), "a fresh instance");
}

/// S1, S12, H16, H27: a value larger than a host call may carry ends the call.
#[tokio::test]
async fn s12_h16_a_value_larger_than_a_host_call_may_carry_ends_the_call() {
    let books = Books::new(ledger()).await;
    let words = books
        .fails(json!([{ "set-sized": ["a", 9_000_000] }]), Class::HostLimit)
        .await;
    assert!(words.contains("plugin.limits.hostcall-bytes"), "{words}");
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}

/// S12, H27: keys are listed in order, in pages of at most 1,000 and 64 KiB, each once, whoever has written them.
#[tokio::test]
async fn s12_h27_keys_are_listed_in_bounded_pages() {
    let books = Books::new(ledger()).await;
    let listed = books.does(json!([{ "fill": ["k", 0, 2500, 1] }, "list-all"])).await;
    assert_eq!(
        listed[1]["ok"],
        json!({ "pages": [1000, 1000, 500], "largest": 6000, "ordered": true })
    );
    let listed = books.ok(json!("list-all")).await;
    assert_eq!(listed["pages"], json!([1000, 1000, 500]));
    let ops = json!([{ "empty": ["k", 0, 2500] }, { "fill": ["y".repeat(195), 0, 400, 1] }, "list-all"]);
    let own = books.does(ops).await.pop().unwrap();
    let committed = books.ok(json!("list-all")).await;
    assert_eq!(
        committed,
        json!({ "pages": [327, 73], "largest": 65_400, "ordered": true })
    );
    assert_eq!(own["ok"]["ordered"], json!(true));
    let listed: u64 = own["ok"]["pages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(listed, 400);
}

/// S12, H27: a page is of what is committed and of what the call itself has made of it.
#[tokio::test]
async fn s12_h27_a_listing_has_the_calls_own_writes() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "fill": ["k", 0, 1001, 1] })).await;
    let ops = json!([
        { "delete": "k00001" }, { "delete": "k01000" }, { "set": ["a", ""] }, { "set": ["k000015", ""] },
        { "set": ["z", ""] }, { "set": ["gone", ""] }, { "delete": "gone" }, { "list": null }, { "list": "k00998" },
        "list-all", { "empty": ["k", 0, 1001] }, "list-all",
    ]);
    let answers = books.does(ops).await;
    let page = &answers[7]["ok"];
    let keys = page["keys"].as_array().unwrap();
    assert_eq!(json!(keys[..5]), json!(["a", "k00000", "k000015", "k00002", "k00003"]));
    assert_eq!((keys.len(), page["cursor"].as_str()), (1000, Some("k00998")));
    assert_eq!(answers[8]["ok"], json!({ "keys": ["k00999", "z"], "cursor": null }));
    assert_eq!(
        (&answers[9]["ok"]["pages"], &answers[9]["ok"]["ordered"]),
        (&json!([1000, 2]), &json!(true))
    );
    assert_eq!(
        answers[11]["ok"]["pages"],
        json!([2, 1]),
        "of the first 1,000 two are left"
    );
}

/// S12, H27: a cursor stays good while keys are written: what is there all the time is listed once.
#[tokio::test]
async fn s12_h27_a_cursor_is_stable_while_keys_are_written() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "fill": ["k", 0, 1500, 1] })).await;
    let first = books.ok(json!({ "list": null })).await;
    let cursor = first["cursor"].as_str().unwrap();
    assert_eq!(cursor, "k00999");
    books.ok(json!({ "fill": ["a", 0, 700, 1] })).await;
    books
        .does(json!([{ "empty": ["k", 500, 600] }, { "set": ["k00100x", ""] }, { "set": ["z", ""] }]))
        .await;
    let second = books.ok(json!({ "list": cursor })).await;
    let keys = second["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &second["cursor"]), (401, &Value::Null));
    assert_eq!((&keys[0], &keys[400]), (&json!("k01100"), &json!("z")));
}
