//! See `palisade_tests::properties::loader`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_tests::properties::loader::check_bytes(input));
