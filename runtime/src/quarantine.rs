//! When something has failed too often to go on (S7): how many faults within which time, and the count of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::handler::Fault;

/// How many faults a plugin may have within which time. With one more it is quarantined: it gets no event, and its instances
/// are thrown away, until it is started again.
///
/// Only what the guest is to blame for [counts](crate::Fault::is_guest_fault). A call that was stopped because its publisher
/// would wait no longer ([`publish_within`](crate::Runtime::publish_within)) never does, however often that happens, or
/// publishers in a hurry could take a plugin from everyone else: only a call that has had all the time which the plugin's
/// limits, its handler or `filter.timeout` give it has hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantinePolicy {
    /// How many faults are borne; 5. The one after them is one too many.
    pub faults: u32,
    /// The time in which they count; 60 s.
    pub window: Duration,
}

impl Default for QuarantinePolicy {
    fn default() -> Self {
        Self {
            faults: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// The faults of late. Remembers as many as the policy bears, and one.
pub(crate) struct FaultCount {
    policy: QuarantinePolicy,
    recent: Mutex<VecDeque<Instant>>,
}

impl FaultCount {
    pub(crate) fn new(policy: QuarantinePolicy) -> Self {
        Self {
            policy,
            recent: Mutex::default(),
        }
    }

    /// Counts a fault; where there are too many now, says how many.
    pub(crate) fn add(&self) -> Option<usize> {
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.policy.faults as usize;
        while recent.len() > most || recent.front().is_some_and(|first| self.is_past(*first, now)) {
            recent.pop_front();
        }
        recent.push_back(now);
        (recent.len() > most).then_some(recent.len())
    }

    pub(crate) fn policy(&self) -> QuarantinePolicy {
        self.policy
    }

    fn is_past(&self, fault: Instant, now: Instant) -> bool {
        now.saturating_duration_since(fault) > self.policy.window
    }
}

/// What a plugin is quarantined for.
#[derive(Debug)]
pub(crate) struct Quarantined {
    /// The last fault, which was one too many.
    pub(crate) fault: Fault,
    /// How many there were.
    pub(crate) faults: usize,
    /// In this time.
    pub(crate) window: Duration,
    /// For whoever asks why it takes no event: what happened, and what brings it back.
    pub(crate) words: Arc<str>,
}

impl Quarantined {
    /// `key` is the config key of the policy.
    pub(crate) fn new(plugin: &str, key: &str, policy: QuarantinePolicy, faults: usize, fault: &Fault) -> Self {
        let window = policy.window;
        let words = format!(
            "{plugin} is quarantined after {faults} faults in {window:?}, the last of them {fault}; start it again to bring \
             it back ({key})"
        );
        Self {
            fault: fault.clone(),
            faults,
            window,
            words: words.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;

    const SECOND: Duration = Duration::from_secs(1);

    fn count(faults: u32, seconds: u32) -> FaultCount {
        FaultCount::new(QuarantinePolicy {
            faults,
            window: SECOND * seconds,
        })
    }

    /// S7: the default is more than 5 faults in 60 s.
    #[tokio::test(start_paused = true)]
    async fn s7_the_sixth_fault_in_a_minute_is_one_too_many() {
        let count = FaultCount::new(QuarantinePolicy::default());
        for _ in 0..5 {
            assert_eq!(count.add(), None);
            tokio::time::advance(SECOND * 12).await;
        }
        assert_eq!(count.add(), Some(6), "60 s after the first");
    }

    /// S7: a fault that is older than the window does not count any more, one at its edge does.
    #[tokio::test(start_paused = true)]
    async fn s7_faults_are_forgotten_after_the_window() {
        let count = count(1, 60);
        assert_eq!(count.add(), None);
        tokio::time::advance(SECOND * 60 + Duration::from_millis(1)).await;
        assert_eq!(count.add(), None);
        tokio::time::advance(SECOND * 60).await;
        assert_eq!(count.add(), Some(2));
    }

    /// S7: a count that nobody heeds takes no more room than the policy's faults.
    #[tokio::test(start_paused = true)]
    async fn s7_the_count_is_bounded() {
        let count = count(2, 60);
        let counted: Vec<_> = (0..100).map(|_| count.add()).collect();
        assert!(counted.iter().skip(2).all(|faults| *faults == Some(3)), "{counted:?}");
    }

    /// S7, D9: what a quarantined plugin answers.
    #[test]
    fn s7_the_words_name_the_plugin_the_fault_the_way_back_and_the_key() {
        let policy = QuarantinePolicy::default();
        let fault = Fault::new(Class::Trap, "guest trapped");
        let why = Quarantined::new("guest", "plugin.quarantine", policy, 6, &fault);
        let words = "guest is quarantined after 6 faults in 60s, the last of them trap: guest trapped; start it again to \
                     bring it back (plugin.quarantine)";
        assert_eq!(&*why.words, words);
    }
}
