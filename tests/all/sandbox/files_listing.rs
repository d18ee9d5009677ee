//! Listing a directory: up to a limit, and with little of the host's memory however many are listed at a time.

use std::fs;

use palisade::{Class, FsMode, PluginSpec, Runtime};
use palisade_tests::{hostile, limits, publishes};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::{Beside, Lines};

fn directory(files: usize) -> TempDir {
    let root = TempDir::new().unwrap();
    for at in 0..files {
        fs::write(root.path().join(format!("file-{at}")), "").unwrap();
    }
    root
}

fn listing(root: &TempDir, entries: usize) -> PluginSpec {
    let grants = publishes("hostile.>").fs(root.path(), "/data", FsMode::Read);
    hostile()
        .grants(grants)
        .limits(limits(|limits| limits.directory_entries = entries))
}

/// S1, H18: a directory with as many entries as may be is listed whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_entries_obeyed() {
    let root = directory(300);
    let beside = Beside::new(listing(&root, 300)).await;
    let report = beside
        .report("hostile.disk", json!({ "op": "entries", "path": "." }))
        .await;
    assert_eq!((&report["done"], &report["error"]), (&json!(300), &Value::Null));
    let list = beside
        .report("hostile.fs", json!({ "op": "list", "path": "/data" }))
        .await;
    let mut names: Vec<_> = list["ok"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 300);
}

/// S1, H18: of one with more the guest gets so many and then `quota`, and goes on. Its log says once which limit it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_entries_violated() {
    let (root, lines) = (directory(300), Lines::default());
    let beside = Beside::with(Runtime::builder().log_sink(lines.clone()), listing(&root, 299)).await;
    for _ in 0..2 {
        let report = beside
            .report("hostile.disk", json!({ "op": "entries", "path": "." }))
            .await;
        assert_eq!((&report["done"], &report["error"]), (&json!(299), &json!("quota")));
    }
    beside.obeys("hostile.ok", Value::Null).await;
    let said: Vec<_> = lines.take().into_iter().map(|line| line.message).collect();
    let expected = "hostile has listed more than 299 entries in a directory of /data (plugin.limits.directory-entries)";
    assert_eq!(said, [expected]);
}

/// S1, H18: many listings at a time are handles like others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h18_listings_are_handles() {
    let root = directory(300);
    let beside = Beside::new(listing(&root, 10_000)).await;
    let report = beside
        .report("hostile.disk", json!({ "op": "listings", "path": ".", "count": 200 }))
        .await;
    assert_eq!((&report["done"], &report["error"]), (&json!(200), &Value::Null));
    let words = beside
        .killed(
            "hostile.disk",
            json!({ "op": "listings", "path": ".", "count": 1000 }),
            Class::HostLimit,
        )
        .await;
    assert!(words.contains("its limit is 256 (plugin.limits.handles)"), "{words}");
}
