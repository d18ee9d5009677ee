//! PROMISES.md names the tests of each promise; each of these tests exists and names the promise.

use std::collections::{HashMap, HashSet};

use crate::tidy::tests_in::{TestFn, tests_in};
use crate::tidy::tree::{Problem, Tree, has_word, numbered};

const FILE: &str = "PROMISES.md";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(file) = tree.file(FILE) else {
        return vec![Problem::new(
            FILE,
            0,
            "is missing: it lists each promise with the tests that check it",
        )];
    };
    let rows = rows(&file.text);
    if rows.is_empty() {
        return vec![Problem::new(
            FILE,
            0,
            "lists no promise: a row is `| E1 | in our words | `test_name` |`",
        )];
    }
    let tests = tests_by_name(tree);
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for row in &rows {
        let mut messages = row.messages(&tests);
        if !seen.insert(row.id) {
            messages.push(format!("{} is listed twice", row.id));
        }
        problems.extend(
            messages
                .into_iter()
                .map(|message| Problem::new(FILE, row.line, message)),
        );
    }
    problems
}

type Tests<'a> = HashMap<&'a str, Vec<TestFn<'a>>>;

fn tests_by_name(tree: &Tree) -> Tests<'_> {
    let mut tests = Tests::new();
    for test in tree.rust("").flat_map(tests_in) {
        tests.entry(test.name).or_default().push(test);
    }
    tests
}

/// `| E1 | in our words | `a_test`, `module::another` |`
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    line: usize,
    id: &'a str,
    tests: Vec<&'a str>,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    numbered(text).filter_map(|(line, text)| row(line, text)).collect()
}

/// Rows whose first cell is no id are headings, or belong to another table.
fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let cells = text.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (id, rest) = cells.split_once('|')?;
    let id = id.trim().trim_matches('*');
    let tests = rest.rsplit_once('|').map_or(rest, |(_, last)| last);
    let tests = tests
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|path| path.rsplit("::").next());
    is_id(id).then(|| Row {
        line,
        id,
        tests: tests.collect(),
    })
}

/// One capital letter and a number: E1, H12.
fn is_id(cell: &str) -> bool {
    let number = cell.strip_prefix(|c: char| c.is_ascii_uppercase());
    number.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

impl Row<'_> {
    fn messages(&self, tests: &Tests<'_>) -> Vec<String> {
        if self.tests.is_empty() {
            return vec![format!("{} has no test: name at least one in the last column", self.id)];
        }
        self.tests.iter().filter_map(|name| self.message(name, tests)).collect()
    }

    fn message(&self, name: &str, tests: &Tests<'_>) -> Option<String> {
        let id = self.id;
        match tests.get(name) {
            None => Some(format!("{id}: there is no test function `{name}`")),
            // Tests of one name may stand in several modules; one of them has to name the promise.
            Some(tests) if tests.iter().any(|test| carries(test, id)) => None,
            Some(_) => Some(format!(
                "{id}: the test `{name}` names {id} neither in its doc comment nor in its name"
            )),
        }
    }
}

fn carries(test: &TestFn<'_>, id: &str) -> bool {
    test.docs.iter().any(|line| has_word(line, id)) || test.name.split('_').any(|word| word.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) = (
        "tests/all/events.rs",
        "/// E1\n#[test]\nfn constants() {}\n\n#[test]\nfn e2_verbatim() {}\n",
    );

    fn problems(table: &str) -> Vec<String> {
        let tree = Tree::of(&[(FILE, table), SOURCE]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_promise_whose_tests_name_it_is_kept() {
        let table = "| id | promise | tests |\n|---|---|---|\n| E1 | types `a|b` | `constants` |\n| **E2** | JSON | `events::e2_verbatim` |";
        assert_eq!(problems(table), [""; 0]);
    }

    #[test]
    fn a_promise_without_a_test_is_a_problem() {
        assert_eq!(
            problems("| E1 | types | |"),
            ["PROMISES.md:1: E1 has no test: name at least one in the last column"]
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_a_problem() {
        assert_eq!(
            problems("| E1 | types | `constants`, `gone` |"),
            ["PROMISES.md:1: E1: there is no test function `gone`"]
        );
    }

    #[test]
    fn a_test_that_does_not_name_the_promise_is_a_problem() {
        let message = "PROMISES.md:1: H1: the test `constants` names H1 neither in its doc comment nor in its name";
        assert_eq!(problems("| H1 | spin | `constants` |"), [message]);
    }

    #[test]
    fn a_promise_listed_twice_is_a_problem() {
        let table = "| E1 | types | `constants` |\n| E1 | again | `constants` |";
        assert_eq!(problems(table), ["PROMISES.md:2: E1 is listed twice"]);
    }

    #[test]
    fn a_missing_or_empty_list_is_a_problem() {
        assert_eq!(check(&Tree::of(&[SOURCE])).len(), 1);
        assert_eq!(problems("no table here").len(), 1);
    }
}
