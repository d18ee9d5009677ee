//! What the promises say must have become of each event, told from what went in and from the policies alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use palisade::{BusStats, Class, DeadLetter, DeadLetterReason, EventOrder, HandlerStats, Overflow};

use super::bench::number;
use super::plan::{HandlerPlan, Kind, Plan};
use super::record::{Answer, Call, Ended, Moment, Record, Told};

pub(super) use super::breakers::breakers;

/// A dead letter of one of the handlers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    pub(super) handler: usize,
    pub(super) event: u64,
    class: Class,
    attempts: u32,
}

impl Letter {
    pub(super) fn of(letter: &DeadLetter) -> Option<Self> {
        let name = letter.handler.as_ref()?.to_string();
        let DeadLetterReason::Failed(class) = letter.reason else {
            return None;
        };
        Some(Self {
            handler: name.strip_prefix('h')?.parse().ok()?,
            event: number(&letter.event),
            class,
            attempts: letter.attempts,
        })
    }
}

/// What there is to compare, when all is quiet.
pub(super) struct Seen<'a> {
    pub(super) plan: &'a Plan,
    pub(super) record: &'a Record,
    pub(super) letters: Vec<Letter>,
    /// In the order of the plan.
    pub(super) handlers: Vec<HandlerStats>,
    pub(super) stats: BusStats,
}

/// What contradicts the promises.
pub(super) fn compare(seen: &Seen<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_handlers: Vec<_> = (0..seen.plan.handlers.len())
        .map(|at| {
            let mut handler = OfHandler::new(seen, at);
            handler.check();
            wrong.append(&mut handler.wrong);
            handler.lost
        })
        .collect();
    check_drops(seen, &of_handlers, &mut wrong);
    check_totals(seen, &mut wrong);
    wrong
}

/// One event on its way to one handler that its queue has taken, or may have.
#[derive(Clone, Copy)]
struct Journey {
    event: u64,
    /// It was not taken before, or after.
    taken: (Moment, Option<Moment>),
    /// Nobody knows whether it was taken: the publisher went away.
    is_doubtful: bool,
    is_child: bool,
}

/// One handler against its plan.
struct OfHandler<'a> {
    seen: &'a Seen<'a>,
    at: usize,
    plan: &'a HandlerPlan,
    calls: BTreeMap<u64, Vec<&'a Call>>,
    letters: BTreeMap<u64, Vec<Letter>>,
    /// Taken, and neither handled nor a dead letter.
    lost: BTreeSet<u64>,
    /// Events that nobody knows of whether they were taken, and that never came.
    doubtful: u64,
    /// Direct calls that were not made for want of a turn: their queue may have dropped them.
    turned_away: u64,
    wrong: Vec<String>,
}

impl<'a> OfHandler<'a> {
    fn new(seen: &'a Seen<'a>, at: usize) -> Self {
        let mut calls: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for call in seen.record.calls.iter().filter(|call| call.handler == at) {
            calls.entry(call.event).or_default().push(call);
        }
        let mut letters: BTreeMap<u64, Vec<Letter>> = BTreeMap::new();
        for letter in seen.letters.iter().filter(|letter| letter.handler == at) {
            letters.entry(letter.event).or_default().push(*letter);
        }
        Self {
            seen,
            at,
            plan: &seen.plan.handlers[at],
            calls,
            letters,
            lost: BTreeSet::new(),
            doubtful: 0,
            turned_away: 0,
            wrong: Vec::new(),
        }
    }

    fn says(&mut self, event: u64, what: impl std::fmt::Display) {
        self.wrong.push(format!("h{} event {event}: {what}", self.at));
    }

