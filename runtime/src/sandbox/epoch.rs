//! The clock that stops a guest which spins (S2, S3).
//!
//! Every tick, each store that runs notices that its epoch deadline has passed; its callback then looks at the call's real
//! deadline and ends the call or yields to tokio. An OS thread ticks, so that no busy executor can hold it up; a second
//! one watches the first and replaces it when it has died or hangs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How far apart ticks are: how late an epoch can end a call, and how long a spinner keeps a worker thread.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// The ticker sleeps after this long without a call.
const IDLE: Duration = Duration::from_secs(1);
/// How often the watchdog looks.
const WATCH: Duration = Duration::from_millis(100);
/// A ticker that has not ticked for so many looks in a row is replaced. One would not do: on a machine that is short of CPU
/// the watchdog may have its turn before the ticker has.
const MISSES: u32 = 3;

/// What a tick does; in a runtime it increments the epoch of its engines.
type OnTick = dyn Fn() + Send + Sync;

/// The ticker and its watchdog; both end when this is dropped.
pub(crate) struct EpochTicker {
    shared: Arc<Shared>,
}

struct Shared {
    on_tick: Box<OnTick>,
    /// Whether a guest computed since the last tick, and so whether the ticker may sleep.
    active: AtomicBool,
    /// Whether the ticker sleeps, or is about to.
    parked: AtomicBool,
    heartbeat: AtomicU64,
    replaced: AtomicU64,
    control: Mutex<Control>,
    wake: Condvar,
}

#[derive(Default)]
struct Control {
    /// The ticker in office; one with another number resigns.
    generation: u64,
    ended: bool,
}

/// What the ticker has been doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerHealth {
    /// How many times a ticker had to be replaced; 0 in a healthy process.
    pub replaced: u64,
    /// Calls into guests that run now.
    pub running_calls: usize,
}

impl EpochTicker {
    pub(crate) fn start(on_tick: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            on_tick: Box::new(on_tick),
            active: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            heartbeat: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            control: Mutex::default(),
            wake: Condvar::new(),
        });
        let ticker = Self { shared };
        ticker.shared.spawn_ticker(0)?;
        let watched = ticker.shared.clone();
        thread::Builder::new()
            .name("palisade-watchdog".into())
            .spawn(move || watched.watch())?;
        Ok(ticker)
    }

    /// Says that a guest computes, or is about to; said again at each tick that it still does. Nearly always this is one load:
    /// the ticker's flag is written once a tick, and the ticker woken only when it sleeps.
    pub(crate) fn keep_ticking(&self) {
        // What is read here may be as old as the last tick, but no older; there are hundreds before the ticker sleeps.
        if !self.shared.active.load(Ordering::Relaxed) {
            self.shared.wake();
        }
    }

    /// How often the ticker had to be replaced.
    pub(crate) fn replaced(&self) -> u64 {
        self.shared.replaced.load(Ordering::Relaxed)
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.control().ended = true;
        self.shared.unpark();
    }
}

impl Shared {
    fn spawn_ticker(self: &Arc<Self>, generation: u64) -> std::io::Result<()> {
        let shared = self.clone();
        let name = format!("palisade-epoch-{generation}");
        thread::Builder::new()
            .name(name)
            .spawn(move || shared.tick(generation))
            .map(drop)
    }

    fn tick(&self, generation: u64) {
        let mut idle = Duration::ZERO;
        while self.in_office(generation) {
            thread::sleep(TICK);
            (self.on_tick)();
            self.heartbeat.fetch_add(1, Ordering::Relaxed);
            idle = if self.active.swap(false, Ordering::Relaxed) {
                Duration::ZERO
            } else {
                idle + TICK
            };
            if idle >= IDLE {
                self.sleep(generation);
                idle = Duration::ZERO;
            }
        }
    }

    fn in_office(&self, generation: u64) -> bool {
        let control = self.control();
        !control.ended && control.generation == generation
    }

