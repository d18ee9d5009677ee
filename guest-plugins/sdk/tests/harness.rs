//! What a plugin's author relies on: the harness keeps to the contract.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use palisade_sdk::prelude::*;
use palisade_sdk::testing::{FilterHarness, Grants, Harness, TestEvent};
use palisade_sdk::{PublishError, SubscribeError};

/// Two handlers; what the first one does is the event's data.
struct Pair {
    calls: Vec<&'static str>,
}

impl Plugin for Pair {
    fn info() -> Info {
        Info::new("pair", "1.2.3")
            .description("Two handlers.")
            .depends_on("other")
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![
            Handler::new("first", Self::first).on("order.*").on("order.new"),
            Handler::new("second", Self::second)
                .on("order.>")
                .timeout(Duration::from_secs(1))
                .ordered_by("customer"),
        ]
    }

    fn start(config: &Config, bus: &Bus) -> Result<Self, StartError> {
        if config.get("fail")? == Some(true) {
            return Err("told to fail".into());
        }
        bus.publish(Draft::new("pair.started"))?;
        Ok(Self { calls: Vec::new() })
    }

    fn stop(&mut self, bus: &Bus) {
        log::info!("stopping: {:?}", bus.publish(Draft::new("pair.stopped")));
    }
}

impl Pair {
    fn first(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        self.calls.push("first");
        cx.publish(Draft::raw_json("pair.first", event.data()).metadata("tenant", "t"))?;
        match event.json()? {
            "retry" => Err(Failure::retry_after("later", Duration::from_secs(2))),
            "subscribe" => Ok(cx.subscribe("invoice.>", "second")?),
            "unsubscribe" => Ok(cx.unsubscribe("order.>", "second")?),
            "unknown" => Ok(cx.subscribe("invoice.>", "third")?),
            _ => Ok(()),
        }
    }

    fn second(&mut self, event: &Event, _: &Context) -> Result<(), Failure> {
        self.calls.push("second");
        log::debug!("{} of {:?}", event.content_type(), event.metadata("tenant"));
        Ok(())
    }
}

fn started() -> Harness<Pair> {
    let mut pair = Harness::start(json!({})).unwrap();
    assert_eq!(pair.take_published()[0].event_type(), "pair.started");
    pair
}

fn order(what: &str) -> TestEvent {
    TestEvent::new("order.new").json(what)
}

#[test]
fn an_event_reaches_each_subscribed_handler_once() {
    let mut pair = started();
    pair.deliver(order("x").metadata("tenant", "a")).unwrap();
    pair.deliver(TestEvent::new("order.new.now")).unwrap();
    assert_eq!(pair.plugin().calls, ["first", "second", "second"]);
    let lines: Vec<_> = pair.log().iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["application/json of Some(\"a\")", " of None"]);
}

#[test]
fn a_failed_call_publishes_nothing_and_stops_no_other() {
    let mut pair = started();
    let failure = pair.deliver(order("retry")).unwrap_err();
    assert_eq!(failure, Failure::retry_after("later", Duration::from_secs(2)));
    assert!(pair.published().is_empty());
    assert_eq!(pair.plugin().calls, ["first", "second"]);
    assert!(
        matches!(pair.deliver(TestEvent::new("order.new")), Err(Failure::Reject(text)) if text.starts_with("JSON: "))
    );
}

#[test]
fn subscriptions_of_a_call_are_in_force_from_the_next_event() {
    let mut pair = started();
    assert!(!pair.wants("invoice.sent"));
    pair.deliver(order("subscribe")).unwrap();
    assert!(pair.wants("invoice.sent"));
    assert!(matches!(pair.deliver(order("subscribe")), Err(Failure::Reject(text)) if text.contains("already")));
    pair.deliver(order("unsubscribe")).unwrap();
    let patterns = [("order.*", "first"), ("order.new", "first"), ("invoice.>", "second")];
    assert_eq!(pair.subscriptions(), patterns);
    let failure = pair.deliver(order("unknown")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "subscribe: there is no handler `third`; this plugin has: first, second"
    );
}

