//! Streams that a guest doesn't wait for, and writes that no stream has allowed.

use std::fs;

use palisade::{Class, FsMode, PluginState};
use palisade_tests::{hostile, publishes};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::Beside;

const PERMIT: u64 = 64 * 1024;

async fn beside(root: &TempDir, instances: usize) -> Beside {
    let grants = publishes("hostile.>").fs(root.path(), "/data", FsMode::Write);
    Beside::new(hostile().grants(grants).concurrency(instances)).await
}

async fn done(beside: &Beside, op: Value) -> Value {
    let report = beside.report("hostile.disk", op.clone()).await;
    assert_eq!(report["error"], Value::Null, "{op}");
    report["done"].clone()
}

/// S1, S7: a guest that begins writes and reads by two streams, or by many, and waits for none, can make a file all the
/// same, and is no sinner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s7_a_write_that_is_not_waited_for_holds_no_lock() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root, 1).await;
    for streams in [2, 40] {
        let op = json!({ "op": "unwaited", "path": "x", "streams": streams, "keep": false });
        assert_eq!(done(&beside, op).await, streams);
        assert_eq!(fs::metadata(root.path().join("x")).unwrap().len(), PERMIT);
        assert!(root.path().join("x-beside").exists());
        fs::remove_file(root.path().join("x-beside")).unwrap();
    }
    let status = beside.runtime.plugins();
    assert!(status.iter().all(|plugin| plugin.state == PluginState::Started));
}

/// S1, S7: nor does one that is kept for the instance's life: this instance and others write on, and the count is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s7_streams_that_are_kept_hold_no_lock() {
    for instances in [1, 2] {
        let root = TempDir::new().unwrap();
        let beside = beside(&root, instances).await;
        let op = json!({ "op": "unwaited", "path": "x", "streams": 12, "keep": true });
        assert_eq!(done(&beside, op).await, 12);
        for path in ["a", "b", "c"] {
            let op = json!({ "op": "direct", "path": path, "bytes": PERMIT });
            assert_eq!(done(&beside, op).await, PERMIT);
        }
        let op = json!({ "op": "rename", "path": "c", "to": "d" });
        done(&beside, op).await;
    }
}

/// H16: as much as a stream allows is written at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_a_write_within_the_permit_obeyed() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root, 1).await;
    for zeroes in [false, true] {
        let path = format!("zeroes-{zeroes}");
        let op = json!({ "op": "at-once", "path": path, "bytes": PERMIT, "zeroes": zeroes });
        done(&beside, op).await;
        assert_eq!(fs::metadata(root.path().join(path)).unwrap().len(), PERMIT);
    }
}

/// H16: more than that ends the call before the host keeps it, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_a_write_beyond_the_permit_violated() {
    let root = TempDir::new().unwrap();
    let beside = beside(&root, 1).await;
    for (bytes, zeroes) in [
        (PERMIT + 1, false),
        (4 << 20, false),
        (PERMIT + 1, true),
        (1 << 31, true),
    ] {
        let op = json!({ "op": "at-once", "path": "x", "bytes": bytes, "zeroes": zeroes });
        let words = beside.killed("hostile.disk", op, Class::Trap).await;
        assert!(words.contains("allows"), "{words}");
        assert_eq!(fs::metadata(root.path().join("x")).unwrap().len(), 0);
    }
}
