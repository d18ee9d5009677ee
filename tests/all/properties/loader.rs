//! Files that come from outside.

use std::fs;
use std::path::Path;

use palisade_tests::properties::loader;

use super::inputs::hold;

/// S10, H34: no bytes make the loader panic, hang or leak; it says what is wrong and goes on.
#[test]
fn s10_h34_any_bytes_are_loaded_or_refused() {
    hold(file!(), loader::check_bytes, 200, 200);
}

/// S10, H13, H35: components, modules and plugins with arbitrary functions are loaded, or refused by a typed error.
#[test]
fn s10_h35_any_module_or_component_is_loaded_or_refused() {
    hold(file!(), loader::check_smith, 60, 2000);
}

/// S10, H36: a plugin with changed bytes is loaded, or refused by a typed error.
#[test]
fn s10_h36_a_plugin_with_any_changes_is_loaded_or_refused() {
    hold(file!(), loader::check_mutated, 120, 60);
}

/// S10: the plugins that the properties begin with load as they are, the real ones and the tiny ones.
#[test]
fn s10_a_plugin_without_changes_loads() {
    for pick in [0, 1, 250, 251, 252, 253] {
        loader::check_mutated(&[pick]);
    }
}

/// S10: the files that fuzzing begins with are plugins, as small as they can be.
#[test]
fn s10_the_seeds_of_fuzzing_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/loader_bytes");
    let files: Vec<_> = folder
        .read_dir()
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let bytes = fs::read(&file).expect("readable");
        assert!(bytes.len() < 4096 && loader::loads(&bytes), "{}", file.display());
    }
}
