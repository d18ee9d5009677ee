//! What a plugin has in its key-value store is thrown away when the operator says so, and never else.

use palisade::{
    Class, KeyValueError, KeyValueStore as _, KeyValueUsage, MemoryKeyValueStore, PluginError, PluginSpec, PluginState,
    QuarantinePolicy, Runtime,
};
use palisade_tests::{config, publishes};
use serde_json::{Value, json};

use super::ledger::{Books, Mood, Watched, ledger};

/// Another plugin, which takes no event and has written so much in `start`.
fn other(writes: Value) -> PluginSpec {
    let grants = publishes("ledger.*")
        .key_value()
        .subscribe(["other.>".parse().unwrap()]);
    let in_start = config(json!({ "in-start": [writes] }));
    ledger().name("other").grants(grants).config(in_start)
}

const NOTHING: KeyValueUsage = KeyValueUsage { keys: 0, bytes: 0 };

/// S12: a purge throws away all that one plugin has, says how much that was, and leaves the others what they have; the plugin
/// begins anew, and keeps what it writes from then on.
#[tokio::test]
async fn s12_a_purge_throws_away_one_plugins_data() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), ledger()).await;
    let runtime = &books.runtime;
    let other = other(json!({ "set": ["a", "other"] }));
    runtime.launch(vec![other]).await.unwrap();
    let others = store.usage("other").await.unwrap();
    assert_eq!(others, KeyValueUsage { keys: 1, bytes: 6 });
    books
        .does(json!([{ "set": ["a", "one"] }, { "set": ["bc", ""] }]))
        .await;

    runtime.stop("ledger").await.unwrap();
    let purged = runtime.purge_key_value("ledger").await.unwrap();
    assert_eq!(purged, KeyValueUsage { keys: 2, bytes: 6 });
    assert_eq!(runtime.purge_key_value("ledger").await.unwrap(), NOTHING, "once");
    runtime.start("ledger").await.unwrap();
    assert_eq!(books.ok(json!("list-all")).await["pages"], json!([0]));
    books.ok(json!({ "set": ["a", "anew"] })).await;
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("anew"));
    assert_eq!(store.usage("other").await.unwrap(), others);
}

/// S12: what an unloaded plugin left is purged by its name; of a name that nobody had there is nothing.
#[tokio::test]
async fn s12_an_unloaded_plugins_data_is_purged_too() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    let runtime = &books.runtime;
    runtime.unload("ledger").await.unwrap();
    assert_eq!(runtime.purge_key_value("nobody").await.unwrap(), NOTHING);
    assert_eq!(runtime.purge_key_value("ledger").await.unwrap().keys, 1);
    runtime.launch(vec![ledger()]).await.unwrap();
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}

/// S12, L1: a plugin that runs is not purged, since it may remember what it had: the words say what to do. It goes on with
/// all it has.
#[tokio::test]
async fn s12_a_started_plugin_is_not_purged() {
    let books = Books::new(ledger()).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    let refused = books.runtime.purge_key_value("ledger").await.unwrap_err();
    assert!(matches!(refused, PluginError::WrongState { .. }), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "ledger is started, so it can't be purged: stop it first"
    );
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("kept"));
}

/// S12, S7: one that is quarantined runs no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_s7_a_quarantined_plugin_is_purged() {
    let policy = QuarantinePolicy {
        faults: 0,
        ..QuarantinePolicy::default()
    };
    let books = Books::new(ledger().quarantine(policy)).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    books.fails(json!([{ "end": "trap" }]), Class::Trap).await;
    assert_eq!(books.runtime.purge_key_value("ledger").await.unwrap().keys, 1);
    let state = books.runtime.plugin("ledger").map(|status| status.state);
    assert_eq!(state, Some(PluginState::Quarantined));
    books.runtime.start("ledger").await.unwrap();
    assert_eq!(books.ok(json!({ "exists": "a" })).await, json!(false));
}

/// S12: a store that can't do it says so, and the plugin has what it had.
#[tokio::test]
async fn s12_a_purge_that_fails_leaves_all_as_it_was() {
    let store = Watched::new();
    let books = Books::with(Runtime::builder().key_value(store.clone()), ledger()).await;
    books.ok(json!({ "set": ["a", "kept"] })).await;
    books.runtime.stop("ledger").await.unwrap();
    store.set(Mood::Failing);
    let failed = books.runtime.purge_key_value("ledger").await.unwrap_err();
    assert!(
        matches!(&failed, PluginError::KeyValue { plugin, source: KeyValueError::Failed(_) } if plugin == "ledger"),
        "{failed:?}"
    );
    assert_eq!(
        failed.to_string(),
        "ledger: the key-value store failed: the disk is gone"
    );
    store.set(Mood::Well);
    books.runtime.start("ledger").await.unwrap();
    assert_eq!(books.ok(json!({ "get": "a" })).await, json!("kept"));
}

/// S12, H27: what a purge throws away makes room for the other plugins.
#[tokio::test]
async fn s12_h27_a_purge_makes_room_for_the_others() {
    let builder = Runtime::builder().key_value(MemoryKeyValueStore::new(1000));
    let books = Books::with(builder, ledger()).await;
    let runtime = &books.runtime;
    let other = other(json!({ "set-sized": ["a", 599] }));
    runtime.launch(vec![other]).await.unwrap();
    let too_much = json!([{ "set-sized": ["a", 500] }]);
    books.fails(too_much.clone(), Class::Unavailable).await;
    runtime.unload("other").await.unwrap();
    books.fails(too_much.clone(), Class::Unavailable).await;
    let purged = runtime.purge_key_value("other").await.unwrap();
    assert_eq!(purged, KeyValueUsage { keys: 1, bytes: 600 });
    books.does(too_much).await;
}
