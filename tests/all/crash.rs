//! The crash test in its short form; `cargo xtask crash` is the long one, and `palisade_tests::crash` says what is done.

use palisade_tests::crash::{Child, Plan, run};

/// How this test is called so that nothing else runs in the process: it is its own child.
const THIS: [&str; 3] = [
    "crash::d8_what_was_acknowledged_survives_kills",
    "--exact",
    "--nocapture",
];

/// Each way to die once: while publishing, with a large log, while loading what is owed, at a shutdown, while opening the store.
const ROUNDS: u32 = 6;

/// D1, D2, D6, D7, D8, B6, S12, H44: a process that takes durable events is killed with SIGKILL at random moments and started
/// again. Nothing whose publish had returned is lost; outbox, key-value writes and acknowledgement are there together or not at
/// all; first attempts keep the order of their key; what comes twice has the same id; dead letters are those that are due; what
/// is published again is known.
#[test]
fn d8_what_was_acknowledged_survives_kills() {
    if let Some(child) = Child::from_environment() {
        return child.run().expect("nothing fails but by a kill");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let plan = Plan {
        rounds: ROUNDS,
        seed: uuid::Uuid::new_v4().as_u64_pair().0,
        directory: directory.path().to_owned(),
        arguments: THIS.map(Into::into).to_vec(),
    };
    let verdict = run(&plan).expect("it can be tried");
    if !verdict.findings.is_empty() {
        panic!("{verdict}\nsee {}", directory.keep().display());
    }
    println!("{verdict}");
}