    fn calls(&self, event: u64) -> Vec<&'a Call> {
        self.calls.get(&event).cloned().unwrap_or_default()
    }

    fn letters(&self, event: u64) -> Vec<Letter> {
        self.letters.get(&event).cloned().unwrap_or_default()
    }

    fn check(&mut self) {
        let mut known = BTreeSet::new();
        for one in &self.seen.record.published {
            let event = one.publication.event;
            if !self.plan.kinds.contains(&one.publication.kind) {
                continue;
            }
            known.insert(event);
            match &one.answer {
                Answer::Receipt { refused, .. } if refused.contains(&self.at) => self.nothing_came(event, "refused"),
                Answer::Report(told) => match told.get(&self.at) {
                    Some(told) => self.was_called_directly(event, *told),
                    None => self.says(event, "is not in the report"),
                },
                Answer::Gone if one.how().is_direct() => self.may_have_been_called(event),
                _ => self.ends_one_way(Journey {
                    event,
                    taken: (one.began, Some(one.ended)),
                    is_doubtful: one.is_gone(),
                    is_child: false,
                }),
            }
        }
        for child in &self.seen.record.children {
            if self.plan.kinds.contains(&Kind::Queued) {
                known.insert(child.event);
                self.ends_one_way(Journey {
                    event: child.event,
                    taken: (child.released, None),
                    is_doubtful: false,
                    is_child: true,
                });
            }
        }
        let came: Vec<_> = self.calls.keys().chain(self.letters.keys()).copied().collect();
        for event in came.into_iter().filter(|event| !known.contains(event)) {
            self.says(event, "came, though nobody published it to this handler");
        }
        self.check_order();
        self.check_counts();
    }

    fn nothing_came(&mut self, event: u64, why: &str) {
        if !self.calls(event).is_empty() || !self.letters(event).is_empty() {
            self.says(event, format_args!("was {why}, and came all the same"));
        }
    }

    /// B3: exactly one attempt, or none and a reason.
    fn was_called_directly(&mut self, event: u64, told: Told) {
        let calls = self.calls(event);
        let is_told = match (told.attempts, told.class) {
            (0, Class::Overloaded) => {
                self.turned_away += 1;
                calls.is_empty()
            }
            (0, Class::BreakerOpen) => calls.is_empty() && self.plan.breaker.is_some(),
            // It had no permit by its deadline.
            (1, Class::Overloaded) => calls.is_empty(),
            (1, class) => matches!(&calls[..], [call] if is_direct(call) && class_of(call) == Some(class)),
            _ => false,
        };
        if !is_told || !self.letters(event).is_empty() {
            self.says(event, format_args!("publish told {told:?} of {calls:?}"));
        }
    }

    fn may_have_been_called(&mut self, event: u64) {
        let calls = self.calls(event);
        if calls.is_empty() {
            self.doubtful += 1;
        }
        if calls.len() > 1 || !calls.iter().all(|call| is_direct(call)) || !self.letters(event).is_empty() {
            self.says(event, format_args!("a publish that was dropped came as {calls:?}"));
        }
    }

    /// D3, D4: it is handled, or a dead letter, or dropped; and before that as often tried as the policy says.
    fn ends_one_way(&mut self, journey: Journey) {
        let event = journey.event;
        let (calls, letters) = (self.calls(event), self.letters(event));
        self.check_attempts(&journey, &calls);
        let handled = calls.iter().filter(|call| class_of(call) == Some(Class::Ok)).count();
        match (handled, &letters[..]) {
            (1, []) => {
                if calls.last().and_then(|call| class_of(call)) != Some(Class::Ok) {
                    self.says(event, "was tried again after it had been handled");
                }
            }
            (0, [letter]) => self.check_letter(&journey, &calls, *letter),
            (0, []) if !calls.is_empty() => {
                self.says(event, format_args!("is gone after {} attempts", calls.len()));
            }
            (0, []) if journey.is_doubtful => self.doubtful += 1,
            (0, []) => drop(self.lost.insert(event)),
            _ => self.says(
                event,
                format_args!("was handled {handled} times and is {} letters", letters.len()),
            ),
        }
    }

    /// D3: one after the other, no more than the policy says, not before the time that the handler asked for, and not when the
    /// event is too old, unless it had to wait for others.
    fn check_attempts(&mut self, journey: &Journey, calls: &[&Call]) {
        let (event, retry) = (journey.event, self.plan.retry);
        let is_exact = self.plan.is_queued_only();
        for (place, call) in calls.iter().enumerate() {
            let attempt = place as u32 + 1;
            if call.attempt > retry.attempts || call.attempt < attempt || (is_exact && call.attempt != attempt) {
                self.says(
                    event,
                    format_args!(
                        "its attempt {attempt} of {} is told as {}",
                        retry.attempts, call.attempt
                    ),
                );
            }
            if call.began.place < journey.taken.0.place || call.replayed {
                self.says(event, "was called before it was published, or as a replay");
            }
        }
        for pair in calls.windows(2) {
            let [before, next] = pair else { continue };
            let Some((ended, how)) = before.ended else {
                self.says(event, "never came to an end");
                continue;
            };
            let asked = match how {
                Ended::Retry(after) => after.unwrap_or_default().min(retry.cap),
                Ended::Panicked | Ended::Cut => Duration::ZERO,
                Ended::Ok | Ended::Rejected => Duration::MAX,
            };
            let waited = next.began.at.checked_sub(ended.at).unwrap_or_default();
            if next.began.place < ended.place || next.attempt <= before.attempt || waited < asked {
                self.says(event, format_args!("{how:?}, and {waited:?} later {next:?}"));
            }
            let is_late = journey
                .taken
                .1
                .is_some_and(|until| next.began.at > until.at.saturating_add(retry.max_age));
            if is_late && is_exact && self.plan.breaker.is_none() && !self.had_to_wait(next) {
                self.says(event, format_args!("attempt {} comes after its max-age", next.attempt));
            }
        }
    }

    /// Another call of the handler ended in the moment in which this one began.
    fn had_to_wait(&self, call: &Call) -> bool {
        let mut all = self.seen.record.calls.iter().filter(|other| other.handler == self.at);
        all.any(|other| other.event != call.event && other.ended.is_some_and(|(ended, _)| ended.at == call.began.at))
    }

    /// D4: it says how the last attempt ended, and there was no reason to try again.
    fn check_letter(&mut self, journey: &Journey, calls: &[&Call], letter: Letter) {
        let (event, retry) = (journey.event, self.plan.retry);
        let is_exact = self.plan.is_queued_only();
        let made = calls.len() as u32;
        let last = calls.last().and_then(|call| call.ended);
        if (is_exact && letter.attempts != made) || letter.attempts < made || letter.attempts > retry.attempts {
            self.says(event, format_args!("{letter:?} after {made} attempts"));
        }
        // Without a permit there is no call, though it is an attempt.
        let had_no_permit = !is_exact && letter.class == Class::Overloaded && letter.attempts > made;
        let age = |at: Duration| at.saturating_sub(journey.taken.0.at);
        let is_old = |age: Duration, last: Ended| {
            let step = retry
                .base
                .saturating_mul(2_u32.saturating_pow(letter.attempts.saturating_sub(1)));
            let longest = match last {
                Ended::Retry(Some(after)) => after.min(retry.cap),
                _ => step.min(retry.cap),
            };
            age.saturating_add(longest) > retry.max_age
        };
        let is_due = match (letter.class, last) {
            (Class::BreakerOpen, _) => self.plan.breaker.is_some() && letter.attempts < retry.attempts,
            (Class::Overloaded, None) if journey.is_child && letter.attempts == 0 => true,
            _ if had_no_permit => true,
            (Class::Rejected, Some((_, Ended::Rejected))) => true,
            (class, Some((ended, how))) if class == how.class() => {
                letter.attempts == retry.attempts || is_old(age(ended.at), how)
            }
            _ => false,
        };
        if !is_due {
            self.says(event, format_args!("{letter:?}, though the last attempt was {last:?}"));
        }
    }

    /// B6: what was taken first is called first; and in a lane one event is done with before the next is called.
    fn check_order(&mut self) {
        let mut lanes: BTreeMap<String, Vec<InOrder>> = BTreeMap::new();
        let mut add = |event: u64, key: Option<&str>, from: Moment, until: Option<Moment>| {
            let serial = self.plan.ordering == EventOrder::None && self.plan.concurrency == 1;
            let lane = self.plan.lane(key).or_else(|| serial.then(|| "serial".to_owned()));
            let calls = self.calls.get(&event);
            if let (Some(lane), Some(calls)) = (lane, calls) {
                let (until, calls) = (until.map(|moment| moment.place), calls.clone());
                lanes.entry(lane).or_default().push(InOrder {
                    event,
                    from: from.place,
                    until,
                    calls,
                });
            }
        };
        for one in &self.seen.record.published {
            let until = (!one.is_gone()).then_some(one.ended);
            add(one.publication.event, one.publication.key, one.began, until);
        }
        for child in &self.seen.record.children {
            add(child.event, child.key.as_deref(), child.released, None);
        }
        for (lane, events) in lanes {
            self.check_first_attempts(&lane, &events);
            if lane != "serial" {
                self.check_turns(&lane, &events);
            }
        }
    }

    fn check_first_attempts(&mut self, lane: &str, events: &[InOrder<'_>]) {
        for first in events {
            for second in events {
                let is_before = first.until.is_some_and(|until| until < second.from);
                let (Some(one), Some(two)) = (first.first_attempt(), second.first_attempt()) else {
                    continue;
                };
                if is_before && one > two {
                    self.says(
                        second.event,
                        format_args!("overtakes event {} of lane {lane}", first.event),
                    );
                }
            }
        }
    }

    fn check_turns(&mut self, lane: &str, events: &[InOrder<'_>]) {
        let mut all: Vec<_> = events.iter().flat_map(|event| event.calls.iter()).collect();
        all.sort_by_key(|call| call.began.place);
        let mut done = BTreeSet::new();
        for pair in all.windows(2) {
            let [before, next] = pair else { continue };
            let ended = before.ended.map_or(u64::MAX, |(ended, _)| ended.place);
            if next.began.place < ended {
                self.says(
                    next.event,
                    format_args!("begins in lane {lane} beside event {}", before.event),
                );
            }
            if before.event != next.event {
                done.insert(before.event);
            }
            if done.contains(&next.event) {
                self.says(
                    next.event,
                    format_args!("had lost its turn in lane {lane} to event {}", before.event),
                );
            }
        }
    }

    /// What the counts say agrees with what the handler saw.
    fn check_counts(&mut self) {
        let stats = &self.seen.handlers[self.at];
        let mut seen: BTreeMap<Class, u64> = BTreeMap::new();
        for class in self.calls.values().flatten().filter_map(|call| class_of(call)) {
            *seen.entry(class).or_default() += 1;
        }
        for class in [Class::Ok, Class::Retry, Class::Rejected, Class::HostPanic] {
            let saw = seen.get(&class).copied().unwrap_or_default();
            if stats.count(class) != saw {
                let counted = stats.count(class);
                self.wrong
                    .push(format!("h{} saw {saw} {class} and counts {counted}", self.at));
            }
        }
        let cut = seen.get(&Class::Timeout).copied().unwrap_or_default();
        let of_gone = self
            .seen
            .record
            .published
            .iter()
            .filter(|one| one.is_gone() && one.how().is_direct());
        let gone = of_gone
            .filter(|one| self.calls.contains_key(&one.publication.event))
            .count() as u64;
        let timeouts = stats.count(Class::Timeout);
        if timeouts > cut || timeouts + gone < cut {
            self.wrong
                .push(format!("h{} was cut {cut} times and counts {timeouts}", self.at));
        }
        let lost = self.lost.len() as u64;
        let may_drop = matches!(self.plan.queue.overflow, Overflow::DropOldest | Overflow::DropNewest);
        let most = if may_drop {
            lost + self.turned_away + self.doubtful
        } else {
            0
        };
        if stats.dropped < lost || stats.dropped > most {
            let (lost, dropped) = (&self.lost, stats.dropped);
            self.wrong
                .push(format!("h{} counts {dropped} as dropped, and lost {lost:?}", self.at));
        }
        if stats.queued > 0 {
            self.wrong.push(format!("h{} holds {} still", self.at, stats.queued));
        }
    }
}

/// An event of a lane that was called.
struct InOrder<'a> {
    event: u64,
    from: u64,
    /// By then it was taken; none if nobody knows.
    until: Option<u64>,
    calls: Vec<&'a Call>,
}

