//! What handlers and publishers saw, in the order in which it happened.

use std::collections::BTreeMap;
use std::time::Duration;

use palisade::Class;
use tokio::time::Instant;

use super::plan::{How, Publication};

/// A place in the order of all that happened, and the time on the clock that stands still while anybody can go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) place: u64,
    pub(super) at: Duration,
}

/// One call of a handler.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) handler: usize,
    pub(super) event: u64,
    pub(super) attempt: u32,
    pub(super) replayed: bool,
    pub(super) began: Moment,
    pub(super) ended: Option<(Moment, Ended)>,
}

/// How a call ended, as the handler saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Ok,
    Retry(Option<Duration>),
    Rejected,
    Panicked,
    /// It was dropped: at its deadline, or with its publisher.
    Cut,
}

impl Ended {
    /// The class of such an end, where nobody went away.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Ok => Class::Ok,
            Self::Retry(_) => Class::Retry,
            Self::Rejected => Class::Rejected,
            Self::Panicked => Class::HostPanic,
            Self::Cut => Class::Timeout,
        }
    }
}

/// One publish of a publisher.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) publication: Publication,
    /// When it was polled first.
    pub(super) began: Moment,
    /// When the publisher had its answer, or dropped the future.
    pub(super) ended: Moment,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Of `publish`: by handler.
    Report(BTreeMap<usize, Told>),
    /// Of `publish_async`.
    Receipt {
        matched: usize,
        enqueued: usize,
        dropped: usize,
        refused: Vec<usize>,
    },
    /// The publisher went away.
    Gone,
}

/// An outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) class: Class,
    pub(super) attempts: u32,
}

impl Published {
    pub(super) fn how(&self) -> How {
        self.publication.how
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.answer, Answer::Gone)
    }
}

/// An event that a handler published in an attempt that went well.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) event: u64,
    pub(super) key: Option<String>,
    pub(super) released: Moment,
}

/// All of it.
pub(super) struct Record {
    started: Instant,
    next: u64,
    pub(super) calls: Vec<Call>,
    pub(super) published: Vec<Published>,
    pub(super) children: Vec<Child>,
    /// The id of each event; it has one and keeps it.
    ids: BTreeMap<u64, String>,
    running: BTreeMap<usize, usize>,
    /// What broke a bound as it happened.
    pub(super) wrong: Vec<String>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            next: 0,
            calls: Vec::new(),
            published: Vec::new(),
            children: Vec::new(),
            ids: BTreeMap::new(),
            running: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub(super) fn moment(&mut self) -> Moment {
        self.next += 1;
        Moment {
            place: self.next,
            at: self.started.elapsed(),
        }
    }

    /// A call begins; its place among the calls.
    pub(super) fn begin(&mut self, handler: usize, (event, id): (u64, &str), attempt: u32, replayed: bool) -> usize {
        let known = self.ids.entry(event).or_insert_with(|| id.to_owned());
        if known != id {
            self.wrong.push(format!("event {event} has two ids"));
        }
        *self.running.entry(handler).or_default() += 1;
        let began = self.moment();
        self.calls.push(Call {
            handler,
            event,
            attempt,
            replayed,
            began,
            ended: None,
        });
        self.calls.len() - 1
    }

    pub(super) fn running(&self, handler: usize) -> usize {
        self.running.get(&handler).copied().unwrap_or_default()
    }

    /// A call ends, unless it has already.
    pub(super) fn end(&mut self, call: usize, ended: Ended) {
        if self.calls[call].ended.is_some() {
            return;
        }
        *self.running.entry(self.calls[call].handler).or_default() -= 1;
        let moment = self.moment();
        self.calls[call].ended = Some((moment, ended));
    }

    /// For a person to read.
    pub(super) fn shown(&self) -> String {
        let mut lines = BTreeMap::new();
        for call in &self.calls {
            let what = format!("h{} event {} attempt {}", call.handler, call.event, call.attempt);
            lines.insert(call.began.place, (call.began.at, format!("{what} begins")));
            if let Some((ended, how)) = call.ended {
                lines.insert(ended.place, (ended.at, format!("{what} ends: {how:?}")));
            }
        }
        for one in &self.published {
            let Publication { event, how, .. } = one.publication;
            lines.insert(one.began.place, (one.began.at, format!("publish {event} by {how:?}")));
            let answer = format!("event {event} is answered: {:?}", one.answer);
            lines.insert(one.ended.place, (one.ended.at, answer));
        }
        for child in &self.children {
            let released = format!("event {} is released, key {:?}", child.event, child.key);
            lines.insert(child.released.place, (child.released.at, released));
        }
        let shown = |(at, what): &(Duration, String)| format!("{:8.3} s  {what}\n", at.as_secs_f64());
        lines.values().map(shown).collect()
    }
}
