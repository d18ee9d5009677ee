//! ARCHITECTURE.md is a map: each path it names in backticks leads somewhere.

use crate::tidy::tree::{Problem, Tree, numbered};

const FILE: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(file) = tree.file(FILE) else {
        return vec![Problem::new(
            FILE,
            0,
            "is missing: it is the map of folders to concepts",
        )];
    };
    let paths = paths(&file.text).into_iter();
    let lost = paths.filter(|(_, path)| !tree.has(path));
    lost.map(|(line, path)| Problem::new(FILE, line, format!("there is no `{path}`; paths start at the root")))
        .collect()
}

/// The paths in backticks, outside fenced blocks, with their lines.
fn paths(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut paths = Vec::new();
    for (line, text) in numbered(text) {
        if text.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let spans = text.split('`').skip(1).step_by(2);
            paths.extend(spans.filter(|span| is_path(span)).map(|path| (line, path)));
        }
    }
    paths
}

/// Has a slash, and nothing that a relative path of ours hasn't: routes (`/events`), interfaces (`wasi:io/poll`), patterns
/// and placeholders are something else, media types look alike, and what is below `target/` is built.
fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let elsewhere = ["/", "target/", "application/", "text/"];
    span.contains('/') && span.chars().all(plain) && !elsewhere.iter().any(|start| span.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(map: &str) -> Vec<String> {
        let tree = Tree::of(&[(FILE, map), ("runtime/src/bus/mod.rs", "")]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_path_that_leads_nowhere_is_a_problem() {
        let map = "`runtime/src/bus/` and\n`runtime/src/gone.rs`";
        assert_eq!(
            lost(map),
            ["ARCHITECTURE.md:2: there is no `runtime/src/gone.rs`; paths start at the root"]
        );
    }

    #[test]
    fn what_only_looks_like_a_path_is_passed_over() {
        let map = "`/plugins/{name}`, `wasi:http/types`, `application/json`, `target/plugins/x.wasm`, `tests/*.rs`, `lib.rs`, a/b\n\
                   ```\n`not/here`\n```";
        assert_eq!(lost(map), [""; 0]);
    }

    #[test]
    fn a_missing_map_is_a_problem() {
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
