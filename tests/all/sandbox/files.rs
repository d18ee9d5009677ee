//! Files: none without a grant; with one, the directory and nothing beside it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use palisade::{FsMode, Isolation, LoadError};
use palisade_tests::{hostile, publishes};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::Beside;

/// A directory to grant, `data`, with a secret beside it and links that lead out of it.
fn directory() -> TempDir {
    let root = TempDir::new().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::create_dir(data.join("sub")).unwrap();
    fs::write(data.join("a.txt"), "mine").unwrap();
    fs::write(root.path().join("secret.txt"), "secret").unwrap();
    symlink("../secret.txt", data.join("out")).unwrap();
    symlink(root.path().join("secret.txt"), data.join("out-absolute")).unwrap();
    symlink("..", data.join("up")).unwrap();
    root
}

async fn granted(root: &Path, mode: FsMode) -> Beside {
    let grants = publishes("hostile.>").fs(root.join("data"), "/data", mode);
    Beside::new(hostile().grants(grants)).await
}

async fn run(beside: &Beside, op: Value) -> Value {
    beside.report("hostile.fs", op).await
}

async fn denied(beside: &Beside, op: Value) {
    let report = run(beside, op.clone()).await;
    assert!(report["error"].is_string(), "{op}: {report}");
}

/// Everything that reaches out of the granted directory.
fn escapes(root: &Path) -> Vec<Value> {
    let secret = root.join("secret.txt");
    vec![
        json!({ "op": "read", "path": "/data/../secret.txt" }),
        json!({ "op": "read", "path": "/data/sub/../../secret.txt" }),
        json!({ "op": "read", "path": secret }),
        json!({ "op": "read", "path": "/etc/passwd" }),
        json!({ "op": "read", "path": "/data/out" }),
        json!({ "op": "read", "path": "/data/out-absolute" }),
        json!({ "op": "read", "path": "/data/up/secret.txt" }),
        json!({ "op": "list", "path": "/" }),
        json!({ "op": "list", "path": "/data/.." }),
        json!({ "op": "list", "path": "/data/up" }),
        json!({ "op": "append", "path": "/data/out", "text": "x" }),
        json!({ "op": "truncate", "path": "/data/out" }),
        json!({ "op": "truncate", "path": "/data/../secret.txt" }),
        json!({ "op": "remove", "path": "/data/../secret.txt" }),
        json!({ "op": "rename", "path": "/data/../secret.txt", "to": "/data/stolen" }),
        json!({ "op": "rename", "path": "/data/a.txt", "to": "/data/../given" }),
        json!({ "op": "hard-link", "path": "/data/../secret.txt", "to": "/data/stolen" }),
        json!({ "op": "hard-link", "path": "/data/a.txt", "to": "/data/../given" }),
        json!({ "op": "create-dir", "path": "/data/../given" }),
        json!({ "op": "write", "path": "/data/../given", "mebibytes": 1 }),
        json!({ "op": "write", "path": "/data/up/given", "mebibytes": 1 }),
        json!({ "op": "symlink", "path": "../given", "to": "a.txt" }),
        json!({ "op": "symlink", "path": "absolute", "to": secret }),
    ]
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_untouched_outside(root: &Path) {
    assert_eq!(fs::read_to_string(root.join("secret.txt")).unwrap(), "secret");
    assert_eq!(names(root), ["data", "secret.txt"]);
}

/// S8, H39: without a grant there are no files at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_files_are_denied_by_default() {
    let root = directory();
    let beside = Beside::new(hostile()).await;
    for op in escapes(root.path()) {
        denied(&beside, op).await;
    }
    denied(&beside, json!({ "op": "read", "path": "/data/a.txt" })).await;
    is_untouched_outside(root.path());
}

/// S8, H39: a grant to read lets a plugin read and list its directory, and nothing beside it, by whatever path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_a_grant_to_read_reads_that_directory_only() {
    let root = directory();
    let beside = granted(root.path(), FsMode::Read).await;
    assert_eq!(
        run(&beside, json!({ "op": "read", "path": "/data/a.txt" })).await["ok"],
        "mine"
    );
    assert_eq!(
        run(&beside, json!({ "op": "read", "path": "/data/sub/../a.txt" })).await["ok"],
        "mine"
    );
    assert!(
        run(&beside, json!({ "op": "list", "path": "/data" })).await["ok"]
            .as_array()
            .unwrap()
            .len()
            >= 2
    );
    assert_eq!(
        beside.report("hostile.env", Value::Null).await["directories"],
        json!(["/data"])
    );
    for op in escapes(root.path()) {
        denied(&beside, op).await;
    }
    is_untouched_outside(root.path());
}

/// S8, H39: and it changes nothing there: no write, append, truncate, rename, link or removal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_a_grant_to_read_changes_nothing() {
    let root = directory();
    let data = root.path().join("data");
    let before = names(&data);
    let beside = granted(root.path(), FsMode::Read).await;
    for op in [
        json!({ "op": "write", "path": "/data/new.txt", "mebibytes": 1 }),
        json!({ "op": "write", "path": "/data/a.txt", "mebibytes": 1 }),
        json!({ "op": "append", "path": "/data/a.txt", "text": "x" }),
        json!({ "op": "truncate", "path": "/data/a.txt" }),
        json!({ "op": "remove", "path": "/data/a.txt" }),
        json!({ "op": "rename", "path": "/data/a.txt", "to": "/data/b.txt" }),
        json!({ "op": "hard-link", "path": "/data/a.txt", "to": "/data/b.txt" }),
        json!({ "op": "symlink", "path": "b.txt", "to": "a.txt" }),
        json!({ "op": "create-dir", "path": "/data/new" }),
    ] {
        denied(&beside, op).await;
    }
    assert_eq!(names(&data), before);
    assert_eq!(fs::read_to_string(data.join("a.txt")).unwrap(), "mine");
}

