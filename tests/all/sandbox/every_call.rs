//! Each call into the same instance has all its limits anew, and is bounded by them: counted over many calls in a row, by
//! `publish` and by queue.

use std::time::{Duration, Instant};

use palisade::{Class, Event, Grants, Limits, PluginSpec, RetryPolicy, Runtime};
use palisade_tests::wat::{POLLABLES, Wat, event_plugin};
use palisade_tests::{Seen, event, hostile, limits, publishes, small_engine};
use serde_json::{Value, json};

use super::beside::{Beside, Lines, sin_event};

const CALLS: usize = 50;

/// How an event comes to its handlers.
#[derive(Clone, Copy, Debug)]
enum Way {
    Publish,
    Queue,
}

const WAYS: [Way; 2] = [Way::Publish, Way::Queue];

impl Way {
    /// Gives the sinner one event, without a second attempt, and says how that ended. The neighbour must have been served.
    async fn ends(self, beside: &Beside, event: Event) -> Class {
        let runtime = &beside.runtime;
        runtime.quiet().await;
        let before = [counts(runtime, "hostile/sin"), counts(runtime, "neighbour/all")];
        match self {
            Way::Publish => drop(runtime.publish(event).await.expect("published")),
            Way::Queue => drop(runtime.publish_async(event).await.expect("published")),
        }
        runtime.quiet().await;
        let after = [counts(runtime, "hostile/sin"), counts(runtime, "neighbour/all")];
        assert!(after[1][0] > before[1][0], "the neighbour was served");
        let ended: Vec<_> = (0..Class::ALL.len())
            .filter(|of| after[0][*of] != before[0][*of])
            .collect();
        assert_eq!(ended.len(), 1, "{self:?}: one call, one end: {before:?}, {after:?}");
        Class::ALL[ended[0]]
    }

    async fn all_well(self, beside: &Beside, calls: usize, event: impl Fn() -> Event) {
        for call in 0..calls {
            assert_eq!(self.ends(beside, event()).await, Class::Ok, "{self:?}, call {call}");
        }
    }
}

/// How often a handler ended in each class.
fn counts(runtime: &Runtime, handler: &str) -> [u64; Class::ALL.len()] {
    let all = runtime.handler_stats();
    let stats = all.iter().find(|stats| stats.handler.to_string() == handler);
    let stats = stats.expect("it is subscribed");
    Class::ALL.map(|class| stats.count(class))
}

async fn beside(spec: PluginSpec) -> (Beside, Lines) {
    let lines = Lines::default();
    let builder = Runtime::builder().engine(small_engine()).log_sink(lines.clone());
    (Beside::with(builder, spec.retry(RetryPolicy::none())).await, lines)
}

/// A guest that logs a line as long as it has had calls, and then does this.
fn counting(body: &str) -> Wat {
    let fields = format!(
        r#"(global $calls (mut i32) (i32.const 0))
        (data (i32.const 131072) "{}")
        (func $burn (param $left i32) (result i32)
          (loop $again
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))
          (global.get $OK))"#,
        "x".repeat(2 * CALLS)
    );
    let count = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (call $log (global.get $LEVEL) (i32.const 131072) (i32.const 0) (i32.const 131072) (global.get $calls))";
    event_plugin()
        .imports(POLLABLES)
        .fields(&format!("(global $LEVEL i32 (i32.const 2)) {fields}"))
        .body(&format!("{count} {body}"))
}

/// All lines so far are those of one instance, which had so many calls.
fn one_instance(lines: &Lines, calls: usize) {
    let told: Vec<_> = lines.take().iter().map(|line| line.message.len()).collect();
    assert_eq!(
        told,
        (1..=calls).collect::<Vec<_>>(),
        "each call found what the one before left"
    );
}

/// An event with so many bytes of data.
fn long(bytes: usize) -> Event {
    event("hostile.sin", json!("x".repeat(bytes - 2)))
}

/// S1, S2, H9, H10: fifty calls of one instance burn all the fuel of a call each, to the unit; one byte more of data is more
/// than that, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h9_h10_fifty_calls_of_one_instance_have_their_fuel_each_and_no_more() {
    let spec = |fuel| {
        let wat = counting("(call $burn (i32.mul (local.get $data_len) (i32.const 1000)))");
        wat.spec().limits(limits(|limits| limits.fuel = Some(fuel)))
    };
    let (plenty, _) = beside(spec(1_000_000_000)).await;
    let report = plenty.runtime.publish(long(20)).await.expect("published");
    let fuel = report
        .of("hostile/sin")
        .and_then(|outcome| outcome.fuel)
        .expect("metered");
    assert!(fuel > 20_000, "{fuel}");
    for way in WAYS {
        let (beside, lines) = beside(spec(fuel)).await;
        way.all_well(&beside, CALLS, || long(20)).await;
        one_instance(&lines, CALLS);
        let report = beside.runtime.publish(long(20)).await.expect("published");
        assert_eq!(report.of("hostile/sin").and_then(|outcome| outcome.fuel), Some(fuel));
        for _ in 0..5 {
            assert_eq!(way.ends(&beside, long(21)).await, Class::OutOfFuel, "{way:?}");
            lines.take();
            way.all_well(&beside, 3, || long(20)).await;
            one_instance(&lines, 3);
        }
    }
}

