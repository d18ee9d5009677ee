//! What must have become of each event after all lives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use palisade::EventOrder;

use super::{CAP, Call, Ended, HandlerPlan, Plan, Record};

/// The store writes times in whole milliseconds.
const WRITTEN: Duration = Duration::from_millis(2);

/// What contradicts the promises.
pub(super) fn compare(plan: &Plan, record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    check_duplicates(plan, record, &mut wrong);
    check_letters_stay(record, &mut wrong);
    for at in 0..plan.handlers.len() {
        let mut handler = OfHandler::new(plan, record, at);
        handler.check();
        wrong.append(&mut handler.wrong);
    }
    wrong
}

/// D6: what was taken before is a duplicate; what was never published before is none.
fn check_duplicates(plan: &Plan, record: &Record, wrong: &mut Vec<String>) {
    for one in &record.published {
        let Some((_, duplicates)) = one.taken else { continue };
        let event = one.publication.event;
        let same = record.published.iter().filter(|other| other.publication.event == event);
        let others: Vec<_> = same.filter(|other| other.began != one.began).collect();
        let taken = |other: &&super::Published| other.taken.is_some_and(|(taken, _)| taken < one.began);
        let all = plan.handlers.len();
        if others.is_empty() && duplicates > 0 || others.iter().any(taken) && duplicates != all {
            wrong.push(format!(
                "event {event} is told to have {duplicates} duplicates: {others:?}"
            ));
        }
    }
}

/// D4: a dead letter is there until somebody takes it away.
fn check_letters_stay(record: &Record, wrong: &mut Vec<String>) {
    for pair in record.letters.windows(2) {
        let [(life, before), (next, after)] = pair else {
            continue;
        };
        for (which, attempts) in before {
            if after.get(which) != Some(attempts) {
                wrong.push(format!(
                    "the letter {which:?} of life {life} is not there in life {next}"
                ));
            }
        }
    }
}

struct OfHandler<'a> {
    plan: &'a Plan,
    record: &'a Record,
    at: usize,
    handler: &'a HandlerPlan,
    calls: BTreeMap<u64, Vec<&'a Call>>,
    wrong: Vec<String>,
}

impl<'a> OfHandler<'a> {
    fn new(plan: &'a Plan, record: &'a Record, at: usize) -> Self {
        let mut calls: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for call in record.calls.iter().filter(|call| call.handler == at) {
            calls.entry(call.event).or_default().push(call);
        }
        Self {
            plan,
            record,
            at,
            handler: &plan.handlers[at],
            calls,
            wrong: Vec::new(),
        }
    }

    fn says(&mut self, event: u64, what: impl std::fmt::Display) {
        self.wrong.push(format!("h{} event {event}: {what}", self.at));
    }

    fn check(&mut self) {
        let letters = self.record.letters.last().map(|(_, letters)| letters.clone());
        let letters = letters.unwrap_or_default();
        let published = self.record.published.iter();
        let taken: BTreeSet<_> = published
            .filter(|one| one.taken.is_some())
            .map(|one| one.publication.event)
            .collect();
        for event in taken {
            let calls = self.calls.get(&event).cloned().unwrap_or_default();
            let handled = calls.iter().any(|call| is_ok(call));
            if !handled && !letters.contains_key(&(self.at, event)) {
                self.says(event, format_args!("was taken and is lost: {calls:?}"));
            }
        }
        for (event, calls) in self.calls.clone() {
            self.check_attempts(event, &calls);
            if let Some(attempts) = letters.get(&(self.at, event)) {
                let last = calls.last().and_then(|call| call.ended);
                let (most, is_rejected) = (self.handler.attempts, matches!(last, Some((_, _, Ended::Rejected))));
                if *attempts > most || (*attempts < most && !is_rejected) || last.is_none_or(|last| last.2 == Ended::Ok)
                {
                    self.says(event, format_args!("a letter after {attempts} attempts: {calls:?}"));
                }
            }
        }
        self.check_order();
    }

