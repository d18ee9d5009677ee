//! The file that is being read: from places in its text to lines and columns.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigProblem};
use crate::plain_file;
use crate::terminal::is_unsafe_to_show;

/// The largest config file, and the largest file of secrets, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A longer line is not shown below a problem.
const MAX_SNIPPET: usize = 200;

/// A place in the text of the file, in bytes.
pub(super) type Span = Range<usize>;

/// A config file: its text, and where it is.
pub(super) struct Document {
    file: String,
    directory: PathBuf,
    text: String,
}

impl Document {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|source| ConfigError::Unreadable {
            file: file.clone(),
            source,
        })?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Self { file, directory, text })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text at a place, as the operator wrote it.
    pub(super) fn written(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// A path of the file, which is relative to it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: &Span) -> usize {
        self.before(span).matches('\n').count() + 1
    }

    pub(super) fn problem(&self, span: &Span, key: impl Into<String>, message: impl Into<String>) -> ConfigProblem {
        let line = self.line(span);
        let column = self
            .before(span)
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let snippet = self.snippet(line, column, span);
        ConfigProblem {
            file: self.file.clone(),
            line,
            column,
            key: presentable(&key.into()),
            message: presentable(&message.into()),
            snippet: presentable(&snippet),
        }
    }

    /// What the parser found: it names the key where it knows it.
    pub(super) fn parse_problem(&self, mut error: toml::de::Error) -> ConfigProblem {
        let span = error.span().unwrap_or(0..0);
        // Without the text at hand the error shows the key instead of the line, which is shown here anyway.
        error.set_input(None);
        let shown = error.to_string();
        let key = shown
            .rsplit_once("\nin `")
            .and_then(|(_, key)| key.trim_end().strip_suffix('`'));
        let message = error
            .message()
            .replace("unknown field", "unknown key")
            .replace("missing field", "missing key");
        self.problem(&span, key.unwrap_or_default(), message)
    }

    fn before(&self, span: &Span) -> &str {
        self.text.get(..span.start).unwrap_or(&self.text)
    }

    fn snippet(&self, line: usize, column: usize, span: &Span) -> String {
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        if text.len() > MAX_SNIPPET {
            return String::new();
        }
        let room = text.chars().count().saturating_sub(column - 1).max(1);
        let marks = "^".repeat(self.written(span).chars().count().clamp(1, room));
        let margin = " ".repeat(line.to_string().len());
        let indent = " ".repeat(column - 1);
        format!("{margin} |\n{line} | {text}\n{margin} | {indent}{marks}")
    }
}

/// A text of the file as a terminal may have it: what it would act on is a mark, one for each, so that columns stay.
fn presentable(text: &str) -> String {
    let acted_on = |c: char| is_unsafe_to_show(c) && !matches!(c, '\n' | '\t');
    text.replace(acted_on, "\u{fffd}")
}

/// Reads a file of text, if it has a reasonable size.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("it is larger than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        invalid(format!("it is not UTF-8: the byte at offset {at} starts no character"))
    })
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