#[test]
#[should_panic(expected = "no handler is subscribed to `user.login`")]
fn an_event_that_nobody_wants_is_a_mistake_of_the_test() {
    let _ = started().deliver(TestEvent::new("user.login"));
}

#[test]
fn what_stop_publishes_is_there_at_the_end() {
    let mut pair = started();
    pair.deliver(order("x")).unwrap();
    let published = pair.stop();
    assert_eq!(
        published.iter().map(Draft::event_type).collect::<Vec<_>>(),
        ["pair.first", "pair.stopped"]
    );
    assert_eq!(published[0].read_json::<String>().unwrap(), "x");
    assert_eq!(published[0].all_metadata(), [("tenant".to_owned(), "t".to_owned())]);
}

#[test]
fn a_start_that_fails_says_why() {
    assert_eq!(
        Harness::<Pair>::start(json!({ "fail": true })).err().unwrap(),
        "told to fail"
    );
    let error = Harness::<Pair>::start(json!({ "fail": 1 })).err().unwrap();
    assert_eq!(error, "config key `fail`: invalid type, expected a boolean");
    let error = Harness::<Pair>::start_with(json!({}), Grants::publish(["other.>"]))
        .err()
        .unwrap();
    assert_eq!(
        error,
        "publish: no publish grant names `pair.started` (plugin.grants.publish)"
    );
}

/// What a draft is refused for, one plugin that publishes what it is told.
struct Parrot;

