//! Inputs that are the same in every run.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};

/// Bytes that are shown on one line.
#[derive(Clone)]
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Tries a property on so many inputs of up to so many bytes, the same ones each time: what CI says does not depend on
/// chance. Where one breaks the property, what makes it up again is written to `tests/proptest-regressions/`, to be
/// committed: it is tried first from then on. `source` is the test's `file!()`.
pub(super) fn hold(source: &'static str, property: fn(&[u8]), cases: u32, bytes: usize) {
    let config = Config {
        cases,
        max_shrink_iters: 64,
        source_file: Some(source),
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))),
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&vec(any::<u8>(), 0..=bytes).prop_map(Input), |Input(input)| {
        property(&input);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Seeds: those of every run, or what `PALISADE_SEEDS=FROM..TO` says instead.
pub(super) fn seeds(of_every_run: Range<u64>) -> Range<u64> {
    let Ok(range) = std::env::var("PALISADE_SEEDS") else {
        return of_every_run;
    };
    let (from, to) = range.split_once("..").expect("PALISADE_SEEDS=FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}
