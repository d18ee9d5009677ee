//! See `palisade_tests::properties::cancellation`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_tests::properties::cancellation::check(input));
