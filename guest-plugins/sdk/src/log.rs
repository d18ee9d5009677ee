//! Logging to the host: `log::info!("{} logins", n)`. Also `trace!`, `debug!`, `warn!` and `error!`.
//!
//! Lines carry the plugin's name and the module they come from. The host limits a plugin's log by rate and by bytes:
//! what is over that is dropped and counted, and the plugin goes on.

use std::fmt;

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What has gone wrong.
    Error,
}

/// What the macros call. `context` is the module the line comes from.
pub fn log(level: Level, context: &str, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => host::log(level, context, text),
        None => host::log(level, context, &message.to_string()),
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($message:tt)+) => {
        $crate::log::log($crate::log::Level::$level, ::core::module_path!(), ::core::format_args!($($message)+))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __trace { ($($message:tt)+) => { $crate::__log!(Trace, $($message)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __debug { ($($message:tt)+) => { $crate::__log!(Debug, $($message)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __info { ($($message:tt)+) => { $crate::__log!(Info, $($message)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __warn { ($($message:tt)+) => { $crate::__log!(Warn, $($message)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __error { ($($message:tt)+) => { $crate::__log!(Error, $($message)+) }; }

pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};
