//! Nothing in the repository names a place that only one machine has.

use crate::tidy::tree::{Problem, Source, Tree, numbered};

/// Put together from halves, so that this file doesn't find itself.
const PLACES: [&str; 4] = [
    concat!("/work/", "main"),
    concat!("/work/", "shared"),
    concat!("/root/", ".cargo"),
    concat!("artif", "actory"),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.files().iter().flat_map(problems).collect()
}

fn problems(file: &Source) -> Vec<Problem> {
    let lines = numbered(&file.text);
    lines
        .filter_map(|(line, text)| Some(Problem::new(&file.path, line, message(text)?)))
        .collect()
}

fn message(line: &str) -> Option<String> {
    let line = line.to_ascii_lowercase();
    let place = PLACES.iter().find(|place| line.contains(**place))?;
    Some(format!("names `{place}`, which only one machine has"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_found_with_its_line() {
        for place in PLACES {
            let text = format!("fine\nsee {}/x\n", place.to_uppercase());
            let problems = check(&Tree::of(&[("a.md", &text)]));
            assert_eq!(
                problems,
                [Problem::new(
                    "a.md",
                    2,
                    format!("names `{place}`, which only one machine has")
                )]
            );
        }
    }

    #[test]
    fn other_paths_are_fine() {
        assert_eq!(
            check(&Tree::of(&[(
                "a.md",
                "/work/of/art and registry+https://github.com/rust-lang"
            )])),
            []
        );
    }
}
