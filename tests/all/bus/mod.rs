//! The bus: subscriptions, publishing, filters, queues, what handlers publish.

mod ahead;
mod breaker;
mod crowd;
mod dead_letters;
mod drain;
mod drops;
mod durable;
mod endings;
mod filters;
mod go_faults;
mod hostile_events;
mod loops;
mod order;
mod outbox;
mod plugin_filters;
mod publish;
mod publish_async;
mod publish_deadline;
mod queues;
mod reentry;
mod stamps;
mod subscribe;
mod turns;
mod weak;
mod webhooks;
mod words;
