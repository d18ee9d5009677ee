//! What one call of the host may carry and leave behind: bytes, handles, random bytes.

use palisade::{Class, Limits, PluginSpec};
use palisade_tests::{hostile, limits};
use serde_json::{Value, json};

use super::beside::Beside;

const MIB: usize = 1024 * 1024;

fn with(change: impl FnOnce(&mut Limits)) -> PluginSpec {
    hostile().limits(limits(change))
}

/// S1, H16: an answer within the limit is taken, and what is kept of a long text is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_hostcall_bytes_obeyed() {
    let beside = Beside::new(hostile()).await;
    let outcome = beside.sin("hostile.big-answer", json!(1)).await;
    assert_eq!(outcome.class, Class::Rejected);
    assert!(
        outcome.message().len() < 9 * 1024,
        "{} bytes are kept",
        outcome.message().len()
    );
    assert!(outcome.message().ends_with(" bytes cut]"), "{}", outcome.message());
}

/// S1, S11, H16: a larger answer ends the call; the words name the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s11_h16_hostcall_bytes_violated_by_an_answer() {
    let beside = Beside::new(hostile()).await;
    let words = beside.killed("hostile.big-answer", Value::Null, Class::HostLimit).await;
    assert!(
        words.contains("its limit is 8 MiB (plugin.limits.hostcall-bytes)"),
        "{words}"
    );
    let beside = Beside::new(with(|limits| limits.hostcall_bytes = MIB / 2)).await;
    beside.killed("hostile.big-answer", json!(1), Class::HostLimit).await;
}

/// S1, S11, H16: so does a line of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h16_hostcall_bytes_violated_by_a_line_of_the_log() {
    let beside = Beside::new(hostile()).await;
    beside.obeys("hostile.long-line", json!(1)).await;
    let words = beside.killed("hostile.long-line", Value::Null, Class::HostLimit).await;
    assert!(words.contains("plugin.limits.hostcall-bytes"), "{words}");
}

/// S1, H16: so does an event of many megabytes, and one with very many empty pieces, before the host has a copy of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h16_hostcall_bytes_violated_by_an_event() {
    let beside = Beside::new(hostile()).await;
    for (sin, data) in [("hostile.big-publish", json!(12)), ("hostile.big-list", json!(300_000))] {
        let words = beside.killed(sin, data, Class::HostLimit).await;
        assert!(words.contains("plugin.limits.hostcall-bytes"), "{words}");
    }
}

/// S1, H16: the limit is that of one call, not of all: many small ones pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_hostcall_bytes_are_counted_for_each_call_anew() {
    let beside = Beside::new(with(|limits| limits.hostcall_bytes = 16 * 1024)).await;
    beside.obeys("hostile.flood-log", json!(5000)).await;
}

/// S1, H18: a guest may hold handles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_handles_obeyed() {
    let beside = Beside::new(hostile()).await;
    beside.obeys("hostile.handles", json!(100)).await;
}

/// S1, S11, H18: one that opens them for ever is ended; the words name limit and key. Its handles go with its instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s11_h18_handles_violated() {
    let beside = Beside::new(hostile()).await;
    let words = beside.killed("hostile.handles", Value::Null, Class::HostLimit).await;
    assert!(
        words.contains("one handle more than it may hold; its limit is 256 (plugin.limits.handles)"),
        "{words}"
    );
    let beside = Beside::new(with(|limits| limits.handles = 64)).await;
    beside.killed("hostile.handles", json!(100), Class::HostLimit).await;
    beside.obeys("hostile.handles", json!(10)).await;
}

/// S1, H19: a guest gets the random bytes it may ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_random_bytes_obeyed() {
    let beside = Beside::new(with(|limits| limits.random_bytes = MIB as u64)).await;
    assert_eq!(beside.report("hostile.big-random", json!(1)).await["bytes"], MIB);
}

/// S1, S11, H19: one that asks for more at a time is ended, and the host never makes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s11_h19_random_bytes_violated() {
    let beside = Beside::new(hostile()).await;
    for (mebibytes, asked) in [(json!(1), "asked for 1 MiB of"), (Value::Null, "asked for 1 GiB of")] {
        let words = beside.killed("hostile.big-random", mebibytes, Class::HostLimit).await;
        assert!(
            words.contains(asked) && words.contains("its limit is 64 KiB (plugin.limits.random-bytes)"),
            "{words}"
        );
    }
}
