//! B8: native filters.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{
    BoxFuture, Class, Context, Disposition, Draft, Event, Failure, Fault, Filter, FilterError, FilterOptions, OnFault,
    Runtime,
};
use palisade_tests::{Seen, runtime, runtime_with, spec};
use tokio::time::Instant;

use super::words::{letters, plain};

/// A filter that notes what it was asked about, and accepts.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn add(runtime: &Runtime) -> Self {
        let asked = Self::default();
        let note = asked.clone();
        runtime.add_filter("asked", FilterOptions::default(), move |event: &Event| {
            note.push(event.event_type())
        });
        asked
    }

    fn push(&self, word: &str) -> bool {
        self.0.lock().unwrap().push(word.to_owned());
        true
    }

    fn words(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A filter that never answers.
struct Hangs;

impl Filter for Hangs {
    fn accepts<'a>(&'a self, _: &'a Event, _: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(std::future::pending())
    }
}

fn on_fault(on_fault: OnFault) -> FilterOptions {
    FilterOptions::default().on_fault(on_fault)
}

async fn passes(runtime: &Runtime) -> bool {
    !matches!(
        runtime.publish(plain("a")).await.expect("an answer").disposition,
        Disposition::Filtered { .. }
    )
}

/// B8: filters are asked in the order in which they were added, once each, and no further than the first refusal.
#[tokio::test(start_paused = true)]
async fn b8_filters_run_once_in_the_order_added() {
    let runtime = runtime();
    let order = Asked::default();
    let add = |name: &'static str, accepts: bool| {
        let order = order.clone();
        runtime.add_filter(name, FilterOptions::default(), move |_: &Event| {
            order.push(name) && accepts
        })
    };
    let (first, second, third) = (add("first", true), add("second", false), add("third", true));
    let report = runtime.publish(plain("a")).await.expect("an answer");
    assert_eq!(
        report.disposition,
        Disposition::Filtered {
            by: second,
            name: "second".into()
        }
    );
    let receipt = runtime.publish_async(plain("a")).await.expect("an answer");
    assert_eq!(receipt.filtered, Some(second));
    runtime.remove_filter(second).expect("there");
    assert!(passes(&runtime).await);
    runtime.remove_filter(first).expect("there");
    assert!(passes(&runtime).await);
    assert_eq!(
        order.words(),
        ["first", "second", "first", "second", "first", "third", "third"]
    );
    runtime.remove_filter(third).expect("there");
}

/// B8: a filter is removed by its id, once; one that is gone is `NotFound`.
#[tokio::test(start_paused = true)]
async fn b8_remove_filter_not_found() {
    let runtime = runtime();
    let filter = runtime.add_filter("no", FilterOptions::default(), |_: &Event| false);
    assert!(!passes(&runtime).await);
    runtime.remove_filter(filter).expect("there");
    assert!(passes(&runtime).await);
    assert!(matches!(runtime.remove_filter(filter), Err(FilterError::NotFound(id)) if id == filter));
}

/// B8: what handlers publish is asked about too, before it is matched; retries, redrives and lifecycle events are not.
#[tokio::test(start_paused = true)]
async fn b8_the_outbox_is_filtered_and_retries_redrives_and_lifecycle_events_are_not() {
    let runtime = runtime();
    let asked = Asked::add(&runtime);
    runtime.add_filter("no-secret", FilterOptions::default(), |event: &Event| {
        event.event_type() != "out.secret"
    });
    let publish = |cx: Context| {
        let sent = ["out.open", "out.secret"].map(|name| cx.publish(Draft::new(name)));
        let sent = sent
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::reject(error.to_string()));
        ready(sent.and_then(|_| match (cx.attempt, cx.replayed) {
            (_, true) => Ok(()),
            (1, false) => Err(Failure::retry("once more")),
            _ => Err(Failure::reject("enough")),
        }))
    };
    runtime.subscribe("a", "publisher", publish).expect("a subscription");
    let out = Seen::subscribe(&runtime, "out.*", "out");
    let lifecycle = Seen::subscribe(&runtime, "plugin.>", "lifecycle");
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    assert_eq!(asked.words(), ["a"], "two attempts, both failed: one question");
    runtime
        .redrive(letters(&runtime, 1).await[0].id)
        .await
        .expect("sent again");
    runtime.quiet().await;
    assert_eq!(asked.words(), ["a", "out.open", "out.secret"]);
    assert_eq!(out.types(), ["out.open"]);
    assert_eq!(runtime.stats().filtered, 1);
    runtime.launch(vec![spec("probe")]).await.expect("started");
    runtime.announce().await;
    runtime.quiet().await;
    assert_eq!(
        lifecycle.types(),
        ["plugin.loaded", "plugin.initialized", "plugin.started"]
    );
    assert_eq!(asked.words().len(), 3, "{:?}", asked.words());
}

/// B8: the time limit is 100 ms unless set; a filter without a verdict by then has failed. Time is paused: this is exact.
#[tokio::test(start_paused = true)]
async fn b8_filter_time_limit_violated() {
    let runtime = runtime();
    assert_eq!(FilterOptions::default().timeout, Duration::from_millis(100));
    let hangs = runtime.add_filter("hangs", FilterOptions::default(), Hangs);
    let started = Instant::now();
    assert!(!passes(&runtime).await, "on-fault is reject unless set");
    // The timer's grain is a millisecond.
    assert!(
        (100..=101).contains(&started.elapsed().as_millis()),
        "{:?}",
        started.elapsed()
    );
    runtime.remove_filter(hangs).expect("there");
    let long = on_fault(OnFault::Pass).timeout(Duration::from_secs(2));
    runtime.add_filter("hangs", long, Hangs);
    let started = Instant::now();
    assert!(passes(&runtime).await);
    assert_eq!(started.elapsed().as_secs(), 2);
}

