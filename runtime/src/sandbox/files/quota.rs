//! How much a directory holds, by a count that never says less than there is of the plugin's doing.

use std::fs::File;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime_wasi::p2::FsResult;

/// What an entry is counted in, and the least that one counts: names, empty files and links take room, too.
const BLOCK: u64 = 4096;

/// How long after one measurement the next may come. The first comes at once.
const MEASUREMENTS: Duration = Duration::from_secs(1);

/// What one entry of this size counts.
pub(super) fn cost(size: u64) -> u64 {
    size.max(1).div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// What a directory holds: measured once, and from then on counted. Nothing is ever counted off for what is removed or
/// shortened; a count that reaches the limit is measured again.
#[derive(Debug)]
pub(super) struct Count {
    limit: u64,
    /// `None` before the first measurement.
    used: Option<u64>,
    /// How often it was measured.
    measured: u64,
    /// When it was measured for a second or later time.
    again: Option<Instant>,
}

impl Count {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: None,
            measured: 0,
            again: None,
        }
    }

    /// Of a directory that nothing is written to.
    pub(super) fn unused() -> Self {
        Self {
            used: Some(0),
            ..Self::new(u64::MAX)
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn measured(&self) -> u64 {
        self.measured
    }

    /// Counts so many bytes more, if they fit.
    pub(super) fn take(&mut self, bytes: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        let after = self.used.map(|used| used.saturating_add(bytes));
        let fits = after.is_some_and(|after| after <= self.limit);
        if fits {
            self.used = after;
        }
        fits
    }

    /// Counts off what was taken and then not needed.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used = self.used.map(|used| used.saturating_sub(bytes));
    }

    pub(super) fn may_be_measured(&self) -> bool {
        self.again.is_none_or(|again| again.elapsed() >= MEASUREMENTS)
    }

    /// Takes what a measurement found.
    pub(super) fn set(&mut self, bytes: u64) {
        if self.measured > 0 {
            self.again = Some(Instant::now());
        }
        self.measured += 1;
        self.used = Some(bytes);
    }

    /// It is another directory now.
    pub(super) fn forget(&mut self) {
        self.used = None;
    }
}

/// Acts on a file that may then end where `end` says, given where it ends now. Takes what it may grow by, and gives back
/// what it did not; `None` when there is no room.
pub(super) fn grow_file<T>(
    count: &mut Count,
    file: &File,
    end: impl FnOnce(u64) -> u64,
    act: impl FnOnce() -> FsResult<T>,
) -> FsResult<Option<T>> {
    let before = file.metadata()?.len();
    let taken = cost(end(before)).saturating_sub(cost(before));
    if !count.take(taken) {
        return Ok(None);
    }
    let acted = act();
    let after = file.metadata()?.len();
    let grown = cost(after).saturating_sub(cost(before));
    count.give_back(taken.saturating_sub(grown));
    acted.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_count_in_blocks_and_one_at_least() {
        assert_eq!([0, 1, 4096, 4097].map(cost), [4096, 4096, 4096, 8192]);
        assert!(cost(u64::MAX) > u64::MAX / 2);
    }

    /// S1: what is taken is counted before it is written, and no more than the limit can be.
    #[test]
    fn s1_directory_bytes_are_taken_up_to_the_limit() {
        let mut count = Count::new(100);
        assert!(
            !count.take(1) && count.take(0),
            "nothing is given away before the first measurement"
        );
        count.set(40);
        assert!(count.take(60) && !count.take(1) && count.take(0));
        count.give_back(10);
        assert!(!count.take(11) && count.take(10) && !count.take(u64::MAX));
    }

    /// S1: a full directory is measured again at once the first time, and then once a second at most.
    #[tokio::test(start_paused = true)]
    async fn s1_a_full_directory_is_measured_once_a_second() {
        let mut count = Count::new(100);
        for _ in 0..2 {
            assert!(count.may_be_measured());
            count.set(100);
        }
        assert!(!count.may_be_measured());
        tokio::time::advance(MEASUREMENTS).await;
        assert!(count.may_be_measured());
        count.set(10);
        assert!(count.take(90) && !count.may_be_measured());
    }
}
