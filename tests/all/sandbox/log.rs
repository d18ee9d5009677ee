//! What a guest says: within its quota, safe to show, and never a reason to end it. The clock stands still in these tests
//! but where they move it, so that the quota is exact.

use std::time::Duration;

use palisade::{Class, LogLevel, Runtime};
use palisade_tests::{hostile, limits};
use serde_json::{Value, json};
use tokio::time::advance;

use super::beside::{Beside, Line, Lines};

const PER_SECOND: u64 = 2000;
/// As much again may come at once.
const BURST: usize = 4000;

async fn logged(bytes: u64) -> (Beside, Lines) {
    let lines = Lines::default();
    let spec = hostile().limits(limits(|limits| limits.log_bytes = bytes));
    let beside = Beside::with(Runtime::builder().log_sink(lines.clone()), spec).await;
    lines.take();
    (beside, lines)
}

fn cost(lines: &[Line]) -> usize {
    lines
        .iter()
        .map(|line| line.context.len() + line.message.len() + 64)
        .sum()
}

/// S1, H20: lines within the quota come, in their order, with plugin, level and where they are from.
#[tokio::test(start_paused = true)]
async fn s1_log_bytes_obeyed() {
    let (beside, lines) = logged(PER_SECOND).await;
    beside.obeys("hostile.flood-log", json!(3)).await;
    beside.obeys("hostile.flood-stdout", json!(2)).await;
    beside.obeys("hostile.flood-stderr", json!(1)).await;
    let lines = lines.take();
    assert!(lines.iter().all(|line| line.plugin == "hostile"), "{lines:?}");
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.level, &*line.context, &*line.message))
        .collect();
    let log = "hostile::sins::output";
    let expected = [
        (LogLevel::Info, log, "hostile log line 0"),
        (LogLevel::Info, log, "hostile log line 1"),
        (LogLevel::Info, log, "hostile log line 2"),
        (LogLevel::Info, "stdout", "hostile stdout line 0"),
        (LogLevel::Info, "stdout", "hostile stdout line 1"),
        (LogLevel::Warn, "stderr", "hostile stderr line 0"),
    ];
    assert_eq!(told, expected);
}

/// S1, H20: a flood of the log, of stdout or of stderr is cut where the quota ends; the plugin lives, and once there is
/// room again the log says how many lines are lacking.
#[tokio::test(start_paused = true)]
async fn s1_h20_log_bytes_violated() {
    for (sin, level) in [
        ("hostile.flood-log", LogLevel::Info),
        ("hostile.flood-stdout", LogLevel::Info),
        ("hostile.flood-stderr", LogLevel::Warn),
    ] {
        let (beside, lines) = logged(PER_SECOND).await;
        beside.obeys(sin, json!(10_000)).await;
        let kept = lines.take();
        assert!(
            (BURST - 128..=BURST).contains(&cost(&kept)),
            "{sin}: {} bytes",
            cost(&kept)
        );
        advance(Duration::from_secs(1)).await;
        beside.obeys("hostile.flood-log", json!(1)).await;
        let after = lines.take();
        let dropped = format!(
            "lines of this plugin that were dropped: {} (plugin.limits.log-bytes)",
            10_000 - kept.len()
        );
        assert_eq!(
            (after[0].level, &*after[0].context, &*after[0].message),
            (LogLevel::Warn, "palisade", &*dropped)
        );
        assert_eq!(after[1].message, "hostile log line 0");
        assert!(kept.iter().all(|line| line.level == level));
    }
}

/// S1, H20: the quota of one plugin is not another's.
#[tokio::test(start_paused = true)]
async fn s1_h20_a_flood_costs_the_others_no_line() {
    let (beside, lines) = logged(PER_SECOND).await;
    let quiet = palisade_tests::hostile_as("quiet").grants(super::beside::only("hostile.flood-stdout"));
    beside.runtime.launch(vec![quiet]).await.unwrap();
    beside.obeys("hostile.flood-log", json!(10_000)).await;
    lines.take();
    let both = super::beside::sin_event("hostile.flood-stdout", json!(5));
    assert!(beside.runtime.publish(both).await.unwrap().all_ok());
    let lines = lines.take();
    assert_eq!(lines.iter().filter(|line| line.plugin == "quiet").count(), 5);
    assert!(
        lines.iter().filter(|line| line.plugin == "hostile").count() < 5,
        "that has spent its own"
    );
}

/// H20: a line of 10 MB is cut to 8 KiB where the operator lets it through at all; without an end it is not even a line.
#[tokio::test(start_paused = true)]
async fn h20_a_very_long_line_is_cut() {
    let lines = Lines::default();
    let spec = hostile().limits(limits(|limits| limits.hostcall_bytes = 32 << 20));
    let beside = Beside::with(Runtime::builder().log_sink(lines.clone()), spec).await;
    beside.obeys("hostile.long-line", Value::Null).await;
    let lines = lines.take();
    assert_eq!(lines.len(), 1);
    let cut = format!("x [{} bytes cut]", (10 << 20) - 8 * 1024);
    assert!(lines[0].message.ends_with(&cut), "{}", lines[0].message.len());
    assert!(lines[0].message.len() < 9 * 1024);
}

/// H20: a million empty writes, and empty lines, cost the quota like others and end nobody.
#[tokio::test(start_paused = true)]
async fn h20_a_million_empty_writes_end_nobody() {
    let (beside, lines) = logged(PER_SECOND).await;
    beside.obeys("hostile.empty-writes", Value::Null).await;
    let kept = lines.take();
    assert!(!kept.is_empty() && cost(&kept) <= BURST, "{} lines", kept.len());
}

/// H20: what drives a terminal, forges a line or turns the text's direction comes escaped.
#[tokio::test(start_paused = true)]
async fn h20_control_characters_of_a_guest_are_escaped() {
    let (beside, lines) = logged(PER_SECOND).await;
    beside.obeys("hostile.ansi", Value::Null).await;
    let lines = lines.take();
    let unsafe_to_show = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(
        lines.iter().all(|line| !line.message.contains(unsafe_to_show)),
        "{lines:?}"
    );
    let escaped =
        "harmless\\n2030-01-01T00:00:00Z ERROR forged line\\r\\u{1b}[2J\\u{1b}[31mred\\u{7}\\u{9b}\\u{202e}\\u{0}";
    assert_eq!(lines[0].message, escaped);
    // On stderr a newline ends a line, which carries its origin like every other.
    assert!(
        lines
            .iter()
            .skip(1)
            .all(|line| line.context == "stderr" && line.plugin == "hostile"),
        "{lines:?}"
    );
    assert_eq!(lines[1].message, "harmless");
    assert!(
        lines[2]
            .message
            .starts_with("2030-01-01T00:00:00Z ERROR forged line\\r\\u{1b}[2J")
    );
}

/// H20, S11: the words of a panic, which end in the outcome's message, are made safe too.
#[tokio::test(start_paused = true)]
async fn h20_the_words_of_a_panic_are_safe_to_show() {
    let (beside, _) = logged(PER_SECOND).await;
    let words = beside
        .killed("hostile.panic", json!("a\u{1b}[2Jb\u{202e}c\nd"), Class::Trap)
        .await;
    assert!(
        !words.contains(|c: char| c.is_control() || c == '\u{202e}'),
        "{words:?}"
    );
}