impl InOrder<'_> {
    /// Its place; none where the first attempt had no permit, so that nobody saw it.
    fn first_attempt(&self) -> Option<u64> {
        let first = self.calls.first().filter(|call| call.attempt == 1);
        first.map(|call| call.began.place)
    }
}

fn class_of(call: &Call) -> Option<Class> {
    call.ended.map(|(_, how)| how.class())
}

fn is_direct(call: &Call) -> bool {
    call.attempt == 1 && !call.replayed
}

/// B5, B7: a receipt says how many queues have dropped the event at once; those are the ones it never came from.
fn check_drops(seen: &Seen<'_>, lost: &[BTreeSet<u64>], wrong: &mut Vec<String>) {
    for one in &seen.record.published {
        let Answer::Receipt {
            matched,
            enqueued,
            dropped,
            refused,
        } = &one.answer
        else {
            continue;
        };
        let event = one.publication.event;
        let handlers = seen.plan.handlers.iter().zip(lost);
        let newest = handlers.filter(|(plan, _)| plan.queue.overflow == Overflow::DropNewest);
        let gone = newest.filter(|(_, lost)| lost.contains(&event)).count();
        let of_kind = seen
            .plan
            .handlers
            .iter()
            .filter(|plan| plan.kinds.contains(&one.publication.kind));
        if gone != *dropped || *matched != of_kind.count() || *matched != enqueued + dropped + refused.len() {
            wrong.push(format!("event {event}: {gone} lost it at once, but {:?}", one.answer));
        }
    }
}

