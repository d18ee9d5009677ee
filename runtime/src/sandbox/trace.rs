//! Where in the guest it happened, for the operator (S4, S11).
//!
//! A backtrace carries names of the guest's making: as long as it likes, and mangled to become as long as it likes. So it is
//! never displayed as wasmtime would; neither is an error that may carry one, but its root alone. Here each name is cut
//! before anything is made of it.

use std::fmt::{self, Write};

use wasmtime::{Error, FrameInfo, WasmBacktrace};

use crate::sandbox::log::printable;

/// How many frames are shown.
const MAX_FRAMES: usize = 20;
/// How much of a name is shown.
const MAX_NAME: usize = 256;
/// How much of a module's name is shown.
const MAX_MODULE: usize = 64;
/// The longest name that is demangled. Within these bytes the work for each byte that comes out is bounded.
const MAX_MANGLED: usize = 512;

/// The frames, one a line, innermost first, Rust's names demangled.
pub(super) fn backtrace(error: &Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    let frames = trace.frames().iter().take(MAX_FRAMES).enumerate();
    let frames: Vec<_> = frames.map(|(nth, frame)| line(nth, frame)).collect();
    (!frames.is_empty()).then(|| frames.join("\n"))
}

/// `3:   0x1f2e - plugin.wasm!my_plugin::handle`
fn line(nth: usize, frame: &FrameInfo) -> String {
    let offset = frame.module_offset().unwrap_or_default();
    let module = printable(frame.module().name().unwrap_or("<unknown>"), MAX_MODULE);
    let name = match frame.func_name() {
        Some(name) => readable(name),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    format!("{nth}: {offset:#8x} - {module}!{name}")
}

/// A name, safe to show and cut.
fn readable(name: &str) -> String {
    match demangled(name) {
        Some(name) => printable(&name, MAX_NAME),
        None => printable(name, MAX_NAME),
    }
}

/// A name as it is written in Rust; none where it is no such name, or too long to tell.
fn demangled(name: &str) -> Option<String> {
    if name.len() > MAX_MANGLED {
        return None;
    }
    let name = rustc_demangle::try_demangle(name).ok()?;
    let mut room = Room(String::new());
    // Without the hash, which says nothing to its reader. What does not fit ends the work.
    if write!(room, "{name:#}").is_err() {
        room.0.push_str("...");
    }
    Some(room.0)
}

/// Takes as much as is shown, and refuses the rest.
struct Room(String);

impl Write for Room {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.0.len() + more.len() > MAX_NAME - 3 {
            return Err(fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S11: authors of guests see their functions' names as they wrote them.
    #[test]
    fn s11_names_of_rust_are_shown_as_they_are_written() {
        let table = [
            ("_ZN9my_plugin6handle17h0123456789abcdefE", "my_plugin::handle"),
            ("_RNvCs1234_9my_plugin6handle", "my_plugin::handle"),
            ("plain", "plain"),
            ("_Z1f1pIiE", "_Z1f1pIiE"),
            ("a\u{1b}[2J\nb", "a\\u{1b}[2J\\nb"),
        ];
        for (name, shown) in table {
            assert_eq!(readable(name), shown);
        }
    }

    /// S1, S4: no name becomes longer than what is shown, however it is made: neither as it is, nor demangled.
    #[test]
    fn s1_s4_no_name_is_longer_than_is_shown() {
        // Each argument refers to the one before, twice: 2^40 of them.
        let doubling = (0..40).fold("_RIC1aTuuE".to_owned(), |name, nth| {
            let earlier = if nth == 0 {
                "4_".to_owned()
            } else {
                format!("{}_", nth + 8)
            };
            format!("{name}TB{earlier}B{earlier}E")
        }) + "E";
        for name in [
            "n".repeat(1 << 20),
            "\u{e9}".repeat(400),
            "\u{1b}".repeat(400),
            doubling,
        ] {
            let shown = readable(&name);
            assert!(shown.len() <= MAX_NAME + 32, "{} bytes of {}", shown.len(), name.len());
        }
        let long = format!("_ZN{}17h0123456789abcdefE", "9my_plugin".repeat(40));
        assert!(readable(&long).ends_with("..."), "{}", readable(&long));
    }
}
