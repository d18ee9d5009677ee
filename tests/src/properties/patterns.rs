//! B1: subject patterns match as a matcher says that was written without looking at theirs, one by one and in the table.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::Unstructured;
use futures_util::FutureExt;
use palisade::{Class, EngineOptions, Event, EventLimits, Pattern, Runtime, SubscribeOptions, is_reserved};

use super::assert_presentable;

/// Few words, so that many agree; one is the beginning of another.
const WORDS: [&str; 8] = ["a", "b", "ab", "*", ">", "", "é", "c"];

/// Checks the patterns and types that the input spells out: each against each, and all together as subscriptions.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let texts: Vec<String> = (0..6).map(|_| text(&mut input)).collect();
    let patterns: Vec<Pattern> = texts.iter().filter_map(|text| parsed(text)).collect();
    let types: Vec<String> = (0..6).map(|_| text(&mut input)).filter(|text| is_type(text)).collect();
    for pattern in &patterns {
        types.iter().for_each(|of_event| check_match(pattern, of_event));
        patterns.iter().for_each(|other| check_two(pattern, other, &types));
    }
    check_table(&patterns, &types);
}

/// Words with dots between them or, at times, whatever the input says.
fn text(input: &mut Unstructured<'_>) -> String {
    match input.int_in_range(0..=15) {
        Ok(0) => return input.arbitrary::<&str>().unwrap_or_default().chars().take(80).collect(),
        // As deep as patterns can be.
        Ok(1) => return vec!["a"; input.int_in_range(1..=130).unwrap_or(1)].join("."),
        _ => {}
    }
    let count = input.int_in_range(1..=5).unwrap_or(1);
    let words: Vec<&str> = (0..count)
        .map(|_| input.choose(&WORDS).copied().unwrap_or("a"))
        .collect();
    words.join(".")
}

/// Whether a publisher's event may have this type.
fn is_type(text: &str) -> bool {
    (1..=EventLimits::default().type_bytes).contains(&text.len()) && !is_reserved(text)
}

/// Whether a text is a pattern, by rules of our own.
fn parsed(text: &str) -> Option<Pattern> {
    let tokens: Vec<&str> = text.split('.').collect();
    let last = tokens.len() - 1;
    let token_is_fine = |(at, token): (usize, &&str)| match *token {
        "" => false,
        "*" => true,
        ">" => at == last,
        word => !word.contains('*') && !word.contains('>') && !word.chars().any(char::is_control),
    };
    let is_pattern = text.len() <= Pattern::MAX_BYTES && tokens.iter().enumerate().all(token_is_fine);
    match text.parse::<Pattern>() {
        Ok(pattern) => {
            assert!(is_pattern, "{text:?}");
            assert_eq!((pattern.as_str(), pattern.to_string().as_str()), (text, text));
            Some(pattern)
        }
        Err(error) => {
            assert!(!is_pattern, "{text:?}: {error}");
            assert_presentable(&error.to_string());
            None
        }
    }
}

/// The naive matcher: NATS's rules, on what is left of both.
fn naive(pattern: &[&str], of_event: &[&str]) -> bool {
    match (pattern, of_event) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, rest @ ..]) => naive(pattern, rest),
        ([word, pattern @ ..], [token, rest @ ..]) if word == token => naive(pattern, rest),
        _ => false,
    }
}

fn naively(pattern: &Pattern, of_event: &str) -> bool {
    let pattern: Vec<_> = pattern.as_str().split('.').collect();
    // A type is no pattern: a `>` of its own is a word like another.
    naive(&pattern, &of_event.split('.').collect::<Vec<_>>())
}

fn check_match(pattern: &Pattern, of_event: &str) {
    assert_eq!(
        pattern.matches(of_event),
        naively(pattern, of_event),
        "{pattern} and {of_event:?}"
    );
    if pattern.is_literal() {
        assert_eq!(pattern.matches(of_event), pattern.as_str() == of_event);
    }
}

fn check_two(one: &Pattern, other: &Pattern, types: &[String]) {
    let witnesses: Vec<String> = types
        .iter()
        .cloned()
        .chain(instances(one))
        .chain(instances(other))
        .collect();
    let common = one.intersect(other);
    assert_eq!(common, other.intersect(one), "{one} and {other}");
    for of_event in &witnesses {
        let both = naively(one, of_event) && naively(other, of_event);
        assert_eq!(
            common.as_ref().is_some_and(|common| common.matches(of_event)),
            both,
            "{one} and {other} share {common:?}, but {of_event:?}"
        );
    }
    // Among these instances of the other there is one that gives away a pattern which does not cover it.
    let covers = instances(other).iter().all(|of_event| naively(one, of_event));
    assert_eq!(one.covers(other), covers, "{one} covers {other}");
}