/// S8, H39: a grant to write lets a plugin change its directory, and still nothing beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_a_grant_to_write_writes_that_directory_only() {
    let root = directory();
    let data = root.path().join("data");
    let beside = granted(root.path(), FsMode::Write).await;
    for op in [
        json!({ "op": "append", "path": "/data/a.txt", "text": " and more" }),
        json!({ "op": "write", "path": "/data/new.txt", "mebibytes": 1 }),
        json!({ "op": "rename", "path": "/data/new.txt", "to": "/data/sub/moved.txt" }),
        json!({ "op": "create-dir", "path": "/data/made" }),
        json!({ "op": "symlink", "path": "way-out", "to": "../secret.txt" }),
    ] {
        let report = run(&beside, op.clone()).await;
        assert!(report.get("error").is_none() || op["op"] == "symlink", "{op}: {report}");
    }
    assert_eq!(fs::read_to_string(data.join("a.txt")).unwrap(), "mine and more");
    assert_eq!(fs::metadata(data.join("sub/moved.txt")).unwrap().len(), 1 << 20);
    denied(&beside, json!({ "op": "read", "path": "/data/way-out" })).await;
    for op in escapes(root.path()) {
        denied(&beside, op).await;
    }
    is_untouched_outside(root.path());
    assert!(
        run(&beside, json!({ "op": "remove", "path": "/data/a.txt" })).await["ok"]
            .as_bool()
            .unwrap()
    );
    assert!(!data.join("a.txt").exists());
}

/// S8, H39: a plugin with a grant makes no link that leads out of it, nor moves one to where it would: the host's programs
/// follow links.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_no_link_is_made_that_leads_out() {
    let root = directory();
    let data = root.path().join("data");
    fs::create_dir_all(data.join("sub/deep")).unwrap();
    symlink("sub/deep", data.join("short")).unwrap();
    let beside = granted(root.path(), FsMode::Write).await;
    let link = |path: &str, to: &str| json!({ "op": "symlink", "path": path, "to": to });
    for (path, to) in [
        ("l", "../secret.txt"),
        ("sub/l", "../../secret.txt"),
        ("short/l", "../../../secret.txt"),
        ("l", "./../data/a.txt"),
        ("l", "sub/../a.txt"),
        ("sub/deep/../l", "../../secret.txt"),
    ] {
        denied(&beside, link(path, to)).await;
    }
    for (path, to) in [("sub/in", "../a.txt"), ("short/in", "../../a.txt"), ("same", "a.txt")] {
        let report = run(&beside, link(path, to)).await;
        assert!(report.get("error").is_none(), "{path}: {report}");
    }
    let moves = |op: &str| {
        let pairs = [("/data/sub/in", "/data/in"), ("/data/short/in", "/data/sub/out")];
        pairs.map(|(path, to)| json!({ "op": op, "path": path, "to": to }))
    };
    let deep = json!({ "op": "rename", "path": "/data/sub/deep", "to": "/data/deep" });
    for op in moves("rename").into_iter().chain(moves("hard-link")).chain([deep]) {
        denied(&beside, op).await;
    }
    let aside = json!({ "op": "rename", "path": "/data/sub/deep", "to": "/data/sub/aside" });
    assert!(run(&beside, aside).await.get("error").is_none());
    assert_eq!(
        names(&data),
        ["a.txt", "out", "out-absolute", "same", "short", "sub", "up"]
    );
    assert_eq!(names(&data.join("sub")), ["aside", "in"]);
    is_untouched_outside(root.path());
}

/// S8, H39: a granted directory stays the one that it was when the plugin started, for every instance: whoever may write
/// above it puts nothing else in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_h39_a_granted_directory_is_not_swapped_for_another() {
    let root = directory();
    let (data, outside) = (root.path().join("data"), root.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a.txt"), "not granted").unwrap();
    let grants = publishes("hostile.>").fs(&data, "/data", FsMode::Read);
    let beside = Beside::new(hostile().grants(grants).isolation(Isolation::PerEvent)).await;
    let read = json!({ "op": "read", "path": "/data/a.txt" });
    assert_eq!(run(&beside, read.clone()).await["ok"], "mine");
    fs::rename(&data, root.path().join("away")).unwrap();
    symlink("outside", &data).unwrap();
    assert_eq!(run(&beside, read.clone()).await["ok"], "mine");
    // The operator's start takes what is there by then.
    beside.runtime.stop("hostile").await.unwrap();
    beside.runtime.start("hostile").await.unwrap();
    assert_eq!(run(&beside, read).await["ok"], "not granted");
}

/// S8: a granted directory that is not there keeps the plugin from starting, by a message that names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_granted_directory_that_is_not_there_is_named() {
    let runtime = palisade_tests::runtime();
    let root = TempDir::new().unwrap();
    let grants = publishes("hostile.>").fs(root.path().join("nowhere"), "/data", FsMode::Read);
    let loaded: Result<_, LoadError> = runtime.load(hostile().grants(grants)).await;
    let words = match loaded {
        Err(error) => error.to_string(),
        Ok(_) => runtime.start("hostile").await.unwrap_err().to_string(),
    };
    assert!(
        words.contains("nowhere") && words.contains("granted directory"),
        "{words}"
    );
}