impl Plugin for Parrot {
    fn info() -> Info {
        Info::new("parrot", "1")
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("say", Self::say).on("say").strictly_ordered()]
    }

    fn start(_: &Config, _: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Parrot {
    fn say(&mut self, _: &Event, cx: &Context) -> Result<(), Failure> {
        let refused = |draft| cx.publish(draft).unwrap_err();
        for of_the_host in ["plugin.x", "system.x", "config.x"] {
            assert!(matches!(refused(Draft::new(of_the_host)), PublishError::NotGranted(_)));
        }
        let names = ["", "Upper", "with-dash", "id", "subject", "hopcount", "traceparent"];
        for draft in names
            .map(|name| Draft::new("said").metadata(name, "1"))
            .into_iter()
            .chain([
                Draft::new(""),
                Draft::new("x".repeat(257)),
                Draft::raw_json("said", "{"),
                Draft::raw_json("said", "[".repeat(129) + &"]".repeat(129)),
                Draft::bytes("said", "application/vnd.x+json", "no"),
                Draft::new("said").metadata("long", "x".repeat(16 * 1024)),
            ])
        {
            assert!(matches!(refused(draft.clone()), PublishError::Invalid(_)), "{draft:?}");
        }
        for wrong in ["", "a..b", "a.>.b"] {
            assert!(matches!(cx.subscribe(wrong, "say"), Err(SubscribeError::Invalid(_))));
        }
        assert_eq!(cx.unsubscribe("never", "say"), Err(SubscribeError::NotFound));

        let big = || Draft::bytes("said", "text/plain", vec![b'x'; 600 * 1024]);
        cx.publish(big())?;
        assert_eq!(refused(big()), PublishError::OverLimit(1024 * 1024));
        for _ in 1..64 {
            cx.publish(Draft::new("said"))?;
        }
        assert_eq!(refused(Draft::new("said")), PublishError::OverLimit(64));
        Ok(())
    }
}

#[test]
fn drafts_are_checked_as_the_host_checks_them() {
    let mut parrot = Harness::<Parrot>::start(json!({})).unwrap();
    parrot.deliver(TestEvent::new("say")).unwrap();
    assert_eq!(parrot.published().len(), 64);
}

/// A description that the host would refuse.
struct Wrong<const CASE: u8>;

impl<const CASE: u8> Plugin for Wrong<CASE> {
    fn info() -> Info {
        Info::new(if CASE == 0 { "two words" } else { "wrong" }, "1")
    }

    fn handlers() -> Vec<Handler<Self>> {
        let handler = |name: &str| Handler::new(name, |_: &mut Self, _, _| Ok(()));
        match CASE {
            1 => vec![handler("a.b").on("x")],
            2 => vec![handler("a").on("x"), handler("a").on("y")],
            3 => vec![handler("a")],
            4 => vec![handler("a").on("x..y")],
            5 => vec![handler("a").on("x").on("x")],
            _ => Vec::new(),
        }
    }

    fn start(_: &Config, _: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

#[test]
fn a_wrong_description_does_not_start() {
    fn error<const CASE: u8>() -> String {
        Harness::<Wrong<CASE>>::start(json!({})).err().unwrap()
    }
    assert_eq!(
        error::<0>(),
        "plugin name `two words`: a name is letters, digits, `-` and `_`, 1 to 64 bytes"
    );
    assert_eq!(
        error::<1>(),
        "handler name `a.b`: a name is letters, digits, `-` and `_`, 1 to 64 bytes"
    );
    assert_eq!(error::<2>(), "two handlers are named `a`");
    assert_eq!(error::<3>(), "handler `a` has no pattern: give it one with `.on(..)`");
    assert_eq!(error::<4>(), "handler `a`: `x..y` can't be a pattern");
    assert_eq!(
        error::<5>(),
        "handler `a`: subscribe: this handler has this pattern already"
    );
}

struct Odd(u64);

impl Filter for Odd {
    fn info() -> Info {
        Info::new("odd", "1")
    }

    fn start(config: &Config) -> Result<Self, StartError> {
        Ok(Self(config.get("first")?.ok_or("`first` is missing")?))
    }

    fn accepts(&mut self, event: &Event) -> bool {
        self.0 += 1;
        log::warn!("{} of {:?}", event.content_type(), event.all_metadata());
        self.0 % 2 == 1
    }
}

#[test]
fn a_filter_keeps_its_state_and_sees_the_context() {
    let mut odd = FilterHarness::<Odd>::start(json!({ "first": 0 })).unwrap();
    assert!(odd.accepts(TestEvent::new("x").bytes("text/plain", "y").metadata("a", "b")));
    assert!(!odd.accepts(TestEvent::new("x")));
    assert_eq!(odd.log()[0].message, "text/plain of [(\"a\", \"b\")]");
    assert_eq!(
        FilterHarness::<Odd>::start(json!({})).err().unwrap(),
        "`first` is missing"
    );
}

#[test]
fn times_and_attempts_are_the_tests() {
    let hour = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
    struct Clock;
    impl Plugin for Clock {
        fn info() -> Info {
            Info::new("clock", "1")
        }
        fn handlers() -> Vec<Handler<Self>> {
            vec![
                Handler::new("tick", |_: &mut Self, event, cx| {
                    let (id, source, time) = (event.id(), event.source(), event.time());
                    assert_eq!(
                        time.system_time(),
                        std::time::SystemTime::UNIX_EPOCH + Duration::from_nanos(time.nanos())
                    );
                    let (attempt, replayed) = (cx.attempt(), cx.replayed());
                    Err(Failure::reject(format_args!(
                        "{id} {source} {time} {attempt} {replayed}"
                    )))
                })
                .on("tick"),
            ]
        }
        fn start(_: &Config, _: &Bus) -> Result<Self, StartError> {
            Ok(Self)
        }
    }
    let mut clock = Harness::<Clock>::start(json!({})).unwrap();
    let tick = TestEvent::new("tick")
        .id("i")
        .source("/clock")
        .time(hour)
        .attempt(3)
        .replayed();
    assert_eq!(
        clock.deliver(tick).unwrap_err().to_string(),
        "i /clock 1970-01-01T01:00:00Z 3 true"
    );
}
