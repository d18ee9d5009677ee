//! Callers that go away.

use palisade_tests::properties::cancellation;

use super::inputs::hold;

/// H30, B3, S5: calls that are polled and dropped in any order leak no permit and no instance, and are held against nobody.
#[test]
fn h30_calls_that_are_dropped_anywhere_leak_nothing() {
    hold(file!(), cancellation::check, 150, 160);
}
