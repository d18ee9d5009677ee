//! B10, B11, H25: whatever a handler says in a draft, native or of a guest, the host's stamps are the host's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arbitrary::Unstructured;
use palisade::{Draft, Event, PublishRefused, Runtime, is_reserved};
use serde_json::{Value, json};

use super::assert_presentable;
use crate::{Seen, hostile, small_engine};

/// Names that a handler may not set, with whatever value.
const STAMPS: [&str; 15] = [
    "correlationid",
    "causationid",
    "hopcount",
    "traceparent",
    "tracestate",
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "dataschema",
    "subject",
    "data",
    "data_base64",
];

/// What a draft says, as an input spells it out.
#[derive(Clone, Debug)]
struct Said {
    event_type: String,
    content_type: Option<String>,
    data: String,
    metadata: BTreeMap<String, String>,
}

/// Lets a native handler and a guest publish what the input spells out, on a cause that it spells out too.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let said = Said::from(&mut input);
    let (tokio, bench) = &*BENCH;
    // One input at a time: what was seen is of its own.
    let bench = bench.lock().unwrap_or_else(PoisonError::into_inner);
    tokio.block_on(async {
        for (source, cause) in [
            ("native", cause("native.say", &json!(null), &mut input)),
            ("hostile", { cause("hostile.publish", &said.order(), &mut input) }),
        ] {
            *bench.says.lock().unwrap_or_else(PoisonError::into_inner) = Some(said.clone());
            let seen = bench.published_on(&cause).await;
            check_seen(&seen, &said, source, &cause);
        }
    });
}

impl Said {
    fn from(input: &mut Unstructured<'_>) -> Self {
        let types = [
            "hostile.drop",
            "hostile.drop",
            "hostile.drop.x",
            "plugin.loaded",
            "system.x",
            "other",
            "",
        ];
        let contents = ["application/json", "text/plain", "application/x+json", ""];
        let mut metadata = BTreeMap::new();
        for _ in 0..input.int_in_range(0..=4).unwrap_or(0) {
            let name = match input.int_in_range(0..=3) {
                Ok(0) => input.choose(&STAMPS).copied().unwrap_or("id").to_owned(),
                Ok(1) => words(input),
                _ => input
                    .choose(&["a", "tenant", "hopcounts", "0"])
                    .copied()
                    .unwrap_or("a")
                    .to_owned(),
            };
            metadata.insert(name, words(input));
        }
        let data = ["", "{}", "[1, 2]", "no JSON", "\"x\""];
        Self {
            event_type: input.choose(&types).copied().unwrap_or("hostile.drop").to_owned(),
            content_type: input
                .ratio(1, 2)
                .unwrap_or(false)
                .then(|| input.choose(&contents).copied().unwrap_or("").into()),
            data: input.choose(&data).copied().unwrap_or("").to_owned(),
            metadata,
        }
    }

    fn draft(&self) -> Draft {
        let draft = Draft::new(self.event_type.as_str()).with_data(self.data.clone().into_bytes());
        let draft = match &self.content_type {
            Some(content_type) => draft.with_content_type(content_type.as_str()),
            None => draft,
        };
        let metadata = self.metadata.iter();
        metadata.fold(draft, |draft, (name, value)| {
            draft.with_metadata(name.as_str(), value.as_str())
        })
    }

    /// The same for the guest that sins, which publishes what it is told.
    fn order(&self) -> Value {
        let mut order = json!({ "type": self.event_type, "raw": self.data, "metadata": self.metadata });
        if let Some(content_type) = &self.content_type {
            order["content-type"] = content_type.as_str().into();
        }
        order
    }

    /// Whether it says what only the host may say.
    fn is_forged(&self) -> bool {
        is_reserved(&self.event_type) || self.metadata.keys().any(|name| STAMPS.contains(&name.as_str()))
    }
}

fn words(input: &mut Unstructured<'_>) -> String {
    input.arbitrary::<&str>().unwrap_or_default().chars().take(24).collect()
}

