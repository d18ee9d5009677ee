//! The names that a module gives to its functions: each trap copies those of its frames, so they have a limit (S1).

use wasmparser::{KnownCustom, Name, NameSectionReader};

use crate::sandbox::error::ComponentError;

/// The longest name of a function, in bytes. Twenty of these are copied for a trap.
const MAX_NAME: usize = 64 * 1024;

/// The length of the longest name in a section of names, if it is too long. What is no such section, or is broken, nobody
/// reads.
pub(super) fn too_long_name(section: KnownCustom<'_>) -> Option<usize> {
    match section {
        KnownCustom::Name(names) => longest(names),
        _ => None,
    }
}

/// Refuses a name that is too long.
pub(super) fn check_name(too_long: Option<usize>) -> Result<(), ComponentError> {
    too_long.map_or(Ok(()), |bytes| Err(ComponentError::LongName { bytes, limit: MAX_NAME }))
}

fn longest(names: NameSectionReader<'_>) -> Option<usize> {
    let functions = names.into_iter().flatten().filter_map(|name| match name {
        Name::Function(names) => Some(names),
        _ => None,
    });
    let lengths = functions.flat_map(|names| names.into_iter().flatten().map(|naming| naming.name.len()));
    lengths.max().filter(|bytes| *bytes > MAX_NAME)
}
