//! The repository's text files, read once for all checks, and what a check says about them.

use std::fmt;
use std::fs;

use anyhow::{Context, Result};

use crate::repo::Repo;

/// The text files that are tracked, or not yet tracked and not ignored.
pub(super) struct Tree {
    files: Vec<Source>,
}

/// One text file. `path` is relative to the root, with slashes.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    pub(super) fn read(repo: &Repo) -> Result<Self> {
        let mut files = Vec::new();
        for path in repo.files()? {
            let bytes = fs::read(repo.path(&path)).with_context(|| format!("could not read {path}"))?;
            // What is not UTF-8 is no text, and no check has anything to say about it.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(Source { path, text });
            }
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        Self { files: files.collect() }
    }

    pub(super) fn files(&self) -> &[Source] {
        &self.files
    }

    pub(super) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust sources below a folder (`"tests/"`), or all with `""`.
    pub(super) fn rust<'a>(&'a self, below: &'a str) -> impl Iterator<Item = &'a Source> {
        self.files
            .iter()
            .filter(move |file| file.path.starts_with(below) && file.path.ends_with(".rs"))
    }

    /// Whether there is a file of this path, or a folder with a file in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files
            .iter()
            .any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

/// Something to mend, shown the way compilers do: `path:line: message`. Line 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    path: String,
    line: usize,
    message: String,
}

impl Problem {
    pub(super) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// The lines of a text with their numbers, from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `word` stands in `text` and is not a part of a longer word; words are made of letters, digits, `_` and `-`.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_when_a_file_is_in_it() {
        let tree = Tree::of(&[("runtime/src/bus/mod.rs", "")]);
        for path in ["runtime/src/bus/mod.rs", "runtime/src/bus", "runtime/src/bus/"] {
            assert!(tree.has(path), "{path}");
        }
        assert!(!tree.has("runtime/src/b"));
    }

    #[test]
    fn a_word_is_not_found_in_a_longer_one() {
        assert!(has_word("load(\"hostile.spin\")", "hostile.spin"));
        assert!(!has_word("load(\"hostile.spin-start\")", "hostile.spin"));
        assert!(has_word("hostile.spin-start, hostile.spin", "hostile.spin"));
        assert!(!has_word("H12", "H1"));
    }

    #[test]
    fn a_problem_is_shown_with_its_place() {
        assert_eq!(Problem::new("a.rs", 7, "too long").to_string(), "a.rs:7: too long");
        assert_eq!(Problem::new("a.rs", 0, "missing").to_string(), "a.rs: missing");
    }
}
