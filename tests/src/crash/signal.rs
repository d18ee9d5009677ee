//! How far the child has come, as it tells its parent: a word a line on its stdout. Other lines there are somebody else's.

use std::io::Write;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// It opens the store next.
    Opening,
    /// The store is open and native handlers are subscribed: what they are owed is being loaded.
    Opened,
    /// The plugin has started, and it publishes, or drains.
    Ready,
    /// It has shut down in order.
    Ended,
}

impl Signal {
    const ALL: [Self; 4] = [Self::Opening, Self::Opened, Self::Ready, Self::Ended];

    fn word(self) -> &'static str {
        match self {
            Self::Opening => "crash: opening",
            Self::Opened => "crash: opened",
            Self::Ready => "crash: ready",
            Self::Ended => "crash: ended",
        }
    }

    /// Tells the parent.
    pub(super) fn tell(self) {
        let mut stdout = std::io::stdout().lock();
        // A parent that is gone is noticed elsewhere.
        let _ = writeln!(stdout, "{}", self.word()).and_then(|()| stdout.flush());
    }

    /// What a line says, if it is one of these. The harness of a test may have begun the line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| line.ends_with(signal.word()))
    }
}
