//! How much a directory may hold: by whatever way it is filled, the guest is told `quota` and goes on.

use std::fs;
use std::path::Path;

use palisade::{Class, FsMode, Grants, Limits, PluginSpec, Runtime};
use palisade_tests::{config, event, hostile, limits, publishes, runtime_with, spec};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::{Beside, Lines, sin_event};

const KIB: u64 = 1024;
const LIMIT: u64 = 256 * KIB;

fn filling(root: &TempDir, directory_bytes: u64) -> PluginSpec {
    let grants = publishes("hostile.>").fs(root.path(), "/data", FsMode::Write);
    let change = |limits: &mut Limits| limits.directory_bytes = directory_bytes;
    hostile().grants(grants).limits(limits(change))
}

async fn beside(root: &TempDir) -> Beside {
    Beside::new(filling(root, LIMIT)).await
}

async fn disk(beside: &Beside, op: Value) -> Value {
    beside.report("hostile.disk", op).await
}

/// What the files of a directory have, as `quota` counts it.
fn held(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| entry.metadata().unwrap().len().max(1).div_ceil(4096) * 4096)
        .sum()
}

/// The ways to write so many bytes to a file.
fn ways(bytes: u64) -> [Value; 3] {
    ["direct", "stream", "append"].map(|op| json!({ "op": op, "path": op, "bytes": bytes }))
}

/// S1, H39: what is within the quota is written whole, by every way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_obeyed() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root).await;
    for op in ways(80 * KIB) {
        let report = disk(&beside, op.clone()).await;
        assert_eq!(
            (&report["done"], &report["error"]),
            (&json!(80 * KIB), &Value::Null),
            "{op}"
        );
    }
    assert_eq!(held(root.path()), 240 * KIB);
}

/// S1: what is beyond is refused with `quota`, the disk never holds more, and the plugin goes on. Its log says once which
/// limit it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_violated_by_writing() {
    for op in ways(1024 * KIB) {
        let (root, lines) = (TempDir::new().unwrap(), Lines::default());
        let builder = Runtime::builder().log_sink(lines.clone());
        let beside = Beside::with(builder, filling(&root, LIMIT)).await;
        for _ in 0..2 {
            let report = disk(&beside, op.clone()).await;
            assert_eq!(report["error"], "quota", "{op}");
            assert!(held(root.path()) <= LIMIT, "{op}: {}", held(root.path()));
        }
        assert!(held(root.path()) > LIMIT / 2, "{op}");
        beside.obeys("hostile.ok", Value::Null).await;
        let said: Vec<_> = lines.take().into_iter().map(|line| line.message).collect();
        let expected = "hostile has filled /data: its limit is 256 KiB (plugin.limits.directory-bytes)";
        assert_eq!(said, [expected], "{op}");
    }
}

/// S1: neither does a length without content, a hole, or any number of empty files, names and directories pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_violated_by_what_has_no_bytes() {
    for op in [
        json!({ "op": "set-size", "path": "long", "bytes": 1_u64 << 40 }),
        json!({ "op": "hole", "path": "hole", "offset": 1_u64 << 40 }),
        json!({ "op": "hole", "path": "hole", "offset": u64::MAX }),
        json!({ "op": "many", "path": "empty", "count": 1000 }),
    ] {
        let root = TempDir::new().unwrap();
        let beside = beside(&root).await;
        assert_eq!(disk(&beside, op.clone()).await["error"], "quota", "{op}");
        assert!(held(root.path()) <= LIMIT, "{op}");
        beside.obeys("hostile.ok", Value::Null).await;
    }
}

/// S1: a file that has lost its name and is still open takes its room, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_violated_by_files_without_a_name() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root).await;
    let report = disk(
        &beside,
        json!({ "op": "nameless", "path": "x", "files": 20, "bytes": 64 * KIB }),
    )
    .await;
    assert_eq!(report["error"], "quota");
    assert!(report["done"].as_u64().unwrap() <= LIMIT, "{report}");
    assert_eq!(held(root.path()), 0);
}

