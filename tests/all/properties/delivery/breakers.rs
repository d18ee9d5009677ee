//! D5 once more, for handlers all of whose events come by their queue: there a call begins in the moment in which the breaker
//! lets it through.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use palisade::BreakerPolicy;

use super::plan::Plan;
use super::record::{Call, Ended};

/// A breaker as the promise describes it.
struct Model {
    policy: BreakerPolicy,
    row: u32,
    /// When, and whether it failed.
    recent: VecDeque<(Duration, bool)>,
    opened: Option<Duration>,
    /// The place of the probe's call that is under way.
    probe: Option<usize>,
}

enum Step {
    Begins,
    Ends(Ended),
}

/// What contradicts it: calls while a breaker was open, and a second probe.
pub(super) fn breakers(plan: &Plan, calls: &[Call]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, handler) in plan.handlers.iter().enumerate() {
        let Some(policy) = handler.breaker.filter(|_| handler.is_queued_only()) else {
            continue;
        };
        let mut steps = BTreeMap::new();
        for (place, call) in calls.iter().enumerate().filter(|(_, call)| call.handler == at) {
            steps.insert(call.began.place, (place, call.began.at, Step::Begins));
            if let Some((ended, how)) = call.ended {
                steps.insert(ended.place, (place, ended.at, Step::Ends(how)));
            }
        }
        let mut model = Model::new(policy);
        for (call, now, step) in steps.into_values() {
            match step {
                Step::Begins => {
                    if let Err(why) = model.begins(call, now) {
                        let event = calls[call].event;
                        wrong.push(format!("h{at} event {event} is called at {now:?}, but {why}"));
                    }
                }
                Step::Ends(how) => model.ends(call, now, how),
            }
        }
    }
    wrong
}

impl Model {
    fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            row: 0,
            recent: VecDeque::new(),
            opened: None,
            probe: None,
        }
    }

    fn begins(&mut self, call: usize, now: Duration) -> Result<(), String> {
        let Some(opened) = self.opened else { return Ok(()) };
        if now < opened + self.policy.open {
            return Err(format!("its breaker is open since {opened:?}"));
        }
        if self.probe.is_some() {
            return Err("there is a probe already".to_owned());
        }
        self.probe = Some(call);
        Ok(())
    }

    fn ends(&mut self, call: usize, now: Duration, how: Ended) {
        let failed = !matches!(how, Ended::Ok | Ended::Rejected);
        if self.opened.is_some() {
            // What had begun before it opened says nothing.
            if self.probe == Some(call) {
                *self = Self::new(self.policy);
                self.opened = failed.then_some(now);
            }
            return;
        }
        self.row = if failed { self.row + 1 } else { 0 };
        self.recent.retain(|(at, _)| now - *at <= self.policy.window);
        self.recent.push_back((now, failed));
        let failures = self.recent.iter().filter(|(_, failed)| *failed).count();
        let is_enough = self.recent.len() >= self.policy.min_calls as usize;
        let by_rate = is_enough && failures as f64 >= self.policy.rate * self.recent.len() as f64;
        if failed && (self.row >= self.policy.failures || by_rate) {
            *self = Self::new(self.policy);
            self.opened = Some(now);
        }
    }
}
