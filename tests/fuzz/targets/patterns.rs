//! See `palisade_tests::properties::patterns`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_tests::properties::patterns::check(input));
