//! B3: deadlines, busy handlers, and publishers that go away.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use palisade::{Class, Context, DeadlineOf, Failure, FilterOptions, PluginState, Runtime, SubscribeOptions};
use palisade_tests::{Seen, event, hostile, runtime, runtime_with, spec};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::words::{Gate, bare, counting, letters, plain, report, stats_of};

const SHORT: Duration = Duration::from_millis(100);

/// B3: the deadline of `publish_within` ends what is still going on, and only that.
#[tokio::test(start_paused = true)]
async fn b3_publish_within_ends_what_is_still_going_on() {
    let runtime = runtime();
    runtime
        .subscribe("a", "hangs", |_: Context| pending())
        .expect("a subscription");
    let seen = Seen::subscribe(&runtime, "a", "quick");
    let report = runtime.publish_within(plain("a"), SHORT).await.expect("published");
    let of = |name| report.of(name).expect("an outcome").class;
    assert_eq!((of("hangs"), of("quick"), seen.len()), (Class::Timeout, Class::Ok, 1));
}

/// B3: neither the publisher's deadline nor the handler's own can be exceeded; the earlier one counts.
#[tokio::test(start_paused = true)]
async fn b3_the_earlier_of_two_deadlines_counts() {
    let runtime = runtime();
    let left = |_: Context| pending();
    let own = SubscribeOptions::default().timeout(Duration::from_secs(1));
    runtime
        .subscribe_with(&["a"], "own", own, left)
        .expect("a subscription");
    let started = tokio::time::Instant::now();
    runtime
        .publish_within(plain("a"), Duration::from_secs(9))
        .await
        .expect("published");
    // Time is paused: this is exact, whatever the machine does. Tokio's clock has a grain of a millisecond.
    assert_eq!(started.elapsed().as_secs(), 1);
    runtime
        .publish_within(plain("a"), Duration::from_millis(10))
        .await
        .expect("published");
    assert_eq!(started.elapsed().as_secs(), 1);
}

/// B3: the handler sees whose deadline it has, and the outcome says whose it was, in its type and its words; of two equal
/// ones it is the handler's.
#[tokio::test(start_paused = true)]
async fn b3_the_fault_says_whose_deadline_it_was() {
    let runtime = runtime();
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let hang = move |cx: Context| {
        told.send(cx.deadline_of).expect("somebody listens");
        pending()
    };
    let own = SubscribeOptions::default().timeout(SHORT);
    runtime
        .subscribe_with(&["a"], "hangs", own, hang)
        .expect("a subscription");
    let hour = SHORT * 36_000;
    for (limit, of, words) in [
        (SHORT / 2, DeadlineOf::Publisher, "the publisher's deadline"),
        (SHORT, DeadlineOf::Handler, "its deadline"),
        (hour, DeadlineOf::Handler, "its deadline"),
    ] {
        let publisher = runtime.clone();
        let first = tokio::spawn(async move { publisher.publish_within(plain("a"), limit).await });
        assert_eq!(seen.recv().await, Some(of), "{limit:?}");
        // The first one has the handler for longer than this one waits.
        let waits = runtime.publish_within(plain("a"), SHORT / 4);
        let busy = waits.await.expect("published");
        let ended = first.await.expect("no panic").expect("published");
        for (report, class, message, of) in [
            (ended, Class::Timeout, format!("hangs did not end by {words}"), of),
            (
                busy,
                Class::Overloaded,
                "hangs was busy until the publisher's deadline".to_owned(),
                DeadlineOf::Publisher,
            ),
        ] {
            let fault = report.of("hangs").and_then(|outcome| outcome.fault.clone());
            let fault = fault.expect("it failed");
            assert_eq!(
                (fault.class(), fault.message(), fault.deadline_of(), fault.limit()),
                (class, &*message, Some(of), None)
            );
        }
    }
}

