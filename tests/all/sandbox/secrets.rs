//! L4: what a plugin was told in confidence is not shown when it says it, in whatever form it does.

use palisade::{PluginConfig, REDACTED, Runtime};
use palisade_tests::{hostile, small_engine};
use serde_json::Value;

use super::beside::{Beside, Lines};

/// A key of several lines, with what JSON and `{:?}` escape.
const KEY: &str = "-----BEGIN KEY-----\nMIIE\"quoted\"\\slashed\\\r\n  tail-of-it=\n-----END KEY-----";

/// Parts of which nothing may be seen.
const PARTS: [&str; 5] = ["BEGIN", "MIIE", "quoted", "slashed", "tail"];

/// L4: a key from a file that is logged and printed as it is (and so line by line), as JSON, or as Rust shows it for debugging.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_a_secret_of_several_lines_is_hidden_however_it_is_said() {
    let lines = Lines::default();
    let builder = Runtime::builder().engine(small_engine()).log_sink(lines.clone());
    let blabber = hostile().config(PluginConfig::default().with_secret("secret", KEY));
    let beside = Beside::with(builder, blabber).await;
    beside.obeys("hostile.blab", Value::Null).await;
    let said = lines.take();
    // The key as it is has four lines on stdout.
    assert_eq!(said.len(), 1 + 4 + 4, "{said:?}");
    for line in said {
        assert!(line.message.contains(REDACTED), "{line:?}");
        assert!(!PARTS.iter().any(|part| line.message.contains(part)), "{line:?}");
    }
}