    #[cold]
    fn wake(&self) {
        self.active.store(true, Ordering::SeqCst);
        // Pairs with the fence in `sleep`: either this sees `parked`, or the ticker sees `active`.
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.unpark();
        }
    }

    /// Sleeps until a call wakes it.
    fn sleep(&self, generation: u64) {
        self.parked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.active.load(Ordering::SeqCst) {
            self.parked.store(false, Ordering::SeqCst);
            return;
        }
        let mut control = self.control();
        while self.parked.load(Ordering::SeqCst) && !control.ended && control.generation == generation {
            control = self.wake.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn unpark(&self) {
        // Under the lock, or the store could fall between the sleeper's check and its wait.
        let control = self.control();
        self.parked.store(false, Ordering::SeqCst);
        self.wake.notify_all();
        drop(control);
    }

    /// The watchdog: replaces a ticker that does not tick. It sleeps when the ticker does.
    fn watch(self: Arc<Self>) {
        let (mut seen, mut misses) = (self.heartbeat.load(Ordering::Relaxed), 0);
        loop {
            let control = self.control();
            if control.ended {
                return;
            }
            let timeout = if self.parked.load(Ordering::SeqCst) {
                Duration::from_secs(3600)
            } else {
                WATCH
            };
            let waited = self
                .wake
                .wait_timeout(control, timeout)
                .unwrap_or_else(PoisonError::into_inner);
            let woken = !waited.1.timed_out();
            drop(waited);
            let now = self.heartbeat.load(Ordering::Relaxed);
            let missed = !woken && now == seen && !self.parked.load(Ordering::SeqCst);
            misses = if missed { misses + 1 } else { 0 };
            if misses >= MISSES {
                self.replace();
                misses = 0;
            }
            seen = now;
        }
    }

    fn replace(self: &Arc<Self>) {
        let mut control = self.control();
        control.generation += 1;
        let generation = control.generation;
        drop(control);
        self.replaced.fetch_add(1, Ordering::Relaxed);
        tracing::error!(generation, "the epoch ticker did not tick and is replaced");
        if let Err(error) = self.spawn_ticker(generation) {
            tracing::error!(%error, "no thread for the epoch ticker; the next watch tries again");
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// S3, H8: a ticker that dies is replaced, health tells, and ticks go on.
    #[test]
    fn s3_h8_a_dead_ticker_is_replaced_and_health_tells() {
        let (ticks, ticked) = mpsc::channel();
        let ticks = Mutex::new(ticks);
        let died = AtomicBool::new(false);
        let ticker = EpochTicker::start(move || {
            if !died.swap(true, Ordering::SeqCst) {
                panic!("the first ticker dies");
            }
            let _ = ticks.lock().unwrap().send(());
        })
        .unwrap();
        ticker.keep_ticking();
        ticked.recv().expect("a second ticker ticks");
        // More than once where the machine is so busy that a ticker which lives is late, too.
        assert!(ticker.replaced() >= 1);
    }

    /// `(module (func (export "f") (loop (br 0))))`
    const SPINNER: [u8; 36] = [
        0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00,
        0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, 0x0a, 0x09, 0x01, 0x07, 0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b,
    ];

    /// S3, H8: a guest that spins is still stopped, though the ticker died while it spun.
    #[test]
    fn s3_h8_a_spinner_is_stopped_although_the_ticker_died() {
        let engine = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        let module = wasmtime::Module::from_binary(&engine, &SPINNER).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let spin = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let died = AtomicBool::new(false);
        let weak = engine.weak();
        let ticker = EpochTicker::start(move || {
            if !died.swap(true, Ordering::SeqCst) {
                panic!("the first ticker dies");
            }
            weak.upgrade().unwrap().increment_epoch();
        })
        .unwrap();
        ticker.keep_ticking();
        store.set_epoch_deadline(3);
        let error = spin.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref::<wasmtime::Trap>(), Some(&wasmtime::Trap::Interrupt));
        assert!(ticker.replaced() >= 1);
    }

    /// S3: it sleeps while nothing runs, and a call wakes it.
    #[test]
    fn s3_the_ticker_sleeps_while_nothing_runs_and_a_call_wakes_it() {
        let (ticks, ticked) = mpsc::channel();
        let ticks = Mutex::new(ticks);
        let ticker = EpochTicker::start(move || {
            let _ = ticks.lock().unwrap().send(());
        })
        .unwrap();
        while !ticker.shared.parked.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        while ticked.try_recv().is_ok() {}
        ticker.keep_ticking();
        ticked.recv().expect("it ticks again");
        assert_eq!(ticker.replaced(), 0);
    }
}
