//! What has to hold for every input, each property a plain function that panics where it does not.
//!
//! Two callers share them: `tests/all/properties` tries a fixed set of generated inputs in every test run, and the
//! cargo-fuzz targets in `tests/fuzz` look for others with coverage as their guide (`cargo xtask fuzz`). An input is a
//! slice of bytes, so that either caller can make it up and make it smaller; what it means is each property's own affair.

pub mod cancellation;
pub mod cloudevents;
pub mod config;
pub mod drafts;
pub mod loader;
mod mutation;
pub mod patterns;
mod tiny;

/// The longest message that an error of the library may have, in bytes. Each one shows parts of the input, and each part
/// is cut.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// What an error says has to say something, in reasonable length, and nothing that a terminal would act on.
fn assert_presentable(message: &str) {
    assert!(!message.trim().is_empty(), "an empty message");
    assert!(
        message.len() <= LONGEST_MESSAGE,
        "{} bytes: {message:.200}",
        message.len()
    );
    let acts = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!message.contains(acts), "a control character: {message:?}");
}
