//! Files that are no plugins, each made here.

use super::*;

/// By its name, with the words by which it is refused.
pub(super) fn all(dir: &Dir) -> Vec<(PathBuf, &'static str)> {
    let whole = fs::read(plugin("probe")).unwrap();
    vec![
        (dir.file("empty.wasm", ""), "the file is empty"),
        (dir.file("text.wasm", "hello, I am no plugin\n"), "this is a text file"),
        (dir.file("text.wat", "(component)"), "this is WebAssembly text"),
        (dir.file("cut.wasm", &whole[..whole.len() / 2]), "cut off"),
        (dir.file("core.wasm", b"\0asm\x01\0\0\0"), "this is a core module"),
        (
            dir.file("elf.wasm", b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
            "this is an ELF file",
        ),
        (dir.file("garbage.wasm", [0xff; 100]), "this is no WebAssembly file"),
        (dir.file("other.wasm", b"\0asm\x0d\0\x01\0"), "it exports no interface"),
        (dir.file("dir.wasm/x", "").parent().unwrap().to_path_buf(), "directory"),
    ]
}
