//! B7: what a full queue that blocks does to the intake, and that it is said.

use super::signals::Running;
use super::*;

/// A plugin that gets one event and has room for one more, and a neighbour that has room for all.
fn one_is_slow(overflow: &str) -> Dir {
    Dir::with(&format!(
        "drain = \"1ms\"\n[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\n\
         delivery.queue = {{ events = 1, overflow = \"{overflow}\" }}\n\
         [[plugin]]\npath = \"PLUGINS/probe.wasm\"\ndelivery.queue.overflow = \"drop-oldest\"\n"
    ))
}

fn lines() -> String {
    let ids = ["1", "2", "3", "4", "5"];
    ids.map(|id| line(id, "hostile.sleep", "") + "\n").concat()
}

/// B7: with `block` the intake stands still, nothing is lost without a word, and stderr says for whom it waits.
#[test]
fn b7_an_intake_that_stands_still_says_for_whom() {
    for (log, quotes) in [("pretty", "\""), ("json", "\\\"")] {
        let mut running = Running::start(one_is_slow("block"), &["--stdin", "--log", log]);
        running.send(&lines());
        running.wait_for(&format!(
            "line 3 waits for room in the queue of hostile/sin (1 event in it, and its overflow is {quotes}block{quotes}), and \
             so do the lines after it"
        ));
        running.signal("-TERM");
        let ended = running.wait().expect(3);
        ended.says(&["line", "3", "the run was ended before its queue had room"]);
    }
}

/// B7: with `reject` the same handler holds nobody up: the neighbour gets all that stdin has, and each line that was refused
/// is reported.
#[test]
fn b7_a_queue_that_rejects_holds_up_nobody() {
    let mut running = Running::start(one_is_slow("reject"), &["--stdin"]);
    running.send(&lines());
    // One is at work and one waits, whichever that is; or one waits that is not at work yet.
    for _ in 0..3 {
        running.wait_for("hostile/sin did not get it (overloaded)");
    }
    let more: Vec<_> = (6..=8)
        .map(|id| line(&id.to_string(), "hostile.ok", "") + "\n")
        .collect();
    running.send(&more.concat());
    running.wait_for("line 8: hostile/sin did not get it (overloaded)");
    running.signal("-TERM");
    let ended = running.wait().expect(3);
    assert_eq!((ended.row("lines"), ended.row("published")), ("8", "8"));
    assert!(!ended.stderr.contains("waits for room"), "{}", ended.stderr);
}
