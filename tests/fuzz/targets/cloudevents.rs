//! See `palisade_tests::properties::cloudevents`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| palisade_tests::properties::cloudevents::check(input));
