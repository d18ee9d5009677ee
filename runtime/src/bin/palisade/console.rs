//! Stderr: the log, the progress bar and the words that are said whatever the log level is.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use tracing_subscriber::fmt::MakeWriter;

use crate::arguments::LogFormat;
use crate::text;

/// Writes to stderr, around the progress bar where there is one. Cheap to clone. What can't be written is lost: there is
/// nowhere to say so.
#[derive(Clone)]
pub(crate) struct Console {
    format: LogFormat,
    bar: ProgressBar,
}

impl Console {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self {
            format,
            bar: ProgressBar::hidden(),
        }
    }

    pub(crate) fn format(&self) -> LogFormat {
        self.format
    }

    /// The bar: hidden, unless somebody makes it visible.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Whether a person looks on.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == LogFormat::Pretty && io::stderr().is_terminal()
    }

    /// Says what is wrong with a line of stdin.
    pub(crate) fn bad_line(&self, number: u64, why: &str) {
        self.line(&match self.format {
            LogFormat::Pretty => format!("line {number}: {}", text::printable(why)),
            LogFormat::Json => {
                text::json(&serde_json::json!({ "level": "WARN", "line": number, "message": why }).to_string())
            }
        });
    }

    /// Says what somebody should know, whatever the log level is. Texts of others have to be printable already.
    pub(crate) fn warn(&self, message: &str) {
        self.line(&match self.format {
            LogFormat::Pretty => message.to_owned(),
            LogFormat::Json => text::json(&serde_json::json!({ "level": "WARN", "message": message }).to_string()),
        });
    }

    /// Says why the command failed: what it tried, and each cause that adds something.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let message = with_causes(error);
        self.line(&match self.format {
            LogFormat::Pretty => format!("error: {}", text::printable_lines(&message)),
            LogFormat::Json => text::json(&serde_json::json!({ "level": "ERROR", "message": message }).to_string()),
        });
    }

    pub(crate) fn line(&self, line: &str) {
        self.write_whole(format!("{line}\n").as_bytes());
    }

    fn write_whole(&self, bytes: &[u8]) {
        // An error is not passed on: whoever gets it could only try to write it to stderr.
        let _ = self.bar.suspend(|| io::stderr().lock().write_all(bytes));
    }
}

/// Many errors have the words of their cause in their own already.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// For the log: one line a call.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_whole(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Console;

    fn make_writer(&'a self) -> Console {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("no such file")
            .context("a.toml: can't be read: no such file")
            .context("the start failed");
        assert_eq!(
            with_causes(&error),
            "the start failed: a.toml: can't be read: no such file"
        );
    }
}
