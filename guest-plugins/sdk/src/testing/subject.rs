/// Whether an event type matches a subject pattern, by NATS's rules.
pub(super) fn matches(pattern: &str, event_type: &str) -> bool {
    let mut tokens = event_type.split('.');
    for want in pattern.split('.') {
        match (want, tokens.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (want, Some(token)) if want == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether a text can be a pattern: no empty token, and `>` only at the end.
pub(super) fn is_pattern(text: &str) -> bool {
    let tokens: Vec<_> = text.split('.').collect();
    let rest = tokens.iter().position(|token| *token == ">");
    tokens.iter().all(|token| !token.is_empty()) && rest.is_none_or(|place| place + 1 == tokens.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_nats() {
        for (pattern, yes, no) in [
            ("user.login", "user.login", "user.login.failed"),
            ("user.*", "user.login", "user.login.failed"),
            ("user.>", "user.login.failed", "user"),
            ("*.login", "user.login", "login"),
            (">", "x", "never.asked"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(pattern == ">" || !matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn a_pattern_has_no_empty_token_and_its_tail_last() {
        assert!(["a", "a.*", "a.>", ">", "*.b"].into_iter().all(is_pattern));
        assert!(!["", "a.", ".a", "a..b", "a.>.b"].into_iter().any(is_pattern));
    }
}
