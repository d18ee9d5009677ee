//! What is no file and no directory: a FIFO that a guest could wait at for ever, a socket; and paths that are none.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use palisade::{Class, FsMode};
use palisade_tests::{hostile, publishes};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::{Beside, sin_event};

/// A directory with a FIFO in `pipes`, whose other end nobody opens, a socket, and links to the FIFO and around.
fn directory() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("pipes")).unwrap();
    let made = Command::new("mkfifo")
        .arg(root.path().join("pipes/x"))
        .status()
        .unwrap();
    assert!(made.success());
    UnixListener::bind(root.path().join("socket")).unwrap();
    symlink("pipes/x", root.path().join("link")).unwrap();
    symlink("round", root.path().join("about")).unwrap();
    symlink("about", root.path().join("round")).unwrap();
    root
}

async fn granted(root: &TempDir, mode: FsMode, instances: usize) -> Beside {
    let grants = publishes("hostile.>").fs(root.path(), "/data", mode);
    Beside::new(hostile().grants(grants).concurrency(instances)).await
}

async fn error(beside: &Beside, op: Value) -> Value {
    beside.report("hostile.disk", op).await["error"].clone()
}

/// Every way to open one, or to have one opened.
fn openings() -> Vec<Value> {
    let mut all = Vec::new();
    for (path, follow) in [("pipes/x", true), ("pipes/x", false), ("link", true), ("socket", true)] {
        for write in [false, true] {
            all.push(json!({ "op": "open", "path": path, "write": write, "follow": follow }));
        }
    }
    all
}

/// S8, H39: a FIFO or socket is not opened, and no thread of the host is left waiting for its other end: far more such
/// calls than there are threads for one plugin's files are all answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_what_is_no_file_is_not_opened() {
    let root = directory();
    for mode in [FsMode::Write, FsMode::Read] {
        let beside = granted(&root, mode, 1).await;
        for op in openings() {
            assert_eq!(error(&beside, op.clone()).await, "not-permitted", "{op}");
        }
        let list = beside
            .report("hostile.fs", json!({ "op": "list", "path": "/data/pipes" }))
            .await;
        assert_eq!(list["ok"], json!(["x"]));
    }
    let beside = granted(&root, FsMode::Write, 1).await;
    for op in [
        json!({ "op": "touch", "path": "pipes/x" }),
        json!({ "op": "touch", "path": "link" }),
        json!({ "op": "rename", "path": "pipes/x", "to": "y" }),
        json!({ "op": "link", "path": "pipes/x", "to": "y" }),
        json!({ "op": "direct", "path": "link", "bytes": 1 }),
    ] {
        assert_eq!(error(&beside, op.clone()).await, "not-permitted", "{op}");
    }
    let kind = fs::symlink_metadata(root.path().join("pipes/x")).unwrap().file_type();
    assert!(kind.is_fifo());
}

/// S8, H39: nor while another instance of the plugin swaps a directory of files for the one with the FIFO in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_what_is_no_file_is_not_opened_by_a_race() {
    let root = directory();
    fs::create_dir(root.path().join("files")).unwrap();
    fs::write(root.path().join("files/x"), "x").unwrap();
    let beside = granted(&root, FsMode::Write, 2).await;
    let swap = json!({ "op": "swap", "path": "files", "with": "pipes", "times": 500 });
    let open = json!({ "op": "reopen", "path": "files/x", "times": 1500 });
    let (swap, open) = tokio::join!(
        beside.runtime.publish(sin_event("hostile.disk", swap)),
        beside.runtime.publish(sin_event("hostile.disk", open)),
    );
    for report in [swap, open] {
        let report = report.unwrap();
        let outcome = report.of("hostile/sin").unwrap();
        assert_eq!(outcome.class, Class::Ok, "{}", outcome.message());
    }
    let reports = beside.reports().await;
    assert!(reports.iter().all(|report| report["error"].is_null()), "{reports:?}");
}

/// S8, H39: links that lead in a circle, paths that are too long or hold a NUL are errors, and the guest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_paths_that_lead_nowhere_are_errors() {
    let root = directory();
    let beside = granted(&root, FsMode::Write, 1).await;
    for path in [
        "about".to_owned(),
        "about/x".to_owned(),
        "x".repeat(300),
        "d/".repeat(100_000),
        "a\0b".to_owned(),
        String::new(),
        "/".to_owned(),
        "..".to_owned(),
    ] {
        for op in [
            json!({ "op": "open", "path": path, "write": false, "follow": true }),
            json!({ "op": "direct", "path": path, "bytes": 1 }),
            json!({ "op": "rename", "path": path, "to": "y" }),
            json!({ "op": "entries", "path": path }),
        ] {
            let renames_a_link = path == "about" && op["op"] == "rename";
            let answer = error(&beside, op).await;
            assert!(answer.is_string() || renames_a_link, "{path:.40}: {answer}");
        }
        let _ = fs::rename(root.path().join("y"), root.path().join("about"));
    }
    beside.obeys("hostile.ok", Value::Null).await;
}
