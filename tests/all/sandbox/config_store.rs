//! `wasi:config/store` shows a plugin its config table.

use palisade::PluginConfig;
use palisade_tests::config;
use serde_json::{Value, json};

use super::ledger::{Books, ledger};

/// S12: strings are shown as they are, anything else as JSON, secrets included; what is not there is none.
#[tokio::test]
async fn s12_the_config_store_shows_strings_plain_and_the_rest_as_json() {
    let table = PluginConfig::default()
        .with("text", "plain \"text\"")
        .with("empty", "")
        .with("number", 5)
        .with("float", 0.5)
        .with("flag", true)
        .with("list", json!(["a", 1]))
        .with("table", json!({ "in": "side" }))
        .with_secret("token", "correct-horse-battery")
        .with_secret("pins", json!([12345]));
    let books = Books::new(ledger().config(table)).await;
    let expected = json!({
        "text": "plain \"text\"",
        "empty": "",
        "number": "5",
        "float": "0.5",
        "flag": "true",
        "list": "[\"a\",1]",
        "table": "{\"in\":\"side\"}",
        "token": "correct-horse-battery",
        "pins": "[12345]",
    });
    assert_eq!(books.ok(json!("config-all")).await, expected);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(books.ok(json!({ "config": key })).await, *value, "{key}");
    }
    assert_eq!(books.ok(json!({ "config": "nothing" })).await, Value::Null);
}

/// S12, L4: after a change of the config it shows the new one.
#[tokio::test]
async fn s12_the_config_store_follows_a_change_of_the_config() {
    let books = Books::new(ledger().config(config(json!({ "a": "1", "b": "2" })))).await;
    let changed = config(json!({ "a": "3" }));
    books.runtime.reconfigure("ledger", changed).await.unwrap();
    assert_eq!(books.ok(json!("config-all")).await, json!({ "a": "3" }));
}
