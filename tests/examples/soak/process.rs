//! What the kernel says of this process.

use std::fs;
use std::time::Duration;

/// What could leak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) threads: usize,
    pub(crate) files: usize,
}

impl Held {
    /// As it is now.
    pub(crate) fn now() -> Self {
        let count = |dir| fs::read_dir(dir).map_or(0, Iterator::count);
        Self {
            threads: count("/proc/self/task"),
            // One of them is the directory that is being read.
            files: count("/proc/self/fd").saturating_sub(1),
        }
    }

    /// Whether there is no more of anything than before.
    pub(crate) fn is_within(self, before: Self) -> bool {
        self.threads <= before.threads && self.files <= before.files
    }
}

/// Resident memory in bytes.
pub(crate) fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = pages.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Longer than tokio keeps a thread that waits for blocking work.
const IDLE: Duration = Duration::from_secs(2);

impl Held {
    /// What is there when nothing is going on: threads that wait for blocking work have ended.
    pub(crate) async fn settled_alone() -> Self {
        tokio::time::sleep(IDLE).await;
        Self::now()
    }

    /// Once there is no more than before, or after ten seconds.
    pub(crate) async fn settled(before: Self) -> Self {
        for _ in 0..100 {
            if Self::now().is_within(before) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self::now()
    }
}
