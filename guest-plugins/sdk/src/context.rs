use std::time::Duration;

use crate::kv::{Store, StoreError};
use crate::{Bus, Draft, PublishError, SubscribeError};

/// What a handler has besides its event: how the delivery came about, and the way back to the bus.
#[derive(Debug)]
pub struct Context<'a> {
    bus: Bus<'a>,
    delivery: Delivery,
}

/// The contract's `delivery`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) attempt: u32,
    pub(crate) time_left_ms: u32,
    pub(crate) replayed: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(bus: Bus<'a>, delivery: Delivery) -> Self {
        Self { bus, delivery }
    }

    /// 1 for the first attempt at this event.
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt
    }

    /// How long the call had, when it began, until the host ends it.
    pub fn time_left(&self) -> Duration {
        Duration::from_millis(self.delivery.time_left_ms.into())
    }

    /// Whether the event was sent again from the dead letters.
    pub fn replayed(&self) -> bool {
        self.delivery.replayed
    }

    /// Opens the plugin's key-value store, as [`Store::open`]: for a plugin that keeps none open.
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open()
    }

    /// As [`Bus::publish`]: released when the handler returns `Ok`.
    pub fn publish(&self, draft: Draft) -> Result<String, PublishError> {
        self.bus.publish(draft)
    }

    /// As [`Bus::subscribe`].
    pub fn subscribe(&self, pattern: &str, handler: &str) -> Result<(), SubscribeError> {
        self.bus.subscribe(pattern, handler)
    }

    /// As [`Bus::unsubscribe`].
    pub fn unsubscribe(&self, pattern: &str, handler: &str) -> Result<(), SubscribeError> {
        self.bus.unsubscribe(pattern, handler)
    }
}
