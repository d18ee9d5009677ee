//! What becomes of a life of the child.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;

/// When it ends. Times are from when it had come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Killed while it publishes.
    Publishing(Duration),
    /// The same with large events, so that the log of the database grows to be folded back again and again.
    Heavy(Duration),
    /// Killed while it opens the store, and reads the log that the one before left.
    Opening(Duration),
    /// Killed while handlers load what they are owed, and the plugin starts.
    Recovering(Duration),
    /// Told to shut down after it has published large events for a while, and killed at that; a store that is closed folds back
    /// its log.
    Ending {
        /// For how long it publishes.
        publishing: Duration,
        /// How long after it was told it is killed, if it is there still.
        ending: Duration,
    },
    /// It publishes nothing, has all the time it needs to do what is owed, and shuts down in order.
    Drained,
}

/// They come by turns, and chance decides on the times only: six rounds have all of them, and the seventh is a long one, in which
/// thousands of events are handled and the database grows.
const TURNS: u32 = 7;

impl Fate {
    /// The fate of one round.
    pub(super) fn of_round(round: u32, chance: &mut Chance) -> Self {
        let mut up_to =
            |least: u64, most: u64| Duration::from_micros(chance.below((most - least) * 1000) + least * 1000);
        match round % TURNS {
            1 => Self::Heavy(up_to(20, 400)),
            2 => Self::Recovering(up_to(0, 60)),
            3 => Self::Ending {
                publishing: up_to(20, 200),
                ending: up_to(0, 120),
            },
            4 => Self::Opening(up_to(0, 40)),
            6 => Self::Publishing(up_to(1000, 4000)),
            _ => Self::Publishing(up_to(20, 400)),
        }
    }

    /// How many bytes of nothing each of its events has.
    pub(super) fn padding(self) -> usize {
        match self {
            Self::Heavy(_) | Self::Ending { .. } => 64 * 1024,
            _ => 0,
        }
    }

    /// Whether it publishes anything.
    pub(super) fn publishes(self) -> bool {
        self != Self::Drained
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publishing(after) => write!(f, "killed after publishing for {after:.0?}"),
            Self::Heavy(after) => write!(f, "killed after publishing large events for {after:.0?}"),
            Self::Opening(after) => write!(f, "killed {after:.0?} after it began to open the store"),
            Self::Recovering(after) => write!(f, "killed {after:.0?} after it had opened the store"),
            Self::Ending { publishing, ending } => write!(
                f,
                "told to shut down after publishing large events for {publishing:.0?}, killed {ending:.0?} later"
            ),
            Self::Drained => f.write_str("not killed"),
        }
    }
}
