//! H17 and H21: what a publisher can send.

use palisade::{Class, Event, EventError, EventLimits, PublishError, Runtime};
use palisade_tests::{Seen, hostile, runtime_with, small_engine, spec};
use serde_json::{Value, json};

use super::words::report;

fn read(text: impl AsRef<[u8]>) -> Result<Event, EventError> {
    Event::from_json(text, &EventLimits::default())
}

fn with_data(data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"hostile.context","data":{data}}}"#)
}

/// H17: an oversize event is refused to the publisher, by the limit's name, and no handler sees it; one at the limit
/// passes, guests included.
#[tokio::test]
async fn h17_event_size_obeyed_and_violated() {
    let limits = EventLimits {
        data_bytes: 1000,
        ..EventLimits::default()
    };
    let runtime = Runtime::builder()
        .engine(small_engine())
        .event_limits(limits)
        .build()
        .expect("a runtime");
    runtime.launch(vec![spec("probe")]).await.expect("started");
    let seen = Seen::subscribe(&runtime, "a", "seen");
    let sized = |bytes| {
        Event::builder("a", "/tests")
            .data("text/plain", vec![b'x'; bytes])
            .build()
            .expect("an event")
    };
    assert!(runtime.publish(sized(1000)).await.expect("published").all_ok());
    for error in [
        runtime.publish(sized(1001)).await.err(),
        runtime.publish_async(sized(1001)).await.err(),
    ] {
        let error = error.expect("it is too large");
        assert!(
            matches!(
                &error,
                PublishError::Event(EventError::DataTooLarge {
                    bytes: 1001,
                    limit: 1000
                })
            ),
            "{error}"
        );
        assert!(error.to_string().contains("events.max-data"), "{error}");
    }
    assert_eq!((seen.len(), runtime.stats().dead_letters), (1, 0));
    let next = runtime.publish(sized(1000)).await.expect("published");
    assert!(next.all_ok() && next.of("probe/all").is_some(), "{next:?}");
    assert!(matches!(
        read(with_data(&format!("\"{}\"", "x".repeat(1 << 20)))),
        Err(EventError::DataTooLarge { .. })
    ));
}

/// H17: the same for what a native handler publishes.
#[tokio::test(start_paused = true)]
async fn h17_an_oversize_draft_is_refused() {
    let limits = EventLimits {
        type_bytes: 10,
        ..EventLimits::default()
    };
    let runtime = Runtime::builder()
        .engine(small_engine())
        .event_limits(limits)
        .build()
        .expect("a runtime");
    let publish = |cx: palisade::Context| {
        let sent = cx.publish(palisade::Draft::new("x".repeat(11)));
        let refused = sent.expect_err("too long").to_string();
        std::future::ready(Err::<(), _>(palisade::Failure::reject(refused)))
    };
    runtime.subscribe("a", "h", publish).expect("a subscription");
    let event = Event::builder("a", "/tests").build().expect("an event");
    let report = runtime.publish(event).await.expect("published");
    assert!(report.outcomes[0].message().contains("events.max-type"), "{report:?}");
}

/// H21: 100,000 nested brackets are refused by a scan, wherever they stand and whatever they are, and never overflow a
/// stack of ours.
#[test]
fn h21_deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(read(with_data(&nested(128))).is_ok());
        for depth in [129, 100_000] {
            assert!(
                matches!(read(with_data(&nested(depth))), Err(EventError::TooDeep { limit: 128 })),
                "{depth}"
            );
            let built = Event::builder("a", "s").data("application/json", nested(depth)).build();
            assert!(matches!(built, Err(EventError::TooDeep { limit: 128 })), "{depth}");
        }
        assert!(read(with_data(&open.repeat(100_000))).is_err(), "never closed");
        assert!(read(nested(100_000)).is_err(), "the event itself");
        let extension = format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","x":{}}}"#,
            nested(100_000)
        );
        assert!(read(extension).is_err(), "an extension");
    }
}

/// H21: invalid UTF-8 and lone surrogates are refused where they would be text of ours, each by its own words.
#[test]
fn h21_broken_text_is_refused() {
    let mut bytes = with_data("\"?\"").into_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'?').expect("there");
    bytes[at] = 0xff;
    assert!(matches!(read(&bytes), Err(EventError::NotUtf8 { offset }) if offset == at));
    let lone = r#"{"specversion":"1.0","id":"\ud800","source":"s","type":"t"}"#;
    assert!(matches!(read(lone), Err(EventError::BadText { name, .. }) if name == "id"));
    let raw = Event::builder("a", "s")
        .data("application/json", vec![b'"', 0xff, b'"'])
        .build();
    assert!(matches!(raw, Err(EventError::DataNotJson { .. })), "{raw:?}");
    assert!(
        Event::builder("a", "s")
            .data("text/plain", vec![0xff, 0xfe])
            .build()
            .is_ok(),
        "bytes are bytes"
    );
}

/// H21: huge numbers, lone surrogates and other oddities inside the data are handled as bytes: they reach a guest, a native
/// handler and the output as they came.
#[tokio::test]
async fn h21_odd_data_pass_as_bytes() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let reports = Seen::published(&runtime);
    let seen = Seen::subscribe(&runtime, "hostile.context", "native");
    let digits = "9".repeat(100_000);
    let odd = [
        "1e999999",
        "-0.0",
        &digits,
        r#""\ud800""#,
        r#"{"a":1,"a":2,"":"\u0000"}"#,
        "\"\u{2028}\u{feff}\"",
        "null",
    ];
    for (at, data) in odd.into_iter().enumerate() {
        let event = read(with_data(data)).unwrap_or_else(|error| panic!("{data:.20}: {error}"));
        let sent = runtime.publish(event).await.expect("published");
        assert!(sent.all_ok(), "{data:.20}: {sent:?}");
        let came = seen.wait_for(at + 1).await.remove(at);
        assert_eq!((came.data(), came.to_json().contains(data)), (data.as_bytes(), true));
        assert_eq!(
            report(&reports.wait_for(at + 1).await[at], "context")["bytes"],
            data.len()
        );
    }
}

/// E1: bytes that are no text at all reach a guest as they are, with their content type and metadata.
#[tokio::test]
async fn e1_bytes_and_metadata_reach_a_guest() {
    let runtime = runtime_with([hostile()]).await;
    let reports = Seen::published(&runtime);
    let event = Event::builder("hostile.context", "/tests")
        .data("application/octet-stream", vec![0xff_u8; 999])
        .extension("flag", true)
        .extension("number", -3)
        .subject("s")
        .time("2024-02-03T04:05:06.7+01:00".parse().expect("a time"));
    let event = event.build().expect("an event");
    let outcome = runtime.publish(event.clone()).await.expect("published");
    assert_eq!(outcome.outcomes[0].class, Class::Ok, "{outcome:?}");
    let told: Value = report(&reports.wait_for(1).await[0], "context");
    assert_eq!(
        told["metadata"],
        json!({ "flag": "true", "number": "-3", "subject": "s" })
    );
    assert_eq!(
        (&told["content-type"], &told["bytes"]),
        (&json!("application/octet-stream"), &json!(999))
    );
    assert_eq!(
        (told["id"].as_str(), told["nanos"].as_u64()),
        (Some(event.id()), Some(event.timestamp_nanos()))
    );
    assert_eq!(
        (&told["attempt"], &told["replayed"], &told["metadata-agrees"]),
        (&json!(1), &json!(false), &json!(true))
    );
}