    /// D2, D3: the count of attempts, and when the next one is due, outlive the runtime; an attempt that a life did not let
    /// come to its end is spent on nobody.
    fn check_attempts(&mut self, event: u64, calls: &[&Call]) {
        if calls.first().is_some_and(|first| first.attempt != 1) {
            self.says(event, "begins with a later attempt");
        }
        for pair in calls.windows(2) {
            let [before, next] = pair else { continue };
            let is_same_life = before.life == next.life;
            let is_calm = self.plan.lives[before.life].end == super::End::Calm;
            let step = next.attempt.checked_sub(before.attempt);
            let is_right = match (before.ended, step) {
                (Some((_, _, Ended::Retry(_))), Some(1)) => true,
                // It ended, or had begun, and the store was not told before the life was over.
                (_, Some(0)) => !is_same_life && !is_calm,
                _ => false,
            };
            if !is_right || next.attempt > self.handler.attempts || next.replayed {
                self.says(event, format_args!("{before:?}, and then {next:?}"));
            }
            let Some((ended, at, Ended::Retry(Some(after)))) = before.ended else {
                continue;
            };
            let waited = next.began.1.duration_since(at).unwrap_or_default() + WRITTEN;
            if step == Some(1) && (next.began.0 < ended || waited < after.min(CAP)) {
                self.says(
                    event,
                    format_args!("comes after {waited:?}, and {after:?} were asked for"),
                );
            }
        }
    }

    /// B6, in all lives: who was taken first is called first, and in a lane is done with before the next is called.
    fn check_order(&mut self) {
        let mut lanes: BTreeMap<String, BTreeMap<u64, (u64, Option<u64>)>> = BTreeMap::new();
        for one in &self.record.published {
            let is_serial = self.handler.ordering == EventOrder::None && self.handler.concurrency == 1;
            let lane = self.handler.lane(one.publication.key);
            let Some(lane) = lane.or_else(|| is_serial.then(|| "serial".to_owned())) else {
                continue;
            };
            let times = lanes.entry(lane).or_default().entry(one.publication.event);
            // Of an event that was published twice the first one that was told of counts, and the first one that was begun.
            let (began, taken) = times.or_insert((one.began, None));
            *began = (*began).min(one.began);
            let told = one.taken.map(|(told, _)| told);
            *taken = taken.iter().copied().chain(told).min();
        }
        for (lane, events) in lanes {
            self.check_lane(&lane, &events);
        }
    }

    fn check_lane(&mut self, lane: &str, events: &BTreeMap<u64, (u64, Option<u64>)>) {
        let place = |event: &u64, of: fn(&[&Call]) -> Option<u64>| of(self.calls.get(event)?);
        let first = |calls: &[&Call]| calls.first().map(|call| call.began.0);
        // What comes again because its end was not on the disk is no part of the order.
        let last = |calls: &[&Call]| {
            let went_well = calls.iter().find(|call| is_ok(call));
            went_well.or(calls.last()).map(|call| call.began.0)
        };
        let mut wrong = Vec::new();
        for (one, (_, taken)) in events {
            for (two, (began, _)) in events.iter().filter(|(two, _)| *two != one) {
                let (Some(first_one), Some(first_two)) = (place(one, first), place(two, first)) else {
                    continue;
                };
                if taken.is_some_and(|taken| taken < *began) && first_one > first_two {
                    wrong.push((*two, format!("overtakes event {one} of lane {lane}")));
                }
                let one_is_over = place(one, last).is_some_and(|last| last < first_two);
                if lane != "serial" && first_one < first_two && !one_is_over {
                    wrong.push((*two, format!("is called before event {one} of lane {lane} is over")));
                }
            }
        }
        for (event, what) in wrong {
            self.says(event, what);
        }
    }
}

fn is_ok(call: &Call) -> bool {
    matches!(call.ended, Some((_, _, Ended::Ok)))
}
