//! Subject patterns, as NATS has them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::event::excerpt;

/// Which event types a subscription, a grant or a filter is about.
///
/// A pattern is made of tokens with dots between them. `*` stands for exactly one token, `>` at the end for one or more;
/// any other token stands for itself. So `user.*` matches `user.login`, and neither `user` nor `user.login.failed`;
/// `user.>` matches both logins. Types are never checked against that grammar: `a..b` has an empty token between its dots,
/// which only a wildcard matches.
///
/// ```
/// use palisade::Pattern;
///
/// let pattern: Pattern = "user.>".parse()?;
/// assert!(pattern.matches("user.login.failed"));
/// assert!(!pattern.matches("user"));
/// # Ok::<_, palisade::PatternError>(())
/// ```
///
/// Two patterns are equal if their texts are, and then exactly if they match the same types. A clone is another pointer to
/// the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

/// One token of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Stands for itself.
    Literal(&'a str),
    /// `*`: exactly one token.
    One,
    /// `>`: one or more tokens. Nothing follows it.
    Rest,
}

impl<'a> From<&'a str> for Token<'a> {
    fn from(text: &'a str) -> Self {
        match text {
            "*" => Self::One,
            ">" => Self::Rest,
            literal => Self::Literal(literal),
        }
    }
}

impl Pattern {
    /// The longest pattern that is read, in bytes. It bounds the depth of whatever is built from patterns to 128 tokens.
    pub const MAX_BYTES: usize = 256;

    /// The text as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event type is one of those that this pattern is about.
    pub fn matches(&self, event_type: &str) -> bool {
        let mut types = event_type.split('.');
        for token in self.tokens() {
            match (token, types.next()) {
                (Token::Rest, Some(_)) => return true,
                (Token::One, Some(_)) => {}
                (Token::Literal(literal), Some(found)) if literal == found => {}
                _ => return false,
            }
        }
        types.next().is_none()
    }

    /// Whether it has no wildcard, and so matches its own text and nothing else.
    pub fn is_literal(&self) -> bool {
        // A wildcard is a whole token, so no literal has these characters in it.
        !self.0.contains(['*', '>'])
    }

    /// The pattern for the types that both match, if there are any: two patterns never share a set of types that takes
    /// more than one pattern to say. It may be longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        let mut common = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (None, Some(_)) | (Some(_), None) => return None,
                (Some(">"), Some(token)) => {
                    common.push(token);
                    common.extend(theirs);
                    break;
                }
                (Some(token), Some(">")) => {
                    common.push(token);
                    common.extend(ours);
                    break;
                }
                (Some("*"), Some(token)) | (Some(token), Some("*")) => common.push(token),
                (Some(our), Some(their)) if our == their => common.push(our),
                (Some(_), Some(_)) => return None,
            }
        }
        Some(Self(common.join(".").into()))
    }

    /// Whether this matches every type that the other one matches.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.tokens();
        for our in self.tokens() {
            match (our, theirs.next()) {
                (Token::Rest, Some(_)) => return true,
                (Token::One, Some(Token::One | Token::Literal(_))) => {}
                (Token::Literal(our), Some(Token::Literal(their))) if our == their => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Its tokens in order.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        self.0.split('.').map(Token::from)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        check(text).map(|()| Self(text.into()))
    }
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The caller gave no text at all.
    #[error("the pattern is empty; `>` matches every event")]
    Empty,
    /// The caller gave a text longer than [`Pattern::MAX_BYTES`].
    #[error("the pattern is {bytes} bytes long; the limit is 256 bytes")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The caller gave a text with a control character, such as a line end.
    #[error("the pattern {pattern:?} has a control character")]
    ControlCharacter {
        /// The text.
        pattern: String,
    },
    /// The caller gave a text that begins or ends with a dot, or has two in a row.
    #[error("the pattern `{pattern}` has an empty token; tokens are separated by single dots")]
    EmptyToken {
        /// The text.
        pattern: String,
    },
    /// The caller gave a text with something after `>`.
    #[error("the pattern `{pattern}` goes on after `>`, which stands for all the rest; use `*` for a single token")]
    RestNotLast {
        /// The text.
        pattern: String,
    },
    /// The caller gave a text with a wildcard inside a token, such as `foo*`.
    #[error("the pattern `{pattern}` has a wildcard inside the token `{token}`; a wildcard stands for a whole token")]
    WildcardInToken {
        /// The text.
        pattern: String,
        /// The token.
        token: String,
    },
}

fn check(text: &str) -> Result<(), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > Pattern::MAX_BYTES {
        return Err(PatternError::TooLong { bytes: text.len() });
    }
    if text.contains(char::is_control) {
        let pattern = text.to_owned();
        return Err(PatternError::ControlCharacter { pattern });
    }
    // What is no control character may turn the direction of the text around it.
    let pattern = || excerpt(text);
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        match token {
            "" => return Err(PatternError::EmptyToken { pattern: pattern() }),
            ">" if tokens.peek().is_some() => return Err(PatternError::RestNotLast { pattern: pattern() }),
            ">" | "*" => {}
            _ if token.contains(['*', '>']) => {
                return Err(PatternError::WildcardInToken {
                    pattern: pattern(),
                    token: excerpt(token),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