/// S1: what others have put there counts, and the plugin is told at its first write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_count_what_was_there_before() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("below")).unwrap();
    fs::write(root.path().join("below/file"), vec![0; LIMIT as usize]).unwrap();
    let beside = beside(&root).await;
    let report = disk(&beside, json!({ "op": "direct", "path": "x", "bytes": 1 })).await;
    assert_eq!((&report["done"], &report["error"]), (&json!(0), &json!("quota")));
    assert!(!root.path().join("x").exists());
}

/// S1: writing over what is there takes no room, however often; nor does a file that is written anew for ever fill a
/// directory, since it is measured again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_are_not_used_up_by_writing_over() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root).await;
    for op in [
        json!({ "op": "overwrite", "path": "a", "times": 100 }),
        json!({ "op": "rewrite", "path": "b", "times": 4 }),
    ] {
        let report = disk(&beside, op.clone()).await;
        assert_eq!(
            (&report["done"], &report["error"]),
            (&op["times"], &Value::Null),
            "{op}"
        );
    }
    assert_eq!(held(root.path()), 128 * KIB);
}

/// S1: what somebody removes makes room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_come_back_when_files_are_removed() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root).await;
    let fill = json!({ "op": "direct", "path": "x", "bytes": 200 * KIB });
    assert_eq!(disk(&beside, fill.clone()).await["error"], Value::Null);
    fs::remove_file(root.path().join("x")).unwrap();
    let report = disk(&beside, fill).await;
    assert_eq!((&report["done"], &report["error"]), (&json!(200 * KIB), &Value::Null));
}

/// S1: two instances at the same time share one quota.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_directory_bytes_are_the_plugins_and_not_each_instances() {
    let root = TempDir::new().unwrap();
    let beside = Beside::new(filling(&root, LIMIT).concurrency(2)).await;
    let fill = |path| {
        let op = json!({ "op": "append", "path": path, "bytes": 10 * LIMIT });
        beside.runtime.publish(sin_event("hostile.disk", op))
    };
    let (one, other) = tokio::join!(fill("one"), fill("other"));
    for report in [one, other] {
        let report = report.unwrap();
        let outcome = report.of("hostile/sin").unwrap();
        assert_eq!(outcome.class, Class::Ok, "{}", outcome.message());
    }
    let reports = beside.reports().await;
    assert!(reports.iter().all(|report| report["error"] == "quota"), "{reports:?}");
    assert!(held(root.path()) <= LIMIT && held(root.path()) > LIMIT / 2);
}

/// S1: what is in one granted directory can't be moved to another, past the count of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_granted_directory_is_a_disk_of_its_own() {
    let (root, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(root.path().join("x"), "x").unwrap();
    let grants = publishes("hostile.>").fs(root.path(), "/data", FsMode::Write);
    let beside = Beside::new(hostile().grants(grants.fs(other.path(), "/other", FsMode::Write))).await;
    let report = disk(&beside, json!({ "op": "move", "path": "x" })).await;
    assert_eq!(report["error"], "cross-device");
    assert!(root.path().join("x").exists());
}

/// S1: the audit logger with a full directory asks to be given the event again, and says which key it is about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_the_audit_logger_tells_of_a_full_directory() {
    let root = TempDir::new().unwrap();
    let grants = Grants::default().fs(root.path(), "/audit", FsMode::Write);
    let small = limits(|limits| limits.directory_bytes = 64 * KIB);
    let logger = spec("audit-logger").grants(grants).limits(small);
    let runtime = runtime_with([logger.config(config(json!({ "file": "/audit/audit.ndjson" })))]).await;
    let mut classes = Vec::new();
    for _ in 0..10 {
        let large = event("user.login", json!({ "padding": "x".repeat(10 * KIB as usize) }));
        let report = runtime.publish(large).await.unwrap();
        let outcome = report.of("audit-logger/audit").unwrap();
        if outcome.class == Class::Retry {
            assert!(
                outcome.message().contains("plugin.limits.directory-bytes"),
                "{}",
                outcome.message()
            );
        }
        classes.push(outcome.class);
    }
    assert_eq!(
        (classes.first(), classes.last()),
        (Some(&Class::Ok), Some(&Class::Retry))
    );
    assert!(
        classes.iter().all(|class| matches!(class, Class::Ok | Class::Retry)),
        "{classes:?}"
    );
    assert!(held(root.path()) <= 64 * KIB);
}
