//! What a file is, by its first bytes: each wrong kind gets its own words (H34, H37).

use std::io::Read;
use std::path::Path;

use wasmparser::{Encoding, Parser, Payload};

use crate::plain_file;
use crate::sandbox::error::ComponentError;

/// Reads a component, at most `limit` bytes of it; the bytes are read once, and these are hashed and compiled (H36).
pub(crate) fn read(path: &Path, limit: u64) -> std::io::Result<Result<Vec<u8>, ComponentError>> {
    let file = plain_file::open(path)?;
    // A file may grow or be no file of a length, and need not be what it says.
    let length = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_or(0, |length| length.saturating_add(1)));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Ok(Err(ComponentError::FileTooLarge { limit }));
    }
    Ok(Ok(bytes))
}

/// Refuses what is no binary WebAssembly, by its first bytes: cheap, whatever they are.
pub(super) fn check_head(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.is_empty() {
        return Err(ComponentError::Empty);
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(ComponentError::Foreign(
            "this is a precompiled artifact (.cwasm), which runs unchecked and is never accepted: give the .wasm it was \
             made from",
        ));
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(ComponentError::Foreign(
            "this is an ELF file, a native program: build the plugin for wasm32-wasip2",
        ));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(not_wasm(bytes));
    }
    Ok(())
}

fn not_wasm(bytes: &[u8]) -> ComponentError {
    if b"\0asm".starts_with(bytes) {
        return ComponentError::Truncated {
            bytes: bytes.len(),
            detail: "the file header".to_owned(),
        };
    }
    let head = bytes.get(..1024).unwrap_or(bytes);
    // A cut through the last character is no reason to call it binary.
    let is_text = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    if !is_text || head.contains(&0) {
        return ComponentError::Foreign("this is no WebAssembly file: give the .wasm that the build made");
    }
    if head.trim_ascii_start().starts_with(b"(") {
        return ComponentError::Text("this is WebAssembly text: turn it into a component with `wasm-tools parse`");
    }
    ComponentError::Text("this is a text file, not a component: give the .wasm that the build made")
}

/// Refuses what is no whole component. Walks the sections, not what is in them: that is the compiler's work, and where that
/// is done this is done too, since it takes as long as the file has sections.
pub(super) fn check_structure(bytes: &[u8]) -> Result<(), ComponentError> {
    let mut is_component = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            // The first version tells what the file is; those of the modules in it follow in the same walk.
            Ok(Payload::Version {
                encoding: Encoding::Module,
                ..
            }) if !is_component => {
                return Err(ComponentError::CoreModule);
            }
            Ok(_) => is_component = true,
            Err(error) if is_cut(&error) => {
                return Err(ComponentError::Truncated {
                    bytes: bytes.len(),
                    detail: error.message().to_owned(),
                });
            }
            Err(error) => return Err(ComponentError::Invalid(error.to_string())),
        }
    }
    Ok(())
}

fn is_cut(error: &wasmparser::BinaryReaderError) -> bool {
    let message = error.message();
    message.contains("unexpected end") || message.contains("unexpected eof") || message.contains("out of bounds")
}
