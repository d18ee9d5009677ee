//! Files that come from outside.

use palisade_tests::properties::{loader, seeds};

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
    for seed in [seeds::event_plugin(), seeds::filter_plugin()] {
        assert!(seed.len() < 4096, "a seed is small");
        loader::check_bytes(&seed);
    }
}
