//! H30, B3, S5: calls whose futures are polled so many times and dropped, in any order, leak nothing and are held against
//! nobody.
//!
//! One thread, time that stands still while anybody can go on, and a waker that wakes nobody: how far a call has come
//! depends on the input alone. The guests wait for the host or end by themselves; none of them spins.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context as Polling, Poll, Waker};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use palisade::{
    BoxFuture, Class, EngineOptions, Event, Isolation, Overflow, PluginState, PublishError, QueuePolicy, Receipt,
    Report, RetryPolicy, Runtime,
};
use serde_json::json;

use crate::{event, hostile};

/// The most steps of one input.
const MOST: usize = 40;
/// The handler of the plugin.
const HANDLER: &str = "hostile/sin";
/// How many events its queue holds.
const QUEUE: usize = 2;

/// What the caller of several calls may do next.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    /// Begins a call, without polling it.
    Publish(Sin),
    /// Begins to queue an event; where the queue is full it waits for room.
    Queue(Sin),
    /// Polls one of the calls that are under way so many times, or until it is done.
    Poll { call: u8, times: u8 },
    /// Drops one of them.
    Drop { call: u8 },
    /// Lets the queue's workers go on.
    Yield,
    /// Stops the plugin and starts it again, if nothing is under way: its calls would be waited for.
    Restart,
}

/// What the guest does with an event.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Sin {
    Ok,
    /// Waits in the host for ever.
    Sleep,
    /// Publishes an event that it handles itself.
    Publish,
    /// Publishes ten.
    Flood,
    Reject,
    Trap,
}

impl Sin {
    fn event(self) -> Event {
        match self {
            Sin::Ok => event("hostile.ok", json!({})),
            Sin::Sleep => Event::builder("hostile.sleep", "/tests").build().expect("an event"),
            Sin::Publish => event("hostile.publish", json!({ "type": "hostile.drop", "data": 1 })),
            Sin::Flood => event("hostile.flood", json!(10)),
            Sin::Reject => event("hostile.fail-reject", json!({})),
            Sin::Trap => event("hostile.trap", json!({})),
        }
    }

    /// How it ends when nobody cancels it.
    fn class(self) -> Class {
        match self {
            Sin::Ok | Sin::Publish | Sin::Flood => Class::Ok,
            Sin::Sleep => Class::Timeout,
            Sin::Reject => Class::Rejected,
            Sin::Trap => Class::Trap,
        }
    }
}

/// Runs the steps that the input spells out against a plugin whose instances live as it says.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let isolation = [Isolation::Persistent, Isolation::PerEvent][usize::from(input.arbitrary().unwrap_or(false))];
    let concurrency = input.int_in_range(1..=3).unwrap_or(1);
    let steps: Vec<Step> = (0..MOST)
        .map_while(|_| (!input.is_empty()).then(|| input.arbitrary().ok())?)
        .collect();
    with_bench(isolation, concurrency, |bench| bench.check(&steps));
}

/// A runtime with one plugin, used by one input at a time.
struct Bench {
    tokio: tokio::runtime::Runtime,
    runtime: Runtime,
    isolation: Isolation,
    concurrency: usize,
}

