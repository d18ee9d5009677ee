use super::subject::is_pattern;
use crate::{Handler, Info};

/// What the host would say against a plugin's description, so that a unit test says it first.
pub(super) fn check<P>(info: &Info, handlers: &[Handler<P>]) -> Result<(), String> {
    if !is_name(&info.name) {
        return Err(format!("plugin name `{}`: {NAME_RULE}", info.name));
    }
    for (place, handler) in handlers.iter().enumerate() {
        if !is_name(&handler.name) {
            return Err(format!("handler name `{}`: {NAME_RULE}", handler.name));
        }
        if handlers.iter().take(place).any(|earlier| earlier.name == handler.name) {
            return Err(format!("two handlers are named `{}`", handler.name));
        }
        if handler.patterns.is_empty() {
            return Err(format!(
                "handler `{}` has no pattern: give it one with `.on(..)`",
                handler.name
            ));
        }
        if let Some(wrong) = handler.patterns.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(format!("handler `{}`: `{wrong}` can't be a pattern", handler.name));
        }
    }
    Ok(())
}

const NAME_RULE: &str = "a name is letters, digits, `-` and `_`, 1 to 64 bytes";

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
