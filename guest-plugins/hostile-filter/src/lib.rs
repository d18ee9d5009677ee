//! A filter that sins in its answer, for the runtime's tests: the type of an event, `hostile.NAME`, picks one of
//! `SINS`. It accepts every other event.

use palisade_sdk::prelude::*;

struct HostileFilter;

type Sin = fn() -> bool;

/// Each sin's name. Every `hostile.NAME` has a test in the runtime's repository: `cargo xtask tidy` sees to it.
const SINS: &[(&str, Sin)] = &[
    ("accepts-no", || false),
    ("accepts-spin", spin),
    ("accepts-sleep", sleep),
    ("accepts-trap", || std::process::abort()),
    ("accepts-flood-log", flood_log),
];

impl Filter for HostileFilter {
    fn info() -> Info {
        Info::new("hostile-filter", env!("CARGO_PKG_VERSION")).description(env!("CARGO_PKG_DESCRIPTION"))
    }

    fn start(_config: &Config) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn accepts(&mut self, event: &Event) -> bool {
        let name = event.event_type().strip_prefix("hostile.").unwrap_or_default();
        SINS.iter()
            .find(|(sin, _)| *sin == name)
            .is_none_or(|(_, commit)| commit())
    }
}

/// Computes for ever.
fn spin() -> bool {
    loop {
        std::hint::spin_loop();
    }
}

/// Waits in the host for ever.
fn sleep() -> bool {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Logs 100,000 lines, and accepts.
fn flood_log() -> bool {
    for line in 0..100_000 {
        log::info!("hostile filter line {line}");
    }
    true
}

palisade_sdk::filter!(HostileFilter);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use palisade_sdk::testing::{FilterHarness, TestEvent};

    #[test]
    fn only_the_named_types_are_trouble() {
        let mut filter = FilterHarness::<HostileFilter>::start(json!({})).unwrap();
        assert!(filter.accepts(TestEvent::new("user.login")));
        assert!(filter.accepts(TestEvent::new("hostile.ok")));
        assert!(!filter.accepts(TestEvent::new("hostile.accepts-no")));
    }
}