/// S1, S2, H9: calls of one instance that wait longer than the deadline in all, though each does not, end well; one that spins
/// after them is stopped, and by a deadline of its own: not before it, whatever the others took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h9_calls_of_one_instance_have_their_deadline_each_and_no_more() {
    const DEADLINE: Duration = Duration::from_millis(600);
    // Waits for as many milliseconds as there are bytes; spins if there are many.
    let wat = counting(
        "(if (i32.gt_u (local.get $data_len) (i32.const 1000)) (then (loop $again (br $again))))
        (call $block (call $pollable
          (i64.mul (i64.extend_i32_u (local.get $data_len)) (i64.const 1000000))))
        (global.get $OK)",
    );
    for way in WAYS {
        let spec = wat.spec().limits(limits(|limits| limits.timeout = DEADLINE));
        let (beside, lines) = beside(spec).await;
        for _ in 0..2 {
            way.all_well(&beside, 4, || long(200)).await;
            one_instance(&lines, 4);
            let began = Instant::now();
            assert_eq!(way.ends(&beside, long(2000)).await, Class::Timeout, "{way:?}");
            assert!(began.elapsed() >= DEADLINE, "{way:?}: after {:?}", began.elapsed());
            lines.take();
        }
    }
}

/// The guest of sins, with events of these types only.
fn sinner(sins: &[&str], change: impl FnOnce(&mut Limits)) -> PluginSpec {
    let patterns = sins.iter().map(|sin| sin.parse().expect("a pattern"));
    let grants: Grants = publishes("hostile.>").subscribe(patterns);
    hostile().grants(grants).limits(limits(change))
}

/// How many events the instance that answers was given, this one included.
async fn handled(beside: &Beside) -> Value {
    beside.report("hostile.count", Value::Null).await["count"].clone()
}

/// S1, S2, H22: fifty calls of one instance publish as many events as a call may, and not one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h22_fifty_calls_of_one_instance_publish_what_a_call_may_each() {
    for way in WAYS {
        let spec = sinner(&["hostile.flood", "hostile.count"], |limits| limits.publish_events = 3);
        let (beside, lines) = beside(spec).await;
        let drops = Seen::subscribe(&beside.runtime, "hostile.drop", "drops");
        way.all_well(&beside, CALLS, || event("hostile.flood", json!(4))).await;
        assert_eq!(drops.len(), 3 * CALLS, "{way:?}");
        let told = lines.take();
        assert_eq!(told.len(), CALLS);
        let words = "flood: 3 taken, then: publish: over the limit of 3 for one call";
        assert!(told.iter().all(|line| line.message == words), "{told:?}");
        assert_eq!(handled(&beside).await, CALLS + 1, "{way:?}: one instance");
    }
}

/// S1, S2, H22: the same of the bytes: calls that keep to them are not held back by those before, which did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h22_fifty_calls_of_one_instance_publish_as_many_bytes_as_a_call_may_each() {
    for way in WAYS {
        let spec = sinner(&["hostile.big-publish", "hostile.count"], |limits| {
            limits.publish_bytes = 1024;
        });
        let (beside, _) = beside(spec).await;
        for call in 0..CALLS {
            let sin = event("hostile.big-publish", json!(call % 2));
            assert_eq!(way.ends(&beside, sin).await, Class::Ok, "{way:?}, call {call}");
        }
        for (call, report) in beside.reports().await.iter().enumerate() {
            let refused = report["error"] == "publish: over the limit of 1024 for one call";
            assert_eq!(refused, call % 2 == 1, "{way:?}, call {call}: {report}");
        }
        assert_eq!(handled(&beside).await, CALLS + 1, "{way:?}: one instance");
    }
}

/// S1, S2, H16: calls of one instance carry as many bytes to the host as a call of the host may, each; one more ends it, as
/// often as it is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h16_calls_of_one_instance_carry_what_a_call_of_the_host_may_each() {
    for way in WAYS {
        let spec = sinner(&["hostile.long-line", "hostile.count"], |limits| {
            limits.hostcall_bytes = 2 << 20;
        });
        let (beside, _) = beside(spec).await;
        for _ in 0..2 {
            way.all_well(&beside, 10, || event("hostile.long-line", json!(1))).await;
            assert_eq!(handled(&beside).await, 11, "{way:?}: one instance");
            let sin = sin_event("hostile.long-line", json!(3));
            assert_eq!(way.ends(&beside, sin).await, Class::HostLimit, "{way:?}");
        }
    }
}
