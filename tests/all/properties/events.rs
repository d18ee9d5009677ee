//! Texts that come from outside: config files, events, patterns, drafts.

use palisade_tests::properties::{cloudevents, config, drafts, patterns};

use super::inputs::hold;

/// H47, L4: no text makes the config parser panic, and what is wrong is told with its line.
#[test]
fn h47_any_config_is_read_or_refused_by_its_line() {
    hold(file!(), config::check, 400, 400);
}

/// H47: each limit of the sample is refused when it is 0 or less, with its line.
#[test]
fn h47_no_limit_of_the_sample_may_be_zero_or_less() {
    hold(file!(), config::check_odd_limit, 300, 8);
}

/// E1, E2, H21: any text is refused by a typed error or comes out JSON-equal, on one line and within the limits.
#[test]
fn e2_any_event_comes_out_as_it_went_in() {
    hold(file!(), cloudevents::check, 4000, 200);
}

/// B1: patterns match, cover and share as a matcher says that was written apart from theirs, and so does the table.
#[test]
fn b1_any_patterns_match_as_the_naive_matcher_says() {
    hold(file!(), patterns::check, 600, 200);
}

/// B10, B11, H25: whatever a draft says, of a native handler or of a guest, the stamps are the host's.
#[test]
fn b11_h25_no_draft_forges_what_the_host_stamps() {
    hold(file!(), drafts::check, 200, 200);
}
