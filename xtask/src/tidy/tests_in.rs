//! Finds the test functions in a Rust source. It reads lines, not syntax, so that tests inside `proptest!` count as well.

use crate::tidy::tree::Source;

/// A function with `#[test]`, `#[tokio::test]` or another attribute of that name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestFn<'a> {
    pub(super) name: &'a str,
    /// The lines of its doc comment, without the slashes.
    pub(super) docs: Vec<&'a str>,
}

pub(super) fn tests_in(source: &Source) -> Vec<TestFn<'_>> {
    let mut tests = Vec::new();
    // What stands above the next function: its attributes and its doc comment.
    let mut docs = Vec::new();
    let mut marked = false;
    for line in source.text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc);
        } else if is_test_attribute(line) {
            marked = true;
        } else if let Some(name) = function(line) {
            if marked {
                tests.push(TestFn {
                    name,
                    docs: std::mem::take(&mut docs),
                });
            }
            (docs, marked) = (Vec::new(), false);
        } else if line.is_empty() || line.ends_with([';', '{', '}']) {
            (docs, marked) = (Vec::new(), false);
        }
    }
    tests
}

/// `#[test]`, `#[tokio::test]`, `#[tokio::test(start_paused = true)]`.
fn is_test_attribute(line: &str) -> bool {
    let Some(attribute) = line.strip_prefix("#[") else {
        return false;
    };
    let path = attribute.split(['(', ']']).next().unwrap_or_default();
    path.rsplit("::").next() == Some("test")
}

/// The name, where the line begins a function.
fn function(line: &str) -> Option<&str> {
    let rest = ["pub ", "pub(crate) ", "pub(super) ", "async "]
        .iter()
        .fold(line, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let source = Source {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        };
        tests_in(&source)
            .into_iter()
            .map(|test| (test.name.to_owned(), test.docs.concat()))
            .collect()
    }

    #[test]
    fn tests_of_every_kind_are_found_with_their_docs() {
        let text = "
            /// E1
            #[test]
            fn plain() {}

            #[tokio::test(start_paused = true)]
            /// B4: two
            /// lines.
            async fn paused() {}

            #[tokio::test(
                flavor = \"multi_thread\",
                worker_threads = 2,
            )]
            async fn spread_out() {}

            proptest! {
                /// E2
                #[test]
                fn any_event(event in events()) {}
            }";
        let expected = [
            ("plain", " E1"),
            ("paused", " B4: two lines."),
            ("spread_out", ""),
            ("any_event", " E2"),
        ];
        assert_eq!(
            found(text),
            expected.map(|(name, docs)| (name.to_owned(), docs.to_owned()))
        );
    }

    #[test]
    fn helpers_and_other_items_are_not_tests() {
        let text = "
            /// E1
            fn helper() {}
            #[cfg(test)]
            mod tests {
                /// E2
                struct Thing;
                #[test]

                fn apart() {}
            }";
        assert_eq!(found(text), []);
    }
}