/// B8: a filter that answers within its limit decides, however slow.
#[tokio::test(start_paused = true)]
async fn b8_filter_time_limit_obeyed() {
    struct Slow(bool);
    impl Filter for Slow {
        fn accepts<'a>(&'a self, _: &'a Event, _: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(90)).await;
                Ok(self.0)
            })
        }
    }
    let runtime = runtime();
    runtime.add_filter("yes", FilterOptions::default(), Slow(true));
    assert!(passes(&runtime).await);
    runtime.add_filter("no", on_fault(OnFault::Pass), Slow(false));
    assert!(!passes(&runtime).await);
}

/// B8, S9: a filter that panics has failed; its event fares as `on-fault` says, and the bus goes on.
#[tokio::test(start_paused = true)]
async fn b8_a_panicking_filter_is_a_fault() {
    for (option, passed) in [(OnFault::Reject, false), (OnFault::Pass, true)] {
        let runtime = runtime();
        let filter = runtime.add_filter("panics", on_fault(option), |_: &Event| -> bool { panic!("no idea") });
        assert_eq!(passes(&runtime).await, passed);
        runtime.remove_filter(filter).expect("there");
        assert!(passes(&runtime).await);
    }
}

/// A filter that fails, and counts how often it was asked.
struct Fails(Asked, Class);

impl Filter for Fails {
    fn accepts<'a>(&'a self, event: &'a Event, _: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        self.0.push(event.event_type());
        Box::pin(ready(Err(Fault::new(self.1, "out of order"))))
    }
}

/// B8: after more than 5 faults in 60 s a filter is not asked any more: with `pass` it is out of the way, with `reject` it
/// stops the traffic until it is removed. `plugin.error` says so, once.
#[tokio::test(start_paused = true)]
async fn b8_repeated_faults_take_a_filter_out() {
    for (option, passed) in [(OnFault::Pass, true), (OnFault::Reject, false)] {
        let runtime = runtime();
        let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
        let asked = Asked::default();
        let filter = runtime.add_filter("broken", on_fault(option), Fails(asked.clone(), Class::Timeout));
        for fault in 1..=6 {
            assert!(errors.is_empty(), "after {} faults", fault - 1);
            assert_eq!(passes(&runtime).await, passed);
            runtime.quiet().await;
        }
        let told: serde_json::Value = errors.wait_for(1).await[0].json().expect("JSON");
        assert_eq!(told["filter"], "broken", "{told}");
        assert!(
            told["fault"].as_str().is_some_and(|text| text.contains("out of order")),
            "{told}"
        );
        for _ in 0..10 {
            assert_eq!(passes(&runtime).await, passed);
        }
        runtime.quiet().await;
        assert_eq!((asked.words().len(), errors.len()), (6, 1));
        runtime.remove_filter(filter).expect("still there");
        assert!(passes(&runtime).await);
    }
}

/// B8: five faults in a minute, or more in a longer time, take nothing out; nor does a filter that was only busy.
#[tokio::test(start_paused = true)]
async fn b8_few_faults_and_overload_take_nothing_out() {
    let runtime = runtime();
    let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
    let (asked, busy) = (Asked::default(), Asked::default());
    runtime.add_filter("seldom", on_fault(OnFault::Pass), Fails(asked.clone(), Class::Trap));
    runtime.add_filter("busy", on_fault(OnFault::Pass), Fails(busy.clone(), Class::Overloaded));
    for _ in 0..20 {
        assert!(passes(&runtime).await);
        tokio::time::advance(Duration::from_secs(13)).await;
    }
    runtime.quiet().await;
    assert_eq!((asked.words().len(), busy.words().len(), errors.len()), (20, 20, 0));
}

/// B8, B9: a filter may be added and removed while others work, from inside a handler too.
#[tokio::test(start_paused = true)]
async fn b8_b9_filters_are_changed_from_inside_a_handler() {
    let runtime = runtime_with([]).await;
    let inner = runtime.clone();
    let shut = move |_: Context| {
        inner.add_filter("shut", FilterOptions::default(), |_: &Event| false);
        ready(Ok::<(), Failure>(()))
    };
    runtime.subscribe("a", "shut", shut).expect("a subscription");
    assert!(passes(&runtime).await);
    assert!(!passes(&runtime).await);
}

/// B5, B8: what is refused because a filter failed is counted apart from what it refused.
#[tokio::test(start_paused = true)]
async fn b5_b8_faults_of_a_filter_are_counted_apart_from_its_verdicts() {
    let runtime = runtime();
    let judge = |event: &palisade::Event| match event.event_type() {
        "bad" => panic!("this filter fails"),
        other => other == "good",
    };
    runtime.add_filter("judge", palisade::FilterOptions::default(), judge);
    for (event_type, filtered, faults) in [("good", 0, 0), ("refused", 1, 0), ("bad", 2, 1), ("bad", 3, 2)] {
        runtime.publish(plain(event_type)).await.expect("published");
        let stats = runtime.stats();
        assert_eq!(
            (stats.filtered, stats.filter_faults),
            (filtered, faults),
            "{event_type}"
        );
    }
    for _ in 0..4 {
        runtime.publish(plain("bad")).await.expect("published");
    }
    // Now it is not asked any more, and nothing goes on.
    runtime.publish(plain("good")).await.expect("published");
    assert_eq!((runtime.stats().filtered, runtime.stats().filter_faults), (8, 7));
}
