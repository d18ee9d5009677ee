//! Which event it is: its id says who published it, and so what has to become of it.

use std::fmt;
use std::str::FromStr;

use palisade::Event;

/// How many publish at a time.
pub(super) const PUBLISHERS: u32 = 8;

/// Whom an event that is handled is for.
const HANDLED: &[&str] = &["keyed", "plain", "ledger/do"];
/// Whom one is for that never is.
const DOOMED: &[&str] = &["doomed"];

/// An event, by who published it in which life, and which of theirs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) life: u32,
    pub(super) publisher: u32,
    pub(super) number: u32,
}

impl Name {
    /// The event has it as its id.
    pub(super) fn of(event: &Event) -> Option<Self> {
        event.id().parse().ok()
    }

    /// Events of a key keep their order. A key is of one publisher, which goes on with it in the next life: what it publishes
    /// later is greater.
    pub(super) fn key(self) -> u32 {
        self.publisher * 2 + self.number % 2
    }

    /// One handler fails at it for ever, and no other gets it.
    pub(super) fn is_doomed(self) -> bool {
        self.number % 16 == 7
    }

    /// Whom it is for.
    pub(super) fn recipients(self) -> &'static [&'static str] {
        if self.is_doomed() { DOOMED } else { HANDLED }
    }

    /// At how many attempts `keyed` and `plain` fail before one goes well.
    pub(super) fn failures(self) -> u32 {
        match self.number {
            number if number % 35 == 0 => 2,
            number if number % 7 == 0 => 1,
            _ => 0,
        }
    }

    /// Whether its publisher waits for the first attempt.
    pub(super) fn is_direct(self) -> bool {
        self.number % 5 == 4
    }

    /// The event itself, always the same but for so many bytes of nothing in its data.
    pub(super) fn event(self, padding: usize) -> Event {
        let event_type = if self.is_doomed() { "crash.doomed" } else { "ledger.do" };
        let data = format!("[{}{}]", " ".repeat(padding), self.told());
        Event::builder(event_type, "/crash")
            .id(self.to_string())
            .subject(self.key().to_string())
            .data("application/json", data)
            .build()
            .expect("an event")
    }

    /// What the plugin is told: to count, and now and then to do it in vain first.
    fn told(self) -> &'static str {
        match self.number {
            number if number % 97 == 50 => r#"{"count":"total"},{"end-before":[2,"trap"]}"#,
            number if number % 9 == 4 => r#"{"count":"total"},{"end-before":[2,"retry"]}"#,
            _ => r#"{"count":"total"}"#,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.life, self.publisher, self.number)
    }
}

/// It is the name of another event, which is none of the judge's business.
#[derive(Debug)]
pub(super) struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let mut numbers = text.splitn(3, '-').map(|number| number.parse().map_err(|_| NoName));
        let mut number = || numbers.next().ok_or(NoName)?;
        Ok(Self {
            life: number()?,
            publisher: number()?,
            number: number()?,
        })
    }
}
