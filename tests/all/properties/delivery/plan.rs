//! What a seed makes up: handlers and their policies, publishers and their steps, and how every attempt will end.

use std::time::Duration;

use fastrand::Rng;
use palisade::{BreakerPolicy, EventOrder, Overflow, QueuePolicy, RetryPolicy, SubscribeOptions};

/// The metadata key of those that keep the order of a key.
pub(super) const KEY: &str = "lane";

/// From this number on an event was published by a handler.
const CHILDREN: u64 = 1000;

/// All that happens, but for chance in the scheduler, which has the same seed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) handlers: Vec<HandlerPlan>,
    pub(super) publishers: Vec<Vec<Step>>,
}

/// One handler.
#[derive(Debug)]
pub(super) struct HandlerPlan {
    pub(super) name: String,
    pub(super) kinds: &'static [Kind],
    pub(super) ordering: EventOrder,
    pub(super) concurrency: usize,
    pub(super) queue: QueuePolicy,
    pub(super) retry: RetryPolicy,
    pub(super) breaker: Option<BreakerPolicy>,
    pub(super) timeout: Duration,
    /// Until then it fails nearly always.
    pub(super) ill_until: Duration,
    /// Afterwards in so many of a hundred attempts.
    pub(super) fails: u8,
}

/// Two sorts of events. Of what only comes by queues the model knows exactly when an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Queued,
    Mixed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Mixed => "mixed",
        }
    }
}

/// What a publisher does next.
#[derive(Debug)]
pub(super) enum Step {
    Pause(Duration),
    Publish(Publication),
}

/// One event, and who waits how long for what.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) event: u64,
    pub(super) kind: Kind,
    pub(super) key: Option<&'static str>,
    /// Bytes that make it larger.
    pub(super) padding: usize,
    pub(super) how: How,
    /// When the publisher loses its patience and drops the future.
    pub(super) dropped: Option<Patience>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Publish,
    PublishWithin(Duration),
    Queue,
    QueueWithin(Duration),
}

impl How {
    pub(super) fn is_direct(self) -> bool {
        matches!(self, Self::Publish | Self::PublishWithin(_))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Turns(u8),
    Time(Duration),
}

/// What a handler does in one attempt.
#[derive(Debug)]
pub(super) struct Act {
    /// How often it gives way to others.
    pub(super) turns: u8,
    pub(super) takes: Duration,
    /// The number of an event that it publishes.
    pub(super) child: Option<u64>,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Ok,
    Retry(Option<Duration>),
    Reject,
    Panic,
    /// Until its deadline.
    Hang,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Small ones come first, so that what breaks is shown by a plan that a person can follow.
        let most = 2 + usize::try_from(seed / 50).unwrap_or(usize::MAX).min(24);
        let handlers = (0..rng.usize(1..=3)).map(|at| HandlerPlan::new(&mut rng, at));
        let handlers = handlers.collect();
        let mut event = 0;
        let publishers = (0..rng.usize(1..=3)).map(|_| {
            let steps = (0..rng.usize(2..=most)).map(|_| step(&mut rng, &mut event));
            steps.collect()
        });
        let publishers = publishers.collect();
        Self {
            seed,
            handlers,
            publishers,
        }
    }

