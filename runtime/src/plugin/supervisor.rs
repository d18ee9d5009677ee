//! S7: what becomes of a plugin whose faults are too many.
//!
//! Whoever meets the fault that is one too many closes the plugin at once: from then on deliveries are refused, and its state
//! shows as quarantined. The rest is done by a task, or by whoever changes the plugin's life before that task has its turn:
//! the state is settled, told, and the instances are thrown away when the calls that still run have ended.

use std::sync::{Arc, Weak};

use serde_json::{Map, Value, json};
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::bus::OnFault;
use crate::event::{Event, types};
use crate::handler::Fault;
use crate::plugin::PluginState;
use crate::plugin::one::Plugin;
use crate::quarantine::Quarantined;
use crate::sandbox::PluginKind;
use crate::sandbox::pool::{Pool, Supervisor};

/// Hears of a plugin's faults.
pub(super) struct Overseer(pub(super) Weak<Plugin>);

impl Supervisor for Overseer {
    fn quarantine(&self, pool: &Pool, why: &Arc<Quarantined>) {
        let Some(plugin) = self.0.upgrade() else { return };
        // Instances that were replaced or stopped meanwhile say nothing about those after them.
        if plugin.serving.quarantine(pool, why) {
            let bus = plugin.bus.clone();
            bus.follow_up(async move { drop(plugin.change(None).await) });
        }
    }

    fn published(&self, outbox: Vec<Event>) {
        let Some(plugin) = self.0.upgrade().filter(|_| !outbox.is_empty()) else {
            return;
        };
        let bus = plugin.bus.clone();
        let released = bus.clone();
        bus.follow_up(async move { released.release_from_plugin(outbox).await });
    }
}

impl Plugin {
    /// The right to change the plugin's life. A quarantine that waited for it comes first, so that nobody finds a plugin
    /// started that serves no more; its running calls are waited for, until `last` where that is given.
    pub(crate) async fn change(&self, last: Option<Instant>) -> MutexGuard<'_, ()> {
        let changing = self.changing.lock().await;
        self.settle(last).await;
        changing
    }

    async fn settle(&self, last: Option<Instant>) {
        let Some(why) = self.serving.quarantined() else { return };
        self.set_state(PluginState::Quarantined, Some(why.words.to_string()));
        let Some(pool) = self.serving.take_quarantined() else {
            return;
        };
        tracing::error!(plugin = %self.name(), "{}{}", why.words, self.consequence());
        let mut data = self.data(Some(&why.fault));
        data.insert("faults".to_owned(), why.faults.into());
        data.insert("window".to_owned(), format!("{:?}", why.window).into());
        self.bus
            .publish_host(types::PLUGIN_ERROR, &data, Some(self.name()))
            .await;
        // In such a pool nothing is called any more, so that nothing is published and nothing fails.
        tokio::select! {
            _ = pool.close(last) => {}
            // The end of the runtime is not held up by who had the last say in it.
            () = self.bus.ended() => {}
        }
        // Only now: a call that was running may have subscribed until its end.
        self.forget_dynamic();
    }

    /// Tells of a change, after it.
    pub(crate) async fn tell(&self, event_type: &str, fault: Option<&Fault>) {
        match fault {
            Some(fault) => tracing::error!(plugin = %self.name(), %fault, "{event_type}"),
            None => tracing::info!(plugin = %self.name(), "{event_type}"),
        }
        let data = self.data(fault);
        self.bus.publish_host(event_type, &data, Some(self.name())).await;
    }

    fn data(&self, fault: Option<&Fault>) -> Map<String, Value> {
        let state = self.settled_state();
        let known = json!({ "plugin": &**self.name(), "version": self.version(), "state": state.as_str() });
        let class_and_error = fault.map(|fault| {
            [
                ("class".to_owned(), fault.class().as_str().into()),
                ("error".to_owned(), fault.message().into()),
            ]
        });
        let known = known.as_object().cloned().unwrap_or_default();
        known.into_iter().chain(class_and_error.into_iter().flatten()).collect()
    }

    /// What a quarantine of this plugin means to events.
    fn consequence(&self) -> &'static str {
        match (self.kind(), self.on_fault()) {
            (PluginKind::Event, _) => "",
            (PluginKind::Filter, OnFault::Reject) => "; until then no event goes on (filter.on-fault = reject)",
            (PluginKind::Filter, OnFault::Pass) => "; until then events go on without it (filter.on-fault = pass)",
        }
    }
}
