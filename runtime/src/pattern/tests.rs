#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

/// B1
#[test]
fn a_pattern_matches_what_nats_would() {
    let table = [
        ("user.login", "user.login", true),
        ("user.login", "user.login.failed", false),
        ("user.login", "user", false),
        ("user.login", "User.login", false),
        ("user.*", "user.login", true),
        ("user.*", "user.", true),
        ("user.*", "user", false),
        ("user.*", "user.login.failed", false),
        ("*.login", "user.login", true),
        ("*.login", ".login", true),
        ("*.login", "login", false),
        ("*.*.*", "a..b", true),
        ("a.*.b", "a..b", true),
        ("user.>", "user.login", true),
        ("user.>", "user.login.failed", true),
        ("user.>", "user.", true),
        ("user.>", "user", false),
        ("user.>", "users.login", false),
        (">", "x", true),
        (">", "a.b.c", true),
        (">", "..", true),
        ("*.>", "a", false),
        ("*.>", "a.b.c", true),
        ("*", "*", true),
        ("a.b", "a.*", false),
    ];
    for (text, event_type, expected) in table {
        assert_eq!(pattern(text).matches(event_type), expected, "{text} on {event_type}");
    }
}

/// B1
#[test]
fn a_text_that_is_no_pattern_is_refused_by_name() {
    let refused = |text: &str| text.parse::<Pattern>().unwrap_err();
    assert_eq!(refused(""), PatternError::Empty);
    for text in [".", "a.", ".a", "a..b", "a.>."] {
        let expected = if text == "a.>." {
            "goes on after `>`"
        } else {
            "empty token"
        };
        assert!(refused(text).to_string().contains(expected), "{text}");
    }
    assert_eq!(refused(">.a"), PatternError::RestNotLast { pattern: ">.a".into() });
    for (text, token) in [
        ("foo*.bar", "foo*"),
        ("a.b>", "b>"),
        ("**", "**"),
        ("a.>>", ">>"),
        ("*>", "*>"),
    ] {
        assert_eq!(
            refused(text),
            PatternError::WildcardInToken {
                pattern: text.into(),
                token: token.into()
            }
        );
    }
    assert!(
        refused("foo*")
            .to_string()
            .ends_with("a wildcard stands for a whole token")
    );
    for text in ["a\n", "a.\u{0}", "\u{85}"] {
        let message = refused(text).to_string();
        assert!(
            message.contains("control character") && !message.contains(text),
            "{message}"
        );
    }
}

/// B1
#[test]
fn length_limit_obeyed_and_violated() {
    assert!("x".repeat(256).parse::<Pattern>().is_ok());
    assert_eq!(
        "x".repeat(257).parse::<Pattern>(),
        Err(PatternError::TooLong { bytes: 257 })
    );
}

#[test]
fn literal_patterns_are_told_from_wildcards() {
    assert!(pattern("user.login").is_literal());
    for text in ["*", ">", "user.*", "user.>", "*.login"] {
        assert!(!pattern(text).is_literal(), "{text}");
    }
}

/// B11
#[test]
fn an_intersection_is_one_pattern_or_none() {
    let table = [
        ("user.>", "user.*", Some("user.*")),
        ("user.>", "*.login", Some("user.login")),
        ("user.>", ">", Some("user.>")),
        ("*.>", ">", Some("*.>")),
        ("*.>", "a", None),
        ("a.*.>", "*.b.>", Some("a.b.>")),
        ("a.*", "*.b.>", None),
        ("a.*.*", "*.b.>", Some("a.b.*")),
        ("user.login", "user.logout", None),
        ("user.login", "user", None),
    ];
    for (left, right, expected) in table {
        assert_eq!(
            pattern(left).intersect(&pattern(right)),
            expected.map(pattern),
            "{left} and {right}"
        );
    }
}

/// What the definition says, with no regard to speed.
fn naive(pattern: &[&str], event_type: &[&str]) -> bool {
    match (pattern, event_type) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, event_type @ ..]) => naive(pattern, event_type),
        ([literal, pattern @ ..], [token, event_type @ ..]) => literal == token && naive(pattern, event_type),
        _ => false,
    }
}

fn tokens(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let token = prop_oneof![3 => Just("*"), 2 => Just("a"), 2 => Just("b"), 1 => Just("ab")];
    (prop::collection::vec(token, 0..4), any::<bool>()).prop_map(|(mut tokens, rest)| {
        if rest || tokens.is_empty() {
            tokens.push(">");
        }
        pattern(&tokens.join("."))
    })
}

fn any_type() -> impl Strategy<Value = String> {
    let token =
        prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just("ab"), 1 => Just(""), 1 => Just("*"), 1 => Just(">")];
    prop::collection::vec(token, 1..6).prop_map(|tokens| tokens.join("."))
}

/// Every type of up to five tokens over an alphabet that has one token no pattern of `any_pattern` names: what holds for
/// these holds for all types, since those patterns have at most four tokens.
fn all_types() -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    let mut longest = vec![String::new()];
    for length in 0..5 {
        let dot = if length == 0 { "" } else { "." };
        longest = longest
            .iter()
            .flat_map(|t| ["a", "b", "ab", "z"].map(|token| format!("{t}{dot}{token}")))
            .collect();
        types.extend(longest.iter().cloned());
    }
    types
}

proptest! {
    /// B1
    #[test]
    fn matches_agrees_with_the_definition(pattern in any_pattern(), event_type in any_type()) {
        prop_assert_eq!(pattern.matches(&event_type), naive(&tokens(pattern.as_str()), &tokens(&event_type)));
    }

    /// B11
    #[test]
    fn an_intersection_matches_what_both_match(left in any_pattern(), right in any_pattern(), event_type in any_type()) {
        let both = left.matches(&event_type) && right.matches(&event_type);
        let common = left.intersect(&right);
        prop_assert_eq!(common.as_ref().is_some_and(|common| common.matches(&event_type)), both);
        prop_assert_eq!(&common, &right.intersect(&left));
        if let Some(common) = common {
            prop_assert_eq!(common.as_str().parse::<Pattern>(), Ok(common.clone()));
            prop_assert!(left.covers(&common) && right.covers(&common));
        }
    }

    #[test]
    fn whatever_parses_shows_its_text(text in r"[ab*>.\n]{0,6}|.*") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(pattern.to_string(), text.as_str());
            prop_assert_eq!(pattern.is_literal(), pattern.tokens().all(|token| matches!(token, Token::Literal(_))));
            prop_assert!(!pattern.is_literal() || pattern.matches(&text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// B11
    #[test]
    fn covers_agrees_with_all_short_types(ours in any_pattern(), theirs in any_pattern()) {
        let implied = all_types().iter().all(|t| !theirs.matches(t) || ours.matches(t));
        prop_assert_eq!(ours.covers(&theirs), implied, "{} covers {}", &ours, &theirs);
        prop_assert_eq!(ours.covers(&theirs), ours.intersect(&theirs).as_ref() == Some(&theirs));
    }
}
