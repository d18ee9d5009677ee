//! T9: how late a handler that spins is killed.

use std::time::Duration;

use anyhow::Result;
use palisade_tests::kills;

use crate::arguments::Arguments;
use crate::report::Row;

const WHAT: &str = "kill of a spinning handler, after its deadline, p99";
const DEADLINE: Duration = Duration::from_millis(20);

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let mut late = kills::late("hostile.spin", arguments.count(1_000, 200), DEADLINE).await?;
    late.sort();
    let last = late.len().saturating_sub(1);
    let p99 = late.get(last * 99 / 100).copied().unwrap_or(Duration::MAX);
    Ok(Row::absolute("T9", WHAT, "ms", p99.as_secs_f64() * 1e3, 10.0))
}
