//! Acknowledgements: ends of stored deliveries that want nothing else done go to the disk together (D2), the first at once, and
//! those that come while it is on its way after it.
//!
//! Nobody waits for them. Should the process end before they are there, the events come again; so they are bounded.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::Bus;
use super::durable::AGAIN;
use super::endpoint::Endpoint;
use crate::delivery::{DeliveryId, StoreError};

/// How many events of one handler may be handled and not yet acknowledged on the disk.
const MOST: u32 = 1024;

/// Those of one handler.
pub(crate) struct Acknowledgements {
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Acknowledged>,
    /// A task brings them to the disk, and what comes meanwhile.
    has_task: bool,
}

struct Acknowledged {
    id: DeliveryId,
    size: usize,
    _room: OwnedSemaphorePermit,
}

impl Default for Acknowledgements {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST as usize)),
            state: Mutex::default(),
        }
    }
}

impl Acknowledgements {
    /// Returns when the store knows of all.
    pub(super) async fn all_there(&self) {
        // An error says that nobody hands them out any more.
        drop(self.room.acquire_many(MOST).await);
    }

    /// Whether the caller has to start the task.
    fn add(&self, acknowledged: Acknowledged) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push(acknowledged);
        !std::mem::replace(&mut state.has_task, true)
    }

    /// What waits; with nothing the task ends.
    fn take(&self) -> Vec<Acknowledged> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut state.waiting);
        state.has_task = !waiting.is_empty();
        waiting
    }
}

impl Bus {
    /// The event was handled, and is not wanted any more.
    pub(super) async fn acknowledge(self: &Arc<Self>, endpoint: &Arc<Endpoint>, id: DeliveryId, size: usize) {
        let acknowledgements = &endpoint.acknowledgements;
        let Ok(room) = acknowledgements.room.clone().acquire_owned().await else {
            return;
        };
        if acknowledgements.add(Acknowledged { id, size, _room: room }) {
            let (bus, endpoint) = (self.clone(), endpoint.clone());
            self.follow_up(async move {
                loop {
                    let together = endpoint.acknowledgements.take();
                    if together.is_empty() || !bus.forget(&endpoint, &together).await {
                        return;
                    }
                }
            });
        }
    }

    /// False if the runtime ends first, or the store is closed: the events come again.
    async fn forget(self: &Arc<Self>, endpoint: &Arc<Endpoint>, together: &[Acknowledged]) -> bool {
        let Some(store) = &self.store else { return false };
        let ids: Vec<_> = together.iter().map(|one| one.id).collect();
        let all: Arc<[_]> = together.iter().map(|one| (one.id, one.size)).collect();
        loop {
            let (endpoint_told, all) = (endpoint.clone(), all.clone());
            let then = move |forgotten: &Result<(), StoreError>| {
                if forgotten.is_ok() {
                    all.iter()
                        .for_each(|(id, size)| endpoint_told.queue.settled(*id, *size));
                }
            };
            let error = match store.acknowledge(ids.clone(), Box::new(then)).await {
                Ok(()) => return true,
                Err(StoreError::Closed) => return false,
                Err(error) => error,
            };
            if self.store_told.is_due() {
                tracing::error!(handler = %endpoint.name(), %error, "acknowledgements can't be stored; it is tried until they can");
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = self.ended.cancelled() => {
                    tracing::warn!(handler = %endpoint.name(), events = ids.len(), "handled, and will come again");
                    return false;
                }
            }
        }
    }
}
