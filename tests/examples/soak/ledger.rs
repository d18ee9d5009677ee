//! The book of healthy events: each that is sent must arrive, and once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::findings::Findings;

/// Events on their way, by a name that is used once; there are never more than there is room for.
pub(crate) struct Ledger {
    what: &'static str,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<String, OwnedSemaphorePermit>,
    sent: u64,
    arrived: u64,
}

impl Ledger {
    /// A book with room for so many events under way.
    pub(crate) fn new(what: &'static str, room: usize) -> Self {
        Self {
            what,
            room: Arc::new(Semaphore::new(room)),
            state: Mutex::default(),
        }
    }

    /// Waits for room and writes down that an event is sent.
    pub(crate) async fn send(&self, name: String) {
        if let Ok(permit) = self.room.clone().acquire_owned().await {
            let mut state = self.lock();
            state.sent += 1;
            state.under_way.insert(name, permit);
        }
    }

    /// It has arrived.
    pub(crate) fn arrive(&self, name: &str, findings: &Findings) {
        let mut state = self.lock();
        state.arrived += 1;
        let expected = state.under_way.remove(name).is_some();
        drop(state);
        findings.check(expected, || {
            format!("{} arrived twice, or was never sent: {name}", self.what)
        });
    }

    /// It was not taken, so it will not arrive.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().under_way.remove(name);
    }

    /// How many were sent and have arrived.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.sent, state.arrived)
    }

    /// What has not arrived, some of it by name; for the end, when all is quiet.
    pub(crate) fn close(&self, findings: &Findings) {
        let state = self.lock();
        let mut lost: Vec<_> = state.under_way.keys().take(5).cloned().collect();
        lost.sort();
        findings.check(state.under_way.is_empty(), || {
            format!(
                "{}: {} never arrived, such as {lost:?}",
                self.what,
                state.under_way.len()
            )
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