/// Types that a pattern matches, with words in place of its wildcards that no pattern has, and words that one may have.
fn instances(pattern: &Pattern) -> Vec<String> {
    let filled = |word: &str, rest: usize| {
        let token = |token: &str| match token {
            "*" => word.to_owned(),
            ">" => vec![word; rest].join("."),
            literal => literal.to_owned(),
        };
        pattern.as_str().split('.').map(token).collect::<Vec<_>>().join(".")
    };
    vec![filled("zz", 1), filled("zz", 2), filled("a", 1), filled("b", 3)]
}

/// A runtime whose only handlers are those of one input.
static BENCH: LazyLock<(tokio::runtime::Runtime, Runtime)> = LazyLock::new(|| {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("tokio");
    let _inside = tokio.enter();
    let mut engine = EngineOptions::default();
    engine.max_instances = Some(1);
    let runtime = Runtime::builder().engine(engine).build().expect("a runtime");
    (tokio, runtime)
});

/// The patterns as subscriptions, one a handler and all of them another's: each type reaches whom the naive matcher says,
/// and each once, as long as they are subscribed.
fn check_table(patterns: &[Pattern], types: &[String]) {
    static INPUTS: AtomicU64 = AtomicU64::new(0);
    let (tokio, runtime) = &*BENCH;
    let _inside = tokio.enter();
    let own = format!("i{}-", INPUTS.fetch_add(1, Ordering::Relaxed));
    let mut subscribed = Subscribed(runtime, Vec::new());
    let unique: Vec<&str> = patterns
        .iter()
        .map(Pattern::as_str)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    for (at, pattern) in unique.iter().enumerate() {
        subscribed.add(&[*pattern], &format!("{own}{at}"));
    }
    if !unique.is_empty() {
        subscribed.add(&unique, &format!("{own}all"));
    }
    let expected = |left: &[&str], of_event: &str| -> BTreeSet<String> {
        let matching = unique.iter().enumerate().filter(|(_, pattern)| left.contains(pattern));
        let matching = matching.filter(|(_, pattern)| naively(&pattern.parse().expect("a pattern"), of_event));
        let mut names: BTreeSet<_> = matching.map(|(at, _)| format!("{own}{at}")).collect();
        if unique
            .iter()
            .any(|pattern| naively(&pattern.parse().expect("a pattern"), of_event))
        {
            names.insert(format!("{own}all"));
        }
        names
    };
    for of_event in types {
        assert_eq!(
            reached(runtime, of_event, &own),
            expected(&unique, of_event),
            "{unique:?} {of_event:?}"
        );
    }
    // Every second one goes; what is left must not have moved.
    let left: Vec<&str> = unique
        .iter()
        .enumerate()
        .filter(|(at, _)| at % 2 == 1)
        .map(|(_, pattern)| *pattern)
        .collect();
    for (at, pattern) in unique.iter().enumerate().filter(|(at, _)| at % 2 == 0) {
        runtime
            .unsubscribe_pattern(pattern, &format!("{own}{at}"))
            .expect("it is subscribed");
    }
    for of_event in types {
        assert_eq!(
            reached(runtime, of_event, &own),
            expected(&left, of_event),
            "{left:?} {of_event:?}"
        );
    }
}

/// The handlers that an event of this type reaches.
fn reached(runtime: &Runtime, of_event: &str, own: &str) -> BTreeSet<String> {
    let event = Event::builder(of_event, "/tests")
        .build()
        .expect("a type is any text of up to 256 bytes");
    let report = runtime
        .publish(event)
        .now_or_never()
        .expect("nobody waits")
        .expect("it is taken");
    let names: Vec<String> = report
        .outcomes
        .iter()
        .map(|outcome| outcome.handler.to_string())
        .collect();
    assert!(report.outcomes.iter().all(|outcome| outcome.class == Class::Ok));
    let own: Vec<String> = names.into_iter().filter(|name| name.starts_with(own)).collect();
    let unique: BTreeSet<String> = own.iter().cloned().collect();
    assert_eq!(unique.len(), own.len(), "each handler once: {own:?}");
    unique
}

/// Ends its subscriptions even when the property is broken, so that a caller can look for a smaller input.
struct Subscribed<'a>(&'a Runtime, Vec<palisade::SubscriptionId>);

impl Subscribed<'_> {
    fn add(&mut self, patterns: &[&str], name: &str) {
        let options = SubscribeOptions::default();
        let ids = self
            .0
            .subscribe_with(patterns, name, options, |_| std::future::ready(Ok(())));
        self.1.extend(ids.expect("a subscription"));
    }
}

impl Drop for Subscribed<'_> {
    fn drop(&mut self) {
        for id in self.1.drain(..) {
            // Some are gone already.
            let _ = self.0.unsubscribe(id);
        }
    }
}