/// What the bus counts agrees with what happened.
fn check_totals(seen: &Seen<'_>, wrong: &mut Vec<String>) {
    let (record, stats) = (seen.record, &seen.stats);
    let children = record.children.len() as u64;
    let letters = seen.letters.len() as u64;
    let overloaded = seen
        .letters
        .iter()
        .filter(|letter| letter.class == Class::Overloaded && letter.attempts == 0);
    let of_receipts = record.published.iter().map(|one| match &one.answer {
        Answer::Receipt { refused, .. } => refused.len() as u64,
        _ => 0,
    });
    let refused = of_receipts.sum::<u64>() + overloaded.count() as u64;
    let gone = record.published.iter().filter(|one| one.is_gone()).count() * seen.plan.handlers.len();
    let dropped: u64 = seen.handlers.iter().map(|handler| handler.dropped).sum();
    let again = record.calls.iter().filter(|call| call.attempt > 1).count() as u64;
    let waited = seen
        .letters
        .iter()
        .filter(|letter| letter.class == Class::BreakerOpen && letter.attempts > 0);
    let is_exact = seen.plan.handlers.iter().all(HandlerPlan::is_queued_only);
    let retries = again + waited.count() as u64;
    let agree = [
        ("published", stats.published == record.published.len() as u64 + children),
        ("from_handlers", stats.from_handlers == children),
        ("dead_letters", stats.dead_letters == letters),
        ("dropped", stats.dropped == dropped),
        ("refused", (refused..=refused + gone as u64).contains(&stats.refused)),
        (
            "retries",
            stats.retries == retries || (!is_exact && stats.retries > retries),
        ),
        ("abandoned", stats.abandoned == 0),
    ];
    for (count, _) in agree.iter().filter(|(_, agrees)| !agrees) {
        wrong.push(format!(
            "`{count}` does not agree: {stats:?}, retries {retries}, refused {refused}"
        ));
    }
}
