//! A source that has grown too long holds more than one concept.

use crate::tidy::tree::{Problem, Source, Tree};

/// Lines of a source, its unit tests included.
const MOST: usize = 500;

/// Tables of cases make files of tests longer.
const MOST_OF_TESTS: usize = 800;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust("").filter_map(problem).collect()
}

fn problem(file: &Source) -> Option<Problem> {
    let most = if file.path.split('/').any(|part| part == "tests" || part == "tests.rs") {
        MOST_OF_TESTS
    } else {
        MOST
    };
    let lines = file.text.lines().count();
    (lines > most).then(|| {
        Problem::new(
            &file.path,
            0,
            format!("has {lines} lines, {most} are the end: split it by concept"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_end_at_500_lines_and_tests_at_800() {
        for (path, most) in [
            ("runtime/src/a.rs", 500),
            ("tests/all/a.rs", 800),
            ("runtime/tests/a.rs", 800),
        ] {
            assert_eq!(check(&Tree::of(&[(path, &"x\n".repeat(most))])), []);
            assert_eq!(check(&Tree::of(&[(path, &"x\n".repeat(most + 1))])).len(), 1, "{path}");
        }
        assert_eq!(check(&Tree::of(&[("Cargo.lock", &"x\n".repeat(5_000))])), []);
    }
}