/// A call under way.
enum Call<'a> {
    Publish(Sin, BoxFuture<'a, Result<Report, PublishError>>),
    Queue(Sin, BoxFuture<'a, Result<Receipt, PublishError>>),
}

/// What has come to its end, to be compared with what the runtime counts.
#[derive(Default)]
struct Ended {
    /// Of direct calls, by their class.
    direct: BTreeMap<Class, u64>,
    /// Of events that the queue took.
    queued: Vec<Sin>,
}

/// Benches wait here for the next input. One that an input has broken does not come back.
static BENCHES: Mutex<BTreeMap<(bool, usize), Bench>> = Mutex::new(BTreeMap::new());

fn with_bench(isolation: Isolation, concurrency: usize, work: impl FnOnce(&Bench)) {
    let benches = || BENCHES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (isolation == Isolation::PerEvent, concurrency);
    let waiting = benches().remove(&key);
    let bench = waiting.unwrap_or_else(|| Bench::new(isolation, concurrency));
    work(&bench);
    benches().insert(key, bench);
}

impl Bench {
    fn new(isolation: Isolation, concurrency: usize) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("tokio");
        let queue = QueuePolicy {
            events: QUEUE,
            overflow: Overflow::Block,
            ..QueuePolicy::default()
        };
        let plugin = hostile()
            .isolation(isolation)
            .quarantine(None)
            .concurrency(concurrency)
            .queue(queue)
            .retry(RetryPolicy::none());
        let runtime = tokio.block_on(async {
            let mut engine = EngineOptions::default();
            engine.max_instances = Some(8);
            let runtime = Runtime::builder().engine(engine).build().expect("a runtime");
            runtime.launch(vec![plugin]).await.expect("it starts");
            runtime
        });
        Self {
            tokio,
            runtime,
            isolation,
            concurrency,
        }
    }

    fn check(&self, steps: &[Step]) {
        let before = self.counts();
        self.tokio.block_on(async {
            let ended = self.run(steps).await;
            self.settle().await;
            self.assert_counted(&before, &ended);
            self.assert_nothing_leaked().await;
            self.assert_served().await;
        });
    }

    /// Takes the steps, and drops what is under way after the last one.
    async fn run(&self, steps: &[Step]) -> Ended {
        let (mut calls, mut ended) = (Vec::new(), Ended::default());
        for step in steps {
            match *step {
                Step::Publish(sin) => {
                    calls.push(Call::Publish(sin, Box::pin(self.runtime.publish(sin.event()))));
                }
                Step::Queue(sin) => {
                    calls.push(Call::Queue(sin, Box::pin(self.runtime.publish_async(sin.event()))));
                }
                Step::Poll { call, times } if !calls.is_empty() => {
                    let at = usize::from(call) % calls.len();
                    if (0..times % 8).any(|_| ended.poll(&mut calls[at])) {
                        drop(calls.swap_remove(at));
                    }
                }
                Step::Drop { call } if !calls.is_empty() => {
                    let at = usize::from(call) % calls.len();
                    drop(calls.swap_remove(at));
                }
                Step::Restart if calls.is_empty() => {
                    self.settle().await;
                    ends(self.runtime.stop("hostile")).await.expect("it was started");
                    ends(self.runtime.start("hostile")).await.expect("it was stopped");
                }
                Step::Poll { .. } | Step::Drop { .. } | Step::Restart => {}
                Step::Yield => tokio::task::yield_now().await,
            }
        }
        ended
    }

    /// Waits until the queue is empty; what sleeps there runs into its deadline, in no time.
    async fn settle(&self) {
        ends(self.runtime.quiet()).await;
    }

    /// How many attempts have ended in each class.
    fn counts(&self) -> BTreeMap<Class, u64> {
        let stats = self.runtime.handler_stats();
        let own = stats
            .iter()
            .find(|one| one.handler.to_string() == HANDLER)
            .expect("it is subscribed");
        assert_eq!(own.queued, 0, "nothing waits");
        own.attempts.iter().copied().collect()
    }

    /// Each attempt that nobody cancelled is counted once by its class, and no other is counted at all.
    fn assert_counted(&self, before: &BTreeMap<Class, u64>, ended: &Ended) {
        let mut expected = ended.direct.clone();
        for sin in &ended.queued {
            *expected.entry(sin.class()).or_default() += 1;
        }
        // What the guest publishes comes back to it and is ok; how much of it there is depends on who was cancelled.
        expected.remove(&Class::Ok);
        let mut now = self.counts();
        now.retain(|class, count| {
            *count -= before.get(class).copied().unwrap_or_default();
            *count > 0 && *class != Class::Ok
        });
        assert_eq!(now, expected, "what was cancelled is held against nobody");
    }

    async fn assert_nothing_leaked(&self) {
        let status = self.runtime.plugin("hostile").expect("it is loaded");
        assert_eq!((status.state, status.error), (PluginState::Started, None));
        assert_eq!(self.running().await, 0, "no call goes on");
        // To be asked for its health, the plugin may have got an instance, which waits for work now.
        let instances = self.runtime.health().await.instances;
        let waiting = self
            .runtime
            .plugin("hostile")
            .expect("it is loaded")
            .instance_memory
            .len();
        assert_eq!(instances, waiting, "every instance is one that waits for work");
        assert!(waiting <= self.concurrency);
        assert!(self.isolation == Isolation::Persistent || waiting == 0);
    }

    async fn running(&self) -> usize {
        self.runtime.health().await.ticker.running_calls
    }

    /// As many calls as there may be run beside each other, one more waits, and is served when the others are dropped.
    async fn assert_served(&self) {
        let sleep = || Box::pin(self.runtime.publish(Sin::Sleep.event()));
        let mut sleepers: Vec<_> = (0..self.concurrency).map(|_| sleep()).collect();
        let mut rounds = 0;
        while self.running().await < self.concurrency {
            rounds += 1;
            assert!(rounds < 10_000, "there are fewer permits than there were");
            for sleeper in &mut sleepers {
                assert!(poll(sleeper.as_mut()).is_pending());
            }
            tokio::task::yield_now().await;
        }
        let mut next = Box::pin(self.runtime.publish(Sin::Ok.event()));
        for _ in 0..3 {
            assert!(poll(next.as_mut()).is_pending(), "there is no permit for it");
        }
        drop(sleepers);
        assert!(next.await.expect("it is taken").all_ok(), "the next call is served");
        let receipt = self.runtime.publish_async(Sin::Ok.event()).await.expect("it is taken");
        assert_eq!(receipt.enqueued, 1, "and so is the next event of the queue");
        self.settle().await;
    }
}

impl Ended {
    /// Polls a call once; whether it is done.
    fn poll(&mut self, call: &mut Call<'_>) -> bool {
        match call {
            Call::Publish(sin, call) => match poll(call.as_mut()) {
                Poll::Ready(report) => {
                    let report = report.expect("it is taken");
                    assert_eq!(report.outcomes.len(), 1);
                    let class = report.outcomes[0].class;
                    assert_eq!(class, sin.class(), "{report:?}");
                    *self.direct.entry(class).or_default() += 1;
                    true
                }
                Poll::Pending => false,
            },
            Call::Queue(sin, call) => match poll(call.as_mut()) {
                Poll::Ready(receipt) => {
                    assert_eq!(receipt.expect("it is taken").enqueued, 1);
                    self.queued.push(*sin);
                    true
                }
                Poll::Pending => false,
            },
        }
    }
}

/// Waits for what ends by itself; a day goes by in no time when nobody can go on.
async fn ends<T>(work: impl Future<Output = T>) -> T {
    let day = Duration::from_secs(24 * 3600);
    tokio::time::timeout(day, work)
        .await
        .expect("it never comes to its end")
}

/// Polls once; nobody is woken.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Polling::from_waker(Waker::noop()))
}
