//! The clocks of WASI as a guest sees them: to the millisecond, unless it is granted more (S8).

use std::time::Duration;

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::plugin::ClockGrant;

/// How much time a coarse clock does not tell apart.
const STEP: Duration = Duration::from_millis(1);

/// The same in nanoseconds, as WASI counts.
const STEP_NANOS: u64 = 1_000_000;

/// Sets the clocks that a grant gives. Deadlines of calls don't go by them: the runtime has its own.
pub(super) fn give_clocks(wasi: &mut WasiCtxBuilder, grant: ClockGrant) {
    match grant {
        ClockGrant::Coarse => {
            wasi.wall_clock(Coarse(WallClock::new()));
            wasi.monotonic_clock(Coarse(MonotonicClock::new()));
        }
        // The host's own are what a context begins with.
        ClockGrant::Precise => {}
    }
}

/// A clock whose time is rounded down. A guest that waits for an instant by it waits for the time that is left by the
/// rounded clock, so never too short.
struct Coarse<C>(C);

impl HostWallClock for Coarse<WallClock> {
    fn resolution(&self) -> Duration {
        STEP.max(self.0.resolution())
    }

    fn now(&self) -> Duration {
        let now = self.0.now();
        let beyond = u64::from(now.subsec_nanos()) % STEP_NANOS;
        now.saturating_sub(Duration::from_nanos(beyond))
    }
}

impl HostMonotonicClock for Coarse<MonotonicClock> {
    fn resolution(&self) -> u64 {
        STEP_NANOS.max(self.0.resolution())
    }

    fn now(&self) -> u64 {
        let now = self.0.now();
        now - now % STEP_NANOS
    }
}
