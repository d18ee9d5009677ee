//! How much memory the host takes for what a guest does: measured in a process of its own, where nobody else takes any.
//!
//! A test with such measurements starts itself again, once for each of its cases, by the name it has in this binary; there the
//! case runs, and the test gets its number. So it is the same under `cargo test`, where all tests are one process, and under
//! nextest. What is measured are bytes, never time.

use std::fs;
use std::process::Command;

use futures_util::future::LocalBoxFuture;
use palisade::{CompilerChild, Runtime, RuntimeBuilder};
use palisade_tests::{binary, small_engine};

/// In the environment of such a process: the number of its case.
const CASE: &str = "PALISADE_TESTS_CASE";
/// What comes before the number that it prints.
const ANSWER: &str = "bytes that the case took: ";

/// One case; it answers how many bytes it took.
pub(crate) type Case = LocalBoxFuture<'static, u64>;

/// What a runtime may take for a few calls more, whatever they carry: as much as two calls of the host may carry by their limit
/// (8 MiB each), and so a fraction of every attack.
pub(crate) const FLAT: u64 = 16 << 20;

/// Runs each case of a test in a process of its own. The test is named by its path in this binary.
pub(crate) fn measured<const N: usize>(test: &str, cases: [Case; N]) -> [u64; N] {
    if let Some(case) = std::env::var_os(CASE) {
        let nth: usize = case.to_str().and_then(|nth| nth.parse().ok()).expect("a number");
        let case = cases.into_iter().nth(nth).expect("there is such a case");
        println!("\n{ANSWER}{}", runtime_of_tokio().block_on(case));
        std::process::exit(0);
    }
    std::array::from_fn(|nth| elsewhere(test, nth))
}

fn runtime_of_tokio() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

fn elsewhere(test: &str, nth: usize) -> u64 {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    // One arena, or what one thread gave back another would take anew.
    command.env(CASE, nth.to_string()).env("MALLOC_ARENA_MAX", "1");
    let ended = command
        .args(["--exact", test, "--nocapture"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    let answer = said.lines().find_map(|line| line.strip_prefix(ANSWER)?.parse().ok());
    answer.unwrap_or_else(|| {
        let errors = String::from_utf8_lossy(&ended.stderr);
        panic!("case {nth} of {test} has no answer: {}\n{said}\n{errors}", ended.status)
    })
}

/// A runtime that takes no memory for compiling: that is done beside it, once.
pub(crate) fn lean() -> RuntimeBuilder {
    let cache = binary().parent().expect("its directory").join("test-cache/measured");
    fs::create_dir_all(cache.parent().expect("its directory")).expect("a directory");
    Runtime::builder()
        .engine(small_engine())
        .compiler(CompilerChild::new(binary()).args(["compile-child"]))
        .cache_dir(cache)
}

/// The memory of this process: how much more it had at the most than when the gauge was made.
pub(crate) struct Gauge {
    before: u64,
}

impl Gauge {
    /// To be made when everything has been done once: a first call maps code and fills pools.
    pub(crate) fn begin() -> Self {
        // The most is counted from now on. Where the kernel has no such file, an earlier peak counts too: never too little.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self {
            before: status("VmRSS:"),
        }
    }

    pub(crate) fn added(&self) -> u64 {
        status("VmHWM:").saturating_sub(self.before)
    }
}

fn status(name: &str) -> u64 {
    let all = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = all.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kib * 1024
}
