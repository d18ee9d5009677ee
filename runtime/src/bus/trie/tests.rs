#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn trie(patterns: &[&str]) -> Trie<usize> {
    let mut trie = Trie::default();
    patterns
        .iter()
        .enumerate()
        .for_each(|(number, text)| trie.insert(&pattern(text), number));
    trie
}

fn matches<T: Clone + Ord>(trie: &Trie<T>, event_type: &str) -> Vec<T> {
    let mut found = Vec::new();
    trie.for_each_match(event_type, |value| found.push(value.clone()));
    found.sort();
    found
}

/// B1
#[test]
fn all_patterns_that_match_are_found() {
    let trie = trie(&[
        "user.*",
        "user.>",
        ">",
        "*.login",
        "*.*",
        "*",
        "user.login",
        "a.*.c",
        "a.>",
        "*.>",
    ]);
    assert_eq!(matches(&trie, "user.login"), [0, 1, 2, 3, 4, 6, 9]);
    assert_eq!(matches(&trie, "user"), [2, 5]);
    assert_eq!(matches(&trie, "user.login.failed"), [1, 2, 9]);
    assert_eq!(matches(&trie, "a..c"), [2, 7, 8, 9]);
    assert_eq!(matches(&trie, "user."), [0, 1, 2, 4, 9]);
    assert_eq!(matches(&trie, ""), [2, 5]);
}

/// B1
#[test]
fn a_removal_takes_what_is_meant_and_leaves_no_empty_node() {
    let patterns = ["a.*.c", "a.*.c", "a.>", "a.b.c.d.>", "*"];
    let mut trie = trie(&patterns);
    assert_eq!(trie.remove(&pattern("a.*.c"), |value| *value == 9), 0);
    assert_eq!(trie.remove(&pattern("a.*"), |_| true), 0);
    assert_eq!(trie.remove(&pattern("b.>"), |_| true), 0);
    assert_eq!(trie.remove(&pattern("a.*.c"), |value| *value == 0), 1);
    assert_eq!(matches(&trie, "a.b.c"), [1, 2]);
    for (number, text) in patterns.iter().enumerate().skip(1) {
        assert!(!trie.is_empty());
        assert_eq!(trie.remove(&pattern(text), |value| *value == number), 1, "{text}");
    }
    assert!(trie.is_empty());
}

/// B1
#[test]
fn a_snapshot_does_not_see_later_changes_and_shares_what_did_not_change() {
    let mut trie = trie(&["a.b.*", "z.y.*"]);
    let snapshot = trie.clone();
    trie.insert(&pattern("a.b.>"), 7);
    assert_eq!(
        (matches(&snapshot, "a.b.c"), matches(&trie, "a.b.c")),
        (vec![0], vec![0, 7])
    );
    let (old, new) = (
        snapshot.root.literals.get("z").unwrap(),
        trie.root.literals.get("z").unwrap(),
    );
    assert!(Arc::ptr_eq(old, new));
    assert_eq!(trie.remove(&pattern("z.y.*"), |_| true), 1);
    assert_eq!(matches(&snapshot, "z.y.x"), [1]);
}

/// B1
#[test]
fn a_removal_that_finds_nothing_copies_nothing() {
    let mut trie = trie(&["a.b.*"]);
    let snapshot = trie.clone();
    assert_eq!(trie.remove(&pattern("a.b.*"), |_| false), 0);
    assert!(Arc::ptr_eq(&trie.root, &snapshot.root));
}

/// H26
#[test]
fn the_deepest_pattern_and_a_deeper_type_are_within_the_stack() {
    let deepest = format!("{}>", "*.".repeat(127));
    let mut trie = trie(&[&deepest]);
    assert_eq!(matches(&trie, &"a.".repeat(100_000)), [0]);
    assert!(matches(&trie, "a.a").is_empty());
    assert_eq!(trie.remove(&pattern(&deepest), |_| true), 1);
    assert!(trie.is_empty());
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let token = prop_oneof![Just("*"), Just("a"), Just("b"), Just("c")];
    (prop::collection::vec(token, 0..4), any::<bool>()).prop_map(|(mut tokens, rest)| {
        if rest || tokens.is_empty() {
            tokens.push(">");
        }
        pattern(&tokens.join("."))
    })
}

fn any_type() -> impl Strategy<Value = String> {
    let token = prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 1 => Just(""), 1 => Just("*")];
    prop::collection::vec(token, 1..6).prop_map(|tokens| tokens.join("."))
}

proptest! {
    /// B1
    #[test]
    fn agrees_with_asking_every_pattern(
        changes in prop::collection::vec((any_pattern(), any::<bool>()), 0..40),
        types in prop::collection::vec(any_type(), 1..8),
    ) {
        let (mut trie, mut list) = (Trie::default(), Vec::<(Pattern, usize)>::new());
        for (number, (pattern, insert)) in changes.into_iter().enumerate() {
            if insert || list.is_empty() {
                trie.insert(&pattern, number);
                list.push((pattern, number));
            } else {
                let (pattern, number) = list.swap_remove(number % list.len());
                prop_assert_eq!(trie.remove(&pattern, |value| *value == number), 1);
            }
        }
        for event_type in types {
            let mut expected: Vec<usize> =
                list.iter().filter(|(pattern, _)| pattern.matches(&event_type)).map(|(_, number)| *number).collect();
            expected.sort_unstable();
            prop_assert_eq!(matches(&trie, &event_type), expected, "{}", event_type);
        }
        for (pattern, number) in list {
            prop_assert_eq!(trie.remove(&pattern, |value| *value == number), 1);
        }
        prop_assert!(trie.is_empty());
    }
}
