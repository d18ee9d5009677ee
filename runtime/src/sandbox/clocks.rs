//! The clocks of WASI as a guest sees them: to the millisecond, unless it is granted more (S8).

use std::sync::LazyLock;
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
            wasi.wall_clock(CoarseWall);
            wasi.monotonic_clock(CoarseMonotonic);
        }
        // The host's own are what a context begins with.
        ClockGrant::Precise => {}
    }
}

/// The time, rounded down.
struct CoarseWall;

impl HostWallClock for CoarseWall {
    fn resolution(&self) -> Duration {
        STEP.max(WallClock.resolution())
    }

    fn now(&self) -> Duration {
        let now = WallClock.now();
        let beyond = u64::from(now.subsec_nanos()) % STEP_NANOS;
        now.saturating_sub(Duration::from_nanos(beyond))
    }
}

/// Counts from when the first of them was looked at, for all instances: a new instance costs no look at the clock. Rounded down, too: a
/// guest that waits for an instant by it waits for the time that is left by the rounded clock, so never too short.
struct CoarseMonotonic;

static MONOTONIC: LazyLock<MonotonicClock> = LazyLock::new(MonotonicClock::new);

impl HostMonotonicClock for CoarseMonotonic {
    fn resolution(&self) -> u64 {
        STEP_NANOS.max(MONOTONIC.resolution())
    }

    fn now(&self) -> u64 {
        let now = MONOTONIC.now();
        now - now % STEP_NANOS
    }
}
