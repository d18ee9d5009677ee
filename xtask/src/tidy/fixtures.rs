//! A guest without a test proves nothing: each plugin of guest-plugins/, and each sin of the hostile one, is named in tests/.

use crate::tidy::tree::{Problem, Tree, has_word, numbered};

const HOSTILE: &str = "guest-plugins/hostile/src/";
const TESTS: &str = "tests/";

/// `plugins` are the names of the packages that become components.
pub(super) fn check(tree: &Tree, plugins: &[String]) -> Vec<Problem> {
    let mut problems = untested_plugins(tree, plugins);
    problems.extend(untested_sins(tree));
    problems
}

fn untested_plugins(tree: &Tree, plugins: &[String]) -> Vec<Problem> {
    // As a string or a file: names such as `probe` are words of plain English, too.
    let tested = |name: &str| in_tests(tree, &format!("\"{name}\"")) || in_tests(tree, &format!("{name}.wasm"));
    let untested = plugins.iter().filter(|plugin| !tested(plugin));
    untested
        .map(|plugin| {
            Problem::new(
                "guest-plugins",
                0,
                format!("no test in {TESTS} names the plugin `{plugin}`"),
            )
        })
        .collect()
}

fn untested_sins(tree: &Tree) -> Vec<Problem> {
    let Some((path, sins)) = tree
        .rust(HOSTILE)
        .find_map(|file| Some((&file.path, sins(&file.text)?)))
    else {
        return vec![Problem::new(
            HOSTILE,
            0,
            "has no table `const SINS: ... = &[...];` of what the hostile plugin can do",
        )];
    };
    let untested = sins
        .into_iter()
        .filter(|(_, sin)| !in_tests(tree, &format!("hostile.{sin}")));
    untested
        .map(|(line, sin)| Problem::new(path, line, format!("no test in {TESTS} publishes `hostile.{sin}`")))
        .collect()
}

fn in_tests(tree: &Tree, word: &str) -> bool {
    tree.rust(TESTS).any(|file| has_word(&file.text, word))
}

/// The names in the table `SINS`, its only strings, with their lines; none if the text has no such table.
fn sins(text: &str) -> Option<Vec<(usize, &str)>> {
    let mut lines = numbered(text).skip_while(|(_, line)| !line.contains("const SINS:"));
    let (first, line) = lines.next()?;
    let opening = (first, line.split_once('=')?.1);
    let mut sins = Vec::new();
    for (number, line) in std::iter::once(opening).chain(lines) {
        sins.extend(line.split('"').skip(1).step_by(2).map(|sin| (number, sin)));
        if line.contains("];") {
            break;
        }
    }
    Some(sins)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SINS: &str = "
/// All.
pub(crate) const SINS: &[(&str, Sin)] = &[
    (\"spin\", time::spin),
    (\"spin-start\", time::spin_start), (\"nest\", data::nest),
];
const X: &str = \"no\";
";

    fn problems(tests: &str, plugins: &[&str]) -> Vec<String> {
        let tree = Tree::of(&[
            ("guest-plugins/hostile/src/lib.rs", SINS),
            ("tests/all/hostile.rs", tests),
        ]);
        let plugins: Vec<String> = plugins.iter().map(|name| (*name).to_owned()).collect();
        check(&tree, &plugins).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_is_read_whatever_its_lines() {
        assert_eq!(sins(SINS).unwrap(), [(4, "spin"), (5, "spin-start"), (5, "nest")]);
        assert_eq!(
            sins("const SINS: &[&str] = &[\"a\", \"b\"];").unwrap(),
            [(1, "a"), (1, "b")]
        );
        assert_eq!(sins("fn main() {}"), None);
    }

    #[test]
    fn a_sin_that_no_test_publishes_is_a_problem() {
        let tests = "publish(\"hostile.spin-start\"); publish(\"hostile.nest\");";
        assert_eq!(
            problems(tests, &[]),
            ["guest-plugins/hostile/src/lib.rs:4: no test in tests/ publishes `hostile.spin`"]
        );
    }

    #[test]
    fn a_plugin_that_no_test_names_is_a_problem() {
        let tests = "hostile.spin hostile.spin-start hostile.nest load(\"audit-logger\")";
        let plugins = ["audit-logger", "no-secrets"];
        assert_eq!(
            problems(tests, &plugins),
            ["guest-plugins: no test in tests/ names the plugin `no-secrets`"]
        );
    }

    #[test]
    fn a_hostile_plugin_without_its_table_is_a_problem() {
        assert_eq!(untested_sins(&Tree::of(&[])).len(), 1);
    }
}
