//! Holds back events whose data contains a forbidden word, such as the first line of a private key.
//!
//! ```toml
//! [[filter]]
//! path = "plugins/no-secrets.wasm"
//! config = { words = ["PRIVATE KEY-----", "xoxb-"] }
//! ```
//!
//! Without `words` it looks for the first lines of the usual private keys. Words are compared byte by byte, with upper
//! and lower case, to the data as it came: base64 or an escape such as `\u0042` hides a word from it. What it holds
//! back it logs, by the event's id and type and without the word.

use memchr::memmem::Finder;
use palisade_sdk::prelude::*;
use serde::Deserialize;

struct NoSecrets {
    words: Vec<Finder<'static>>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// What must not be in an event's data.
    words: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let kinds = ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "];
        Self {
            words: kinds.map(|kind| format!("BEGIN {kind}PRIVATE KEY")).to_vec(),
        }
    }
}

impl Filter for NoSecrets {
    fn info() -> Info {
        Info::new("no-secrets", env!("CARGO_PKG_VERSION")).description(env!("CARGO_PKG_DESCRIPTION"))
    }

    fn start(config: &Config) -> Result<Self, StartError> {
        let Settings { words } = config.parse()?;
        if words.is_empty() || words.iter().any(String::is_empty) {
            return Err("config key `words`: it needs at least one word, and none may be empty".into());
        }
        Ok(Self {
            words: words.iter().map(|word| Finder::new(word).into_owned()).collect(),
        })
    }

    fn accepts(&mut self, event: &Event) -> bool {
        let secret = self.words.iter().any(|word| word.find(event.data()).is_some());
        if secret {
            log::warn!(
                "held back {} ({}): its data contains a forbidden word",
                event.id(),
                event.event_type()
            );
        }
        !secret
    }
}

palisade_sdk::filter!(NoSecrets);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use palisade_sdk::serde_json::Value;
    use palisade_sdk::testing::{FilterHarness, TestEvent};

    fn started(config: Value) -> FilterHarness<NoSecrets> {
        FilterHarness::start(config).unwrap()
    }

    fn event(text: &str) -> TestEvent {
        TestEvent::new("file.saved").id("e-1").json(json!({ "text": text }))
    }

    #[test]
    fn private_keys_are_held_back_by_default() {
        let mut filter = started(json!({}));
        for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            assert!(
                !filter.accepts(event(&format!("-----BEGIN {kind}PRIVATE KEY-----\nMIIE"))),
                "{kind}"
            );
        }
        assert!(filter.accepts(event("-----BEGIN PUBLIC KEY-----")));
        assert!(filter.accepts(TestEvent::new("file.saved")));
    }

    #[test]
    fn the_words_are_the_operators() {
        let mut filter = started(json!({ "words": ["geheim", "tajne"] }));
        assert!(!filter.accepts(event("streng geheim")));
        assert!(!filter.accepts(event("přísně tajne")));
        assert!(filter.accepts(event("Geheim")));
        assert!(filter.accepts(event("BEGIN PRIVATE KEY")));
    }

    #[test]
    fn the_log_names_the_event_and_not_the_secret() {
        let mut filter = started(json!({ "words": ["hunter2"] }));
        assert!(!filter.accepts(event("my password is hunter2")));
        assert_eq!(
            filter.log()[0].message,
            "held back e-1 (file.saved): its data contains a forbidden word"
        );
    }

    #[test]
    fn an_empty_word_stops_the_start() {
        for words in [json!([]), json!(["a", ""]), json!("a")] {
            let error = FilterHarness::<NoSecrets>::start(json!({ "words": words }))
                .err()
                .unwrap();
            assert!(error.contains("`words`"), "{error}");
        }
    }

    /// L4
    #[test]
    fn a_word_is_not_quoted_in_an_error() {
        for words in [json!("hunter2"), json!(["", "hunter2"]), json!([["hunter2"]])] {
            let error = FilterHarness::<NoSecrets>::start(json!({ "words": words }))
                .err()
                .unwrap();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