/// B3: an event whose deadline the filters used up is given to nobody.
#[tokio::test(start_paused = true)]
async fn b3_filters_that_use_up_the_deadline_leave_no_call() {
    struct Slow;
    impl palisade::Filter for Slow {
        fn accepts<'a>(
            &'a self,
            _: &'a palisade::Event,
            _: tokio::time::Instant,
        ) -> palisade::BoxFuture<'a, Result<bool, palisade::Fault>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(true)
            })
        }
    }
    let runtime = runtime();
    let calls = counting(&runtime, "a", "never", SubscribeOptions::default(), |_| Ok(()));
    runtime.add_filter("slow", FilterOptions::default(), Slow);
    let report = runtime
        .publish_within(plain("a"), Duration::from_millis(20))
        .await
        .expect("published");
    let outcome = report.of("never").expect("an outcome");
    assert_eq!(
        (outcome.class, outcome.attempts, calls.count()),
        (Class::Overloaded, 0, 0)
    );
    assert_eq!(
        outcome.message(),
        "never was not called: the publisher's deadline had passed"
    );
    runtime
        .publish_within(plain("a"), Duration::from_secs(1))
        .await
        .expect("published");
    assert_eq!(calls.count(), 1);
}

/// B3: a handler that is busy until the deadline is `overloaded`: it was not called, and the next event is served.
#[tokio::test(start_paused = true)]
async fn b3_a_busy_native_handler_is_overloaded() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "busy");
    let first = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(plain("a")).await }
    });
    gate.began(1).await;
    let late = runtime.publish_within(plain("a"), SHORT).await.expect("published");
    assert_eq!(late.of("busy").map(|outcome| outcome.class), Some(Class::Overloaded));
    assert_eq!(gate.begun(), 0, "it was never called for the second");
    gate.open(2);
    assert!(first.await.expect("no panic").expect("published").all_ok());
    assert!(runtime.publish(plain("a")).await.expect("published").all_ok());
}

/// How many events the guest's instance was given, this one included.
async fn count(runtime: &Runtime, reports: &Seen, nth: usize) -> Value {
    let sent = runtime.publish(plain("hostile.count")).await.expect("published");
    assert!(sent.all_ok(), "{sent:?}");
    report(&reports.wait_for(nth).await[nth - 1], "count")["count"].clone()
}

/// B3, H15: waiting for a busy instance until the deadline is `overloaded` and costs the plugin nothing: its instance,
/// and what it remembers, stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_h15_a_busy_instance_is_overloaded_and_keeps_its_state() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let reports = Seen::published(&runtime);
    assert_eq!(count(&runtime, &reports, 1).await, 1);
    let busy = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(event("hostile.sleep", json!(1_000))).await }
    });
    while runtime.plugin_health("hostile").await.expect("known") != palisade::Health::Busy {
        tokio::task::yield_now().await;
    }
    let late = runtime
        .publish_within(plain("hostile.ok"), SHORT)
        .await
        .expect("published");
    let of = |name| late.of(name).expect("an outcome").class;
    assert_eq!((of("hostile/sin"), of("probe/all")), (Class::Overloaded, Class::Ok));
    assert!(busy.await.expect("no panic").expect("published").all_ok());
    // Four events: two counts, the sleep, and the report that came back. The late one was never given to the guest.
    assert_eq!(count(&runtime, &reports, 2).await, 4);
    assert_eq!(runtime.plugin("hostile").expect("known").state, PluginState::Started);
}

/// B3, H15: within its deadline an event waits for a busy instance, and is served in its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_h15_an_event_waits_for_a_busy_instance_and_is_served() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let busy = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(event("hostile.sleep", json!(300))).await }
    });
    while runtime.plugin_health("hostile").await.expect("known") != palisade::Health::Busy {
        tokio::task::yield_now().await;
    }
    let waited = runtime.publish(plain("hostile.ok")).await.expect("published");
    assert!(waited.all_ok() && waited.outcomes.len() == 2, "{waited:?}");
    assert!(busy.await.expect("no panic").expect("published").all_ok());
}

/// B3, H30: a publisher that drops its future holds nothing against anybody: the next event is served at once, nothing is
/// a dead letter, and all is quiet.
#[tokio::test(start_paused = true)]
async fn b3_h30_a_dropped_publish_frees_the_handler() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "busy");
    for _ in 0..3 {
        let publish = runtime.publish(plain("a"));
        tokio::pin!(publish);
        tokio::select! {
            biased;
            _ = &mut publish => panic!("it waits"),
            () = gate.began(1) => {}
        }
    }
    runtime.quiet().await;
    gate.open(1);
    assert!(runtime.publish(plain("a")).await.expect("published").all_ok());
    letters(&runtime, 0).await;
    assert_eq!(stats_of(&runtime, "busy").attempts, [(Class::Ok, 1)]);
}