    /// How an attempt goes, which depends on nothing else.
    pub(super) fn act(&self, handler: usize, event: u64, attempt: u32, now: Duration) -> Act {
        let plan = &self.handlers[handler];
        let mix = [handler as u64, event, u64::from(attempt)];
        let seed = mix.iter().fold(self.seed, |sum, part| {
            (sum ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        let mut rng = Rng::with_seed(seed);
        let fails = if now < plan.ill_until { 90 } else { plan.fails };
        let end = if rng.u8(0..100) >= fails {
            End::Ok
        } else {
            match rng.u8(0..10) {
                0..=4 => End::Retry(None),
                5..=6 => End::Retry(Some(millis(&mut rng, &[0, 5, 50, 500]))),
                7 => End::Reject,
                8 => End::Panic,
                _ => End::Hang,
            }
        };
        let child = (event < CHILDREN && rng.u8(0..5) == 0)
            .then(|| CHILDREN + ((handler as u64 * 128 + event) * 8 + u64::from(attempt)));
        Act {
            turns: rng.u8(0..3),
            takes: millis(&mut rng, &[0, 0, 1, 5, 20, 40]),
            child,
            end,
        }
    }
}

impl HandlerPlan {
    fn new(rng: &mut Rng, at: usize) -> Self {
        let overflow = [
            Overflow::Block,
            Overflow::Reject,
            Overflow::DropOldest,
            Overflow::DropNewest,
        ];
        let orders = [
            EventOrder::None,
            EventOrder::None,
            EventOrder::Key(KEY.into()),
            EventOrder::Strict,
        ];
        let kinds: [&[Kind]; 4] = [
            &[Kind::Queued],
            &[Kind::Queued],
            &[Kind::Mixed],
            &[Kind::Queued, Kind::Mixed],
        ];
        let breaker = BreakerPolicy {
            failures: rng.u32(2..=4),
            min_calls: rng.u32(4..=8),
            window: Duration::from_secs(1),
            rate: 0.5,
            open: millis(rng, &[50, 200, 500]),
        };
        Self {
            name: format!("h{at}"),
            kinds: kinds[rng.usize(0..4)],
            ordering: orders[rng.usize(0..4)].clone(),
            concurrency: rng.usize(1..=3),
            queue: QueuePolicy {
                events: rng.usize(1..=8),
                bytes: [1 << 20, 1 << 20, 3000, 1500][rng.usize(0..4)],
                overflow: overflow[rng.usize(0..4)],
            },
            retry: RetryPolicy {
                attempts: rng.u32(1..=4),
                base: millis(rng, &[0, 1, 20, 200]),
                cap: millis(rng, &[10, 100, 1000]),
                max_age: millis(rng, &[100, 1000, 3_600_000, 3_600_000]),
            },
            breaker: rng.bool().then_some(breaker),
            timeout: millis(rng, &[30, 100]),
            ill_until: millis(rng, &[0, 0, 100, 1000]),
            fails: [5, 30, 60][rng.usize(0..3)],
        }
    }

    pub(super) fn options(&self) -> SubscribeOptions {
        SubscribeOptions::default()
            .timeout(self.timeout)
            .concurrency(self.concurrency)
            .queue(self.queue)
            .retry(self.retry)
            .ordering(self.ordering.clone())
            .breaker(self.breaker)
    }

    /// All of its events come by its queue, so no attempt waits for a permit that a direct call has.
    pub(super) fn is_queued_only(&self) -> bool {
        self.kinds == [Kind::Queued]
    }

    /// Which of the events keep their order among themselves: those with the same answer, if there is one.
    pub(super) fn lane(&self, key: Option<&str>) -> Option<String> {
        match &self.ordering {
            EventOrder::Strict => Some("all".to_owned()),
            EventOrder::Key(_) => key.map(str::to_owned),
            _ => None,
        }
    }
}

fn step(rng: &mut Rng, event: &mut u64) -> Step {
    if rng.u8(0..4) == 0 {
        return Step::Pause(millis(rng, &[0, 1, 10, 100, 400]));
    }
    let kind = [Kind::Queued, Kind::Mixed][rng.usize(0..2)];
    let patience = millis(rng, &[0, 5, 30, 60]);
    let how = match (kind, rng.u8(0..6)) {
        (Kind::Mixed, 0 | 1) => How::Publish,
        (Kind::Mixed, 2) => How::PublishWithin(patience),
        (_, 5) => How::QueueWithin(patience),
        _ => How::Queue,
    };
    let dropped = match rng.u8(0..12) {
        0 => Some(Patience::Turns(rng.u8(0..6))),
        1 => Some(Patience::Time(patience)),
        _ => None,
    };
    *event += 1;
    Step::Publish(Publication {
        event: *event,
        kind,
        key: [None, Some("x"), Some("y")][rng.usize(0..3)],
        padding: [0, 0, 300, 1500][rng.usize(0..4)],
        how,
        dropped,
    })
}

fn millis(rng: &mut Rng, of: &[u64]) -> Duration {
    Duration::from_millis(of[rng.usize(0..of.len())])
}
