//! What the README shows is what runs.

use palisade::{Class, Event};
use palisade_tests::{Seen, publishes, runtime_with, spec};
use serde_json::{Value, json};

const README: &str = include_str!("../../../README.md");
const HELLO: &str = include_str!("../../../guest-plugins/hello/src/lib.rs");
const FRONT_PAGE: &str = include_str!("../../../runtime/src/lib.rs");
const STORE: &str = include_str!("../../../runtime/src/store/mod.rs");

/// The fenced blocks of the README in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

/// The first plugin of the README is the one that is built here, and it greets.
#[tokio::test]
async fn the_first_plugin_of_the_readme_runs() {
    let (_, source) = HELLO.split_once("\n\n").expect("a line of docs, then the source");
    assert_eq!(blocks("rust").first().copied(), Some(source));
    let runtime = runtime_with([spec("hello").grants(publishes("greeting.*"))]).await;
    let seen = Seen::published(&runtime);
    let event = Event::builder("user.login", "/me")
        .json(&json!({ "user": "ada" }))
        .build()
        .expect("an event");
    let report = runtime.publish(event).await.expect("published");
    assert_eq!(report.of("hello/greet").map(|outcome| outcome.class), Some(Class::Ok));
    let greeting = seen.wait_for(1).await.remove(0);
    assert_eq!(greeting.json::<Value>().expect("JSON"), json!({ "to": "ada" }));
}

/// The README's lines on embedding stand in the tested example of the crate's front page.
#[test]
fn the_embedding_of_the_readme_is_the_tested_front_page() {
    let shown = blocks("rust").get(1).copied().expect("a second block of Rust");
    for line in shown.lines().filter(|line| !line.trim().is_empty()) {
        assert!(FRONT_PAGE.contains(line.trim()), "not on the front page: {line}");
    }
}

/// Those on a store stand in the tested example of the store.
#[test]
fn the_durable_embedding_of_the_readme_is_the_tested_one() {
    let shown = blocks("rust").get(2).copied().expect("a third block of Rust");
    for line in shown.lines().filter(|line| !line.trim().is_empty()) {
        assert!(STORE.contains(line.trim()), "not in the docs of the store: {line}");
    }
}

/// The README's config has no key that the parser does not know.
#[test]
fn the_config_of_the_readme_is_one() {
    let shown = blocks("toml")
        .into_iter()
        .find(|block| block.contains("[[plugin]]"))
        .expect("a config");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("palisade.toml");
    std::fs::write(&path, shown).expect("written");
    palisade::config::Config::from_file(&path).expect("a config that can be");
}
