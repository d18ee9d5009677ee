//! A guest's clocks: to the millisecond, unless it is granted more.

use palisade::ClockGrant;
use palisade_tests::publishes;
use serde_json::{Value, json};

use super::ledger::{Books, ledger};

const MILLISECOND: u64 = 1_000_000;

fn readings(clocks: &Value, clock: &str) -> Vec<u64> {
    let readings: Vec<_> = clocks[clock]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert_eq!(readings.len(), 500);
    assert!(readings.is_sorted(), "{clock} goes back: {readings:?}");
    readings
}

/// S8: without a grant both clocks tell whole milliseconds, and say so; the wall clock tells the day all the same.
#[tokio::test]
async fn s8_clocks_are_coarse_by_default() {
    let books = Books::new(ledger()).await;
    let before = now();
    let clocks = books.ok(json!({ "clocks": 500 })).await;
    for clock in ["wall", "monotonic"] {
        let finer = readings(&clocks, clock)
            .into_iter()
            .find(|time| time % MILLISECOND != 0);
        assert_eq!(finer, None, "{clock}");
        assert_eq!(clocks[format!("{clock}-resolution")], json!(MILLISECOND));
    }
    for wall in readings(&clocks, "wall") {
        assert!(
            wall >= before - MILLISECOND && wall <= now(),
            "{wall} is another day than {before}"
        );
    }
}

/// S8: with the grant they tell what the host's tell.
#[tokio::test]
async fn s8_clocks_are_precise_when_granted() {
    let grants = publishes("ledger.*").key_value().clocks(ClockGrant::Precise);
    let books = Books::new(ledger().grants(grants)).await;
    let clocks = books.ok(json!({ "clocks": 500 })).await;
    for clock in ["wall", "monotonic"] {
        let finer = readings(&clocks, clock)
            .into_iter()
            .find(|time| time % MILLISECOND != 0);
        assert!(finer.is_some(), "{clock} tells whole milliseconds only");
        let resolution = clocks[format!("{clock}-resolution")].as_u64().unwrap();
        assert!(resolution < MILLISECOND, "{clock}: {resolution}");
    }
}

/// S8: a wait by a coarse clock is not shorter than it was asked for.
#[tokio::test]
async fn s8_a_wait_by_a_coarse_clock_is_long_enough() {
    let books = Books::new(ledger()).await;
    for millis in [0, 1, 5] {
        let waited = books
            .ok(json!({ "wait": millis * MILLISECOND }))
            .await
            .as_u64()
            .unwrap();
        assert!(
            waited >= millis * MILLISECOND && waited % MILLISECOND == 0,
            "{millis} ms: {waited}"
        );
    }
    // Less than it can tell: it must end all the same.
    books.ok(json!({ "wait": 1 })).await;
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}
