use std::fmt;

/// Why a config file can't be used. Shown one problem after the other, each as `file:line:column: key: what is wrong` with
/// the line it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: can't be read: {source}")]
    Unreadable {
        /// The path as it was given.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}", list(.0))]
    Invalid(Vec<ConfigProblem>),
}

/// One thing that is wrong in a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The path as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key with the tables it is in, such as `plugin.limits.memory`; empty where the syntax is wrong.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// The line of the file, with a mark below the place.
    pub snippet: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            key,
            message,
            snippet,
        } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        write!(f, "{message}")?;
        if !snippet.is_empty() {
            write!(f, "\n{snippet}")?;
        }
        Ok(())
    }
}

/// The value if there is no problem.
pub(super) fn all_or<T>(problems: Vec<ConfigProblem>, value: T) -> Result<T, ConfigError> {
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(ConfigError::Invalid(problems))
    }
}

fn list(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
