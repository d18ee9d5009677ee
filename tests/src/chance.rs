//! Chance that can be had again: the same seed gives every task the same choices.

use std::time::Duration;

/// SplitMix64: small, and good enough to choose by.
pub struct Chance(u64);

impl Chance {
    /// The chance of one task of a run.
    pub fn of_task(seed: u64, task: usize) -> Self {
        Self(seed ^ (task as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// Waits for up to so many milliseconds.
    pub async fn pause(&mut self, millis: u64) {
        tokio::time::sleep(Duration::from_micros(self.below(millis * 1000))).await;
    }
}