/// An event to be handled, with a lineage of its own or without.
fn cause(event_type: &'static str, data: &Value, input: &mut Unstructured<'_>) -> Event {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut event = Event::builder(event_type, "/tests").json(data);
    if input.arbitrary().unwrap_or(false) {
        event = event.extension("hopcount", i64::from(input.arbitrary::<u8>().unwrap_or(0) % 15));
    }
    if input.arbitrary().unwrap_or(false) {
        event = event
            .extension("correlationid", words(input))
            .extension("traceparent", words(input));
    } else if input.arbitrary().unwrap_or(false) {
        event = event.extension("traceparent", trace);
    }
    event.build().expect("an event")
}

static BENCH: LazyLock<(tokio::runtime::Runtime, Mutex<Bench>)> = LazyLock::new(|| {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("tokio");
    let bench = tokio.block_on(Bench::new());
    (tokio, Mutex::new(bench))
});

/// A runtime with a handler and a plugin that say what they are told.
struct Bench {
    runtime: Runtime,
    says: Arc<Mutex<Option<Said>>>,
    seen: Seen,
}

impl Bench {
    async fn new() -> Self {
        let runtime = Runtime::builder().engine(small_engine()).build().expect("a runtime");
        let seen = Seen::published(&runtime);
        runtime.launch(vec![hostile()]).await.expect("it starts");
        let says: Arc<Mutex<Option<Said>>> = Arc::default();
        let told = says.clone();
        let say = move |cx: palisade::Context| {
            let said = told.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(said) = said {
                match cx.publish(said.draft()) {
                    Ok(_) => {}
                    Err(PublishRefused::Draft(error)) => assert_presentable(&error.to_string()),
                    Err(error) => panic!("{error}"),
                }
            }
            std::future::ready(Ok(()))
        };
        runtime.subscribe("native.say", "native", say).expect("a subscription");
        Self { runtime, says, seen }
    }

    /// What handlers have published because of an event.
    async fn published_on(&self, cause: &Event) -> Vec<Event> {
        let before = self.seen.len();
        let report = self.runtime.publish(cause.clone()).await.expect("it is taken");
        assert!(report.all_ok(), "{report:?}");
        self.runtime.quiet().await;
        self.seen.all().split_off(before)
    }
}

fn check_seen(seen: &[Event], said: &Said, source: &str, cause: &Event) {
    assert!(seen.len() <= 1, "{seen:?}");
    let Some(event) = seen.first() else { return };
    assert_stamped(event, source, cause);
    // The guest reports what the host refused; that is its own event.
    if event.event_type() == "hostile.report" {
        let report: Value = event.json().expect("JSON");
        return assert_presentable(report["error"].as_str().expect("a text").trim_matches(char::is_control));
    }
    assert!(!said.is_forged(), "{said:?} was taken");
    assert_eq!(event.event_type(), said.event_type);
    let stamps = ["correlationid", "causationid", "hopcount", "traceparent"];
    let own = event
        .all_metadata()
        .into_iter()
        .filter(|(name, _)| !stamps.contains(&name.as_str()));
    assert_eq!(
        own.collect::<BTreeMap<_, _>>(),
        said.metadata,
        "metadata go on as they were said"
    );
}

fn assert_stamped(event: &Event, source: &str, cause: &Event) {
    let id = uuid::Uuid::parse_str(event.id()).expect("a UUID");
    assert_eq!((id.get_version_num(), event.source()), (7, source));
    let stamp = |name: &str| event.metadata(name).map(String::from).expect("stamped");
    let correlation = cause
        .metadata("correlationid")
        .map_or_else(|| cause.id().to_owned(), String::from);
    assert_eq!(
        (stamp("correlationid"), stamp("causationid").as_str()),
        (correlation, cause.id())
    );
    assert_eq!(event.hop_count(), cause.hop_count() + 1);
    let trace = stamp("traceparent");
    let parts: Vec<usize> = trace.split('-').map(str::len).collect();
    assert_eq!(parts, [2, 32, 16, 2], "{trace}");
    let parent = cause.metadata("traceparent").map(String::from);
    if let Some(parent) = parent.filter(|parent| parent.starts_with("00-4bf92f")) {
        assert_eq!(
            (&trace[..36], &trace[52..]),
            (&parent[..36], &parent[52..]),
            "the trace goes on"
        );
        assert_ne!(trace[36..52], parent[36..52], "by a span of its own");
    }
}
