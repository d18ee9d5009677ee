//! Others don't notice: the promise that the sandbox is for.

use std::time::Duration;

use palisade::{Class, EngineOptions, Runtime};
use palisade_tests::{hostile, hostile_as, limits};
use serde_json::{Value, json};

use super::beside::{Beside, SHORT, hurried, neighbour, only, sin_event, spun_meanwhile};

/// S1, S2, S5, H1, H6: one plugin that spins for ever, one that sleeps for ever and a healthy one on the same bus: the
/// healthy one handles every event, the others time out at each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_a_spinner_and_a_sleeper_do_not_stop_a_healthy_plugin() {
    const EVENTS: usize = 20;
    let short = limits(|limits| limits.timeout = Duration::from_millis(50));
    let runtime = Runtime::builder().build().unwrap();
    let bad = |name: &str, sin: &str| {
        let spec = hostile_as(name).limits(short.clone()).grants(only(sin));
        spec.quarantine(None)
    };
    let plugins = vec![
        bad("spinner", "hostile.spin"),
        bad("sleeper", "hostile.sleep"),
        neighbour(),
    ];
    runtime.launch(plugins).await.unwrap();
    for _ in 0..EVENTS {
        let spin = runtime.publish(sin_event("hostile.spin", Value::Null));
        let sleep = runtime.publish(sin_event("hostile.sleep", Value::Null));
        let (spin, sleep) = tokio::join!(spin, sleep);
        for (report, bad) in [(spin.unwrap(), "spinner/sin"), (sleep.unwrap(), "sleeper/sin")] {
            assert_eq!(report.of("neighbour/all").unwrap().class, Class::Ok);
            assert_eq!(report.of(bad).unwrap().class, Class::Timeout);
        }
    }
    assert_eq!(
        runtime.health().await.instances,
        3,
        "what was ended is gone, and each has one for the next event"
    );
}

/// S3, H7: with more spinners than worker threads a timer still fires and another plugin still answers, while all of
/// them spin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_h7_more_spinners_than_worker_threads_starve_nobody() {
    let beside = Beside::new(hostile().concurrency(4).grants(only("hostile.spin"))).await;
    let spinners: Vec<_> = (0..4)
        .map(|_| {
            let runtime = beside.runtime.clone();
            tokio::spawn(async move { runtime.publish(sin_event("hostile.spin", Value::Null)).await })
        })
        .collect();
    beside.busy(&spinners).await;
    // Both on the workers that the spinners keep busy.
    let timer = tokio::spawn(tokio::time::sleep(Duration::from_millis(5)));
    let runtime = beside.runtime.clone();
    let answer = tokio::spawn(async move { runtime.publish(sin_event("hostile.ok", Value::Null)).await });
    timer.await.unwrap();
    let report = answer.await.unwrap().unwrap();
    assert_eq!(report.of("neighbour/all").unwrap().class, Class::Ok);
    spun_meanwhile(spinners).await;
}

/// S3, H7: on a single thread as well, and with the deadlines of the spinners to end them.
#[tokio::test]
async fn s3_h7_a_spinner_on_the_only_thread_starves_nobody() {
    let beside = Beside::new(hurried().grants(only("hostile.spin"))).await;
    let runtime = beside.runtime.clone();
    let spinner = tokio::spawn(async move { runtime.publish(sin_event("hostile.spin", Value::Null)).await });
    beside.busy(std::slice::from_ref(&spinner)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let report = beside
        .runtime
        .publish(sin_event("hostile.ok", Value::Null))
        .await
        .unwrap();
    assert!(report.all_ok());
    let report = spinner.await.unwrap().unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
}

/// H11: of several calls at once on one engine only the one that is over its time is ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h11_a_timeout_ends_only_its_own_call() {
    let beside = Beside::new(hurried().grants(only("hostile.spin"))).await;
    // One waits in the host, one computes in the guest: both began before the spinner is ended, and end after it.
    let patient = hostile_as("patient").grants(only("hostile.sleep"));
    let busy = hostile_as("busy").grants(only("hostile.fill"));
    beside.runtime.launch(vec![patient, busy]).await.unwrap();
    let publish = |sin: &'static str, data: Value| {
        let runtime = beside.runtime.clone();
        tokio::spawn(async move { runtime.publish(sin_event(sin, data)).await })
    };
    let busy = publish("hostile.fill", json!(4));
    let patient = publish("hostile.sleep", json!(2 * SHORT.as_millis() as u64));
    let spinner = publish("hostile.spin", Value::Null);
    let report = spinner.await.unwrap().unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
    assert!(!busy.is_finished(), "it computes on");
    busy.abort();
    let report = patient.await.unwrap().unwrap();
    assert_eq!(report.of("patient/sin").unwrap().class, Class::Ok);
}

/// S5, H29: the sins of one plugin leave no room taken that another would need: a hundred of them in a runtime that has room
/// for two instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_hundred_faults_leave_room_for_the_next_event() {
    let mut options = EngineOptions::default();
    options.max_instances = Some(2);
    let beside = Beside::with(Runtime::builder().engine(options), hostile().quarantine(None)).await;
    for sin in [
        "hostile.trap",
        "hostile.panic",
        "hostile.exit",
        "hostile.recurse",
        "hostile.handles",
    ]
    .repeat(20)
    {
        let outcome = beside.sin(sin, Value::Null).await;
        assert!(
            ![Class::Ok, Class::Overloaded, Class::Rejected].contains(&outcome.class),
            "{sin}: {}",
            outcome.message()
        );
    }
    beside.obeys("hostile.ok", Value::Null).await;
    assert_eq!(beside.runtime.health().await.instances, 2);
}
