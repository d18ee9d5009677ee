//! Plugins: their life, their config, what they declare, the two examples.

mod churn;
mod config;
mod dependencies;
mod examples;
mod health;
mod launch;
mod lifecycle;
mod names;
mod permits;
mod quarantine;
mod quarantine_deadlines;
mod quarantine_races;
mod readme;
mod stopping;
mod story;
pub(crate) mod watch;
