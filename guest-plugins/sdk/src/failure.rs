use std::fmt::Display;
use std::time::Duration;

use crate::kv::StoreError;
use crate::{PublishError, SubscribeError};

/// Why a handler could not do its work, and whether it is worth another try.
///
/// `?` makes one of these errors a failure:
///
/// | error | becomes | because |
/// |---|---|---|
/// | [`serde_json::Error`] | reject | the same bytes won't parse next time |
/// | [`std::io::Error`] | retry | a disk or a network may recover |
/// | [`PublishError`], [`SubscribeError`] | reject | a grant or a limit won't change by itself; the dead letter can be sent again |
/// | [`StoreError`] | retry | a full store may be emptied; one that isn't there, or JSON of another type, is a rejection |
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may succeed later.
    #[error("{message}")]
    Retry {
        /// For the operator.
        message: String,
        /// The delay asked for, in whole milliseconds, at most 49 days; honoured within the operator's policy. `None`
        /// leaves it to the policy.
        after: Option<Duration>,
    },
    /// It never will: straight to the dead letters. A verdict on the event, not a fault of the plugin.
    #[error("{0}")]
    Reject(String),
}

impl Failure {
    /// It may succeed later, when the operator's policy says.
    pub fn retry(message: impl Display) -> Self {
        Self::Retry {
            message: message.to_string(),
            after: None,
        }
    }

    /// It may succeed after this delay.
    pub fn retry_after(message: impl Display, delay: Duration) -> Self {
        Self::Retry {
            message: message.to_string(),
            after: Some(delay),
        }
    }

    /// It never will succeed.
    pub fn reject(message: impl Display) -> Self {
        Self::Reject(message.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::reject(format_args!("JSON: {error}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::retry(error)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::reject(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Other(_) => Self::retry(error),
            _ => Self::reject(error),
        }
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        Self::reject(error)
    }
}