/// B3, H30: the same with a guest, which is at work when its publisher goes: its store is thrown away, the plugin stays
/// started, and a fresh instance serves the next event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_h30_a_dropped_publish_costs_the_instance_and_nothing_else() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let reports = Seen::published(&runtime);
    assert_eq!(count(&runtime, &reports, 1).await, 1);
    for sin in ["hostile.sleep", "hostile.spin"] {
        let publisher = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.publish(bare(sin)).await }
        });
        // Not by asking the plugin for its health, which would need the instance.
        while runtime.health().await.ticker.running_calls == 0 {
            tokio::task::yield_now().await;
        }
        publisher.abort();
        assert!(publisher.await.expect_err("it was dropped").is_cancelled());
        assert!(runtime.publish(plain("hostile.ok")).await.expect("published").all_ok());
    }
    runtime.quiet().await;
    assert_eq!(count(&runtime, &reports, 2).await, 2, "a fresh instance: `ok` and this");
    let status = runtime.plugin("hostile").expect("known");
    assert_eq!((status.state, status.error), (PluginState::Started, None));
    letters(&runtime, 0).await;
}

/// B3: what a handler that was done published stays published when the publisher goes away while others work.
#[tokio::test(start_paused = true)]
async fn b3_b11_handlers_that_were_done_stay_done() {
    let runtime = runtime();
    let told = Arc::new(Notify::new());
    let tell = |cx: Context| {
        let published = cx.publish(palisade::Draft::new("told"));
        ready(published.map(drop).map_err(|error| Failure::reject(error.to_string())))
    };
    runtime.subscribe("a", "tells", tell).expect("a subscription");
    let hanging = told.clone();
    let hang = move |_: Context| {
        hanging.notify_one();
        pending()
    };
    runtime.subscribe("a", "hangs", hang).expect("a subscription");
    let seen = Seen::subscribe(&runtime, "told", "seen");
    let publish = runtime.publish(plain("a"));
    tokio::pin!(publish);
    tokio::select! {
        biased;
        _ = &mut publish => panic!("one of them hangs"),
        () = told.notified() => {}
    }
    // The slow one delays neither the other's outbox nor what comes of it.
    let came = tokio::time::timeout(Duration::from_secs(3600), seen.wait_for(1)).await;
    assert_eq!(came.expect("it was published").len(), 1);
}

/// H15: with room for one instance in the whole runtime, a second plugin's event is overloaded, which names the cap and is
/// nobody's fault; the room is used again once it is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h15_no_room_for_an_instance_is_overloaded_and_nobodys_fault() {
    let mut engine = palisade::EngineOptions::default();
    engine.max_instances = Some(1);
    let runtime = Runtime::builder().engine(engine).build().expect("a runtime");
    let per_event = |name: &str| hostile().name(name).isolation(palisade::Isolation::PerEvent);
    runtime
        .launch(vec![per_event("a"), per_event("b")])
        .await
        .expect("one after the other they start");
    let report = runtime
        .publish_within(bare("hostile.sleep"), SHORT)
        .await
        .expect("published");
    let mut classes: Vec<_> = report.outcomes.iter().map(|outcome| outcome.class).collect();
    classes.sort();
    assert_eq!(classes, [Class::Timeout, Class::Overloaded], "{report:?}");
    let refused = report
        .outcomes
        .iter()
        .find(|outcome| outcome.class == Class::Overloaded)
        .expect("one of them");
    assert!(refused.message().contains("max-instances"), "{}", refused.message());
    for (idle, works) in [("a", "b/sin"), ("b", "a/sin")] {
        runtime.stop(idle).await.expect("stopped");
        let report = runtime.publish(bare("hostile.ok")).await.expect("published");
        assert_eq!(
            report.of(works).map(|outcome| outcome.class),
            Some(Class::Ok),
            "{report:?}"
        );
        runtime.start(idle).await.expect("started");
    }
}
