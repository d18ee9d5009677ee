//! The JSON form of CloudEvents 1.0, in and out.
//!
//! What comes in goes out JSON-equal: every member keeps its value and its kind, the data are never parsed into a tree
//! (so that numbers keep their digits and objects their duplicate keys), and the time keeps its text. Three things may
//! differ: the order of the members, the members that were `null` and so count as unset (the format says so), and white
//! space, since an event is always written as one line.

mod members;
mod read;
mod text;
mod write;

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;

pub(super) use read::read;
pub(super) use write::write;
