#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use palisade_sdk::serde_json::Value;
use palisade_sdk::testing::{Grants, Harness, TestEvent};

use super::*;

const SECOND: u64 = 1_000_000_000;
/// 2015-12-10T09:00:00Z
const START: u64 = 1_449_738_000 * SECOND;

type Enhancer = Harness<AuthEnhancer>;

fn started() -> Enhancer {
    Enhancer::start(json!({})).unwrap()
}

fn failure(ip: &str, at: u64) -> TestEvent {
    TestEvent::new("user.login.failed")
        .nanos(START + at)
        .json(json!({ "ip": ip, "user": "root" }))
}

/// Delivers failures of one address at these seconds and returns the alerts' times.
fn alerts(enhancer: &mut Enhancer, ip: &str, seconds: &[u64]) -> Vec<String> {
    for second in seconds {
        enhancer.deliver(failure(ip, second * SECOND)).unwrap();
    }
    let published = enhancer.take_published();
    published
        .iter()
        .map(|alert| alert.read_json::<Value>().unwrap()["last"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_fifth_failure_raises_one_alarm() {
    let mut enhancer = started();
    assert!(alerts(&mut enhancer, "192.0.2.1", &[0, 1, 2, 3]).is_empty());
    enhancer.deliver(failure("192.0.2.1", 4_500_000_000)).unwrap();
    assert_eq!(enhancer.published().len(), 1);
    assert_eq!(enhancer.published()[0].event_type(), "auth.bruteforce");
    assert_eq!(
        enhancer.take_published()[0].read_json::<Value>().unwrap(),
        json!({ "ip": "192.0.2.1", "failures": 5, "first": "2015-12-10T09:00:00Z", "last": "2015-12-10T09:00:04.5Z" })
    );
    assert!(alerts(&mut enhancer, "192.0.2.1", &[5, 6, 7, 8, 9, 10]).is_empty());
}

#[test]
fn the_window_includes_its_edge() {
    assert_eq!(alerts(&mut started(), "a", &[0, 15, 30, 45, 60]).len(), 1);
    let mut enhancer = started();
    assert!(alerts(&mut enhancer, "a", &[0, 15, 30, 45]).is_empty());
    enhancer.deliver(failure("a", 60 * SECOND + 1)).unwrap();
    assert!(enhancer.published().is_empty());
}

#[test]
fn an_alarm_lasts_while_failures_come_and_ends_with_a_longer_silence() {
    let mut enhancer = started();
    // Never more than 60 s apart: one alarm, however long.
    assert_eq!(
        alerts(&mut enhancer, "a", &[0, 1, 2, 3, 4, 64, 65, 66, 67, 68, 128]).len(),
        1
    );
    // 61 s later it ends, and five more raise the next.
    assert_eq!(
        alerts(&mut enhancer, "a", &[189, 190, 191, 192, 193]),
        ["2015-12-10T09:03:13Z"]
    );
}

#[test]
fn addresses_are_counted_apart() {
    let mut enhancer = started();
    for second in 0..4 {
        for ip in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            enhancer.deliver(failure(ip, second * SECOND)).unwrap();
        }
    }
    assert_eq!(alerts(&mut enhancer, "192.0.2.2", &[4]).len(), 1);
    assert_eq!(alerts(&mut enhancer, "2001:db8::1", &[5]).len(), 1);
}

#[test]
fn failures_out_of_order_count_by_their_time() {
    let mut enhancer = started();
    enhancer.deliver(failure("a", 100 * SECOND)).unwrap();
    // 39 is more than 60 s before the newest and never counts; the others do.
    assert_eq!(
        alerts(&mut enhancer, "a", &[90, 39, 40, 70, 95]),
        ["2015-12-10T09:01:40Z"]
    );
}

#[test]
fn a_success_neither_clears_nor_counts() {
    let mut enhancer = started();
    assert!(alerts(&mut enhancer, "a", &[0, 1, 2, 3]).is_empty());
    enhancer
        .deliver(
            TestEvent::new("user.login")
                .nanos(START + 4 * SECOND)
                .json(json!({ "ip": "a" })),
        )
        .unwrap();
    assert!(enhancer.published().is_empty());
    assert_eq!(alerts(&mut enhancer, "a", &[5]).len(), 1);
}

#[test]
fn what_cannot_be_counted_is_rejected() {
    let mut enhancer = started();
    let mut reject = |data: Value| {
        let event = TestEvent::new("user.login.failed").json(data);
        match enhancer.deliver(event).unwrap_err() {
            Failure::Reject(message) => message,
            other => other.to_string() + " is no rejection",
        }
    };
    assert_eq!(
        reject(json!({ "user": "root" })),
        "a failed login without `data.ip` can't be counted"
    );
    assert_eq!(
        reject(json!({ "ip": "" })),
        "`data.ip` has 0 bytes; it may have 1 to 64"
    );
    assert_eq!(
        reject(json!({ "ip": "9".repeat(65) })),
        "`data.ip` has 65 bytes; it may have 1 to 64"
    );
    assert!(reject(json!({ "ip": 7 })).starts_with("JSON: invalid type"));
    assert!(reject(json!("text")).starts_with("JSON: invalid type"));
    assert_eq!(enhancer.plugin().watch.addresses(), 0);
}

/// S8
#[test]
fn an_alert_that_may_not_be_published_is_rejected_and_not_forgotten() {
    let mut enhancer = Enhancer::start_with(json!({ "threshold": 2 }), Grants::publish(["other.>"])).unwrap();
    enhancer.deliver(failure("a", 0)).unwrap();
    for _ in 0..2 {
        let failure = enhancer.deliver(failure("a", SECOND)).unwrap_err();
        assert!(failure.to_string().contains("auth.bruteforce"), "{failure}");
    }
    assert!(enhancer.published().is_empty());
}

#[test]
fn window_and_threshold_are_the_operators() {
    for window in [json!("1s"), json!("1000ms"), json!(1)] {
        let mut enhancer = Enhancer::start(json!({ "window": window, "threshold": 2 })).unwrap();
        assert!(alerts(&mut enhancer, "a", &[0, 2, 4]).is_empty());
        assert_eq!(alerts(&mut enhancer, "a", &[5]).len(), 1);
    }
}

#[test]
fn a_wrong_config_is_named_by_its_key() {
    for (config, key) in [
        (json!({ "window": "soon" }), "`window`"),
        (json!({ "window": 0 }), "`window`"),
        (json!({ "threshold": 0 }), "`threshold`"),
        (json!({ "threshold": 10_001 }), "`threshold`"),
        (json!({ "threshold": "five" }), "`threshold`"),
        (json!({ "treshold": 5 }), "`treshold`"),
    ] {
        let error = Enhancer::start(config.clone()).err().unwrap();
        assert!(error.contains(key), "{config}: {error}");
    }
}

/// L4
#[test]
fn a_wrong_config_is_not_quoted() {
    for config in [
        json!({ "window": "hunter2" }),
        json!({ "window": ["hunter2"] }),
        json!({ "threshold": "hunter2" }),
        json!({ "threshold": { "hunter2": "hunter2" } }),
    ] {
        let error = Enhancer::start(config).err().unwrap();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = Enhancer::start(json!({ "threshold": 424_242 })).err().unwrap();
    assert_eq!(error, "config key `threshold`: it has to be 1 to 10000");
}

#[test]
fn silent_addresses_are_forgotten() {
    let mut enhancer = started();
    for n in 0..1000 {
        enhancer
            .deliver(failure(&format!("10.0.{}.{}", n / 256, n % 256), SECOND))
            .unwrap();
    }
    assert_eq!(enhancer.plugin().watch.addresses(), 1000);
    enhancer
        .deliver(TestEvent::new("user.login").nanos(START + 62 * SECOND))
        .unwrap();
    assert_eq!(enhancer.plugin().watch.addresses(), 0);
}

#[test]
fn a_spray_of_addresses_is_bounded_and_costs_the_oldest_first() {
    let mut enhancer = Enhancer::start(json!({ "threshold": 10_000 })).unwrap();
    // 104 addresses fit with this threshold.
    for n in 0..104 {
        enhancer.deliver(failure(&n.to_string(), n * SECOND / 10)).unwrap();
    }
    assert_eq!(enhancer.plugin().watch.addresses(), 104);
    enhancer.deliver(failure("one more", 11 * SECOND)).unwrap();
    assert_eq!(enhancer.plugin().watch.addresses(), 104 - 27 + 1);
    assert_eq!(
        enhancer.log()[0].message,
        "104 addresses at once: forgetting the 27 that have been silent for longest"
    );
    // The newest is still known: it needs no room.
    enhancer.deliver(failure("103", 12 * SECOND)).unwrap();
    assert_eq!(enhancer.plugin().watch.addresses(), 104 - 27 + 1);
}
