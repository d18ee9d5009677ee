//! The judge by itself: for each thing that must not be, records in which it is.

use super::*;
use crate::crash::record::Record;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn attempt(handler: &str, text: &str, number: u32) -> Record {
    Record::Attempt(handler.to_owned(), name(text), number)
}

/// All that there is of an event that was handled as it should: published, handled by both, counted.
fn handled(text: &str, count: u64) -> Vec<Record> {
    let by = name(text).recipients().iter().map(ToString::to_string).collect();
    vec![
        Record::Trying(name(text)),
        Record::Acked(name(text), by),
        attempt("keyed", text, 1),
        attempt("plain", text, 1),
        Record::Sink(format!("sink-{text}"), name(text)),
        Record::Report(format!("report-{text}"), name(text), count),
    ]
}

/// Two events of a key in two lives, one that is doomed, and a shutdown in order.
fn fine() -> Vec<Record> {
    let mut all = vec![Record::Life(1)];
    all.extend(handled("1-0-1", 1));
    all.push(Record::Life(2));
    all.extend(handled("2-0-1", 2));
    all.extend([
        Record::Trying(name("2-1-7")),
        Record::Acked(name("2-1-7"), vec!["doomed".to_owned()]),
        attempt("doomed", "2-1-7", 1),
        attempt("doomed", "2-1-7", 2),
        Record::Letter("doomed".to_owned(), "2-1-7".to_owned(), 2),
        Record::Total(2),
        Record::Owed("keyed".to_owned(), 0),
        Record::Ended(3, 0),
    ]);
    all
}

fn judged(records: &[Record]) -> Vec<String> {
    let lines: String = records.iter().map(Record::to_line).collect();
    findings(&Book::of(&lines), true)
}

/// With something added, something is found, and it begins so.
fn found_with(more: &[Record], begin: &str) {
    let mut records = fine();
    records.extend_from_slice(more);
    found(&records, begin);
}

/// Without something, something is found, and it begins so.
fn found_without(but: impl Fn(&Record) -> bool, begin: &str) {
    let records: Vec<_> = fine().into_iter().filter(|record| !but(record)).collect();
    found(&records, begin);
}

fn found(records: &[Record], begin: &str) {
    let found = judged(records);
    assert!(
        found.iter().any(|finding| finding.starts_with(begin)),
        "{begin}: {found:?}"
    );
}

#[test]
fn all_is_well_where_all_is_done() {
    assert_eq!(judged(&fine()), [""; 0]);
}

/// D8: publishes that never returned may have come to something or not; what was done twice may be.
#[test]
fn d8_what_was_not_acknowledged_may_be_there_or_not() {
    let mut records = fine();
    let late = handled("2-0-3", 3);
    records.push(Record::Life(3));
    records.push(Record::Trying(name("2-0-5")));
    records.extend(late.into_iter().filter(|record| !matches!(record, Record::Acked(..))));
    records.extend([Record::Total(3), Record::Life(4)]);
    records.extend([
        attempt("keyed", "2-0-3", 1),
        Record::Sink("sink-2-0-3".to_owned(), name("2-0-3")),
    ]);
    assert_eq!(judged(&records), [""; 0]);
}

#[test]
fn d8_what_is_lost_is_found() {
    let of = |text: &'static str| move |cause: &Name| *cause == name(text);
    found_without(
        |record| matches!(record, Record::Sink(_, cause) if of("1-0-1")(cause)),
        "LOST, acknowledged for keyed",
    );
    found_without(
        |record| matches!(record, Record::Report(_, cause, _) if of("2-0-1")(cause)),
        "LOST, acknowledged for ledger/do",
    );
    found_without(
        |record| matches!(record, Record::Attempt(handler, at, _) if handler == "plain" && of("1-0-1")(at)),
        "LOST, acknowledged for plain",
    );
    found_without(
        |record| matches!(record, Record::Letter(..)),
        "LOST, acknowledged for doomed",
    );
    found_with(&[Record::Owed("keyed".to_owned(), 1)], "still owed");
    found_with(&[Record::Ended(0, 1)], "a shutdown gave up");
    found_with(&[Record::Wrong("something".to_owned())], "the child noticed itself");
}

#[test]
fn d2_what_was_committed_twice_or_by_nobody_is_found() {
    found_with(
        &[Record::Sink("another".to_owned(), name("1-0-1"))],
        "keyed published several",
    );
    found_with(
        &[Record::Report("another".to_owned(), name("1-0-1"), 3)],
        "ledger/do published several",
    );
    found_with(&[Record::Sink("one".to_owned(), name("9-0-1"))], "handled, and nobody");
}

#[test]
fn s12_d2_what_was_counted_apart_from_its_report_is_found() {
    found_with(&[Record::Total(3)], "the plugin's store says");
    found_with(&handled("2-0-3", 2), "3 reports of the plugin tell 2");
    let mut gap = handled("2-0-3", 4);
    gap.push(Record::Total(3));
    found_with(&gap, "the plugin's store says");
    found_with(
        &[Record::Report("report-1-0-1".to_owned(), name("1-0-1"), 7)],
        "the report report-1-0-1 came with several",
    );
}

#[test]
fn b6_what_is_out_of_order_is_found() {
    let late = [Record::Trying(name("1-0-3")), attempt("keyed", "1-0-3", 1)];
    found_with(&late, "first attempts of a key");
    found_with(&[attempt("keyed", "1-0-1", 1)], "an attempt came after");
}

#[test]
fn d3_attempts_that_are_not_counted_on_are_found() {
    found_with(&[attempt("doomed", "2-1-7", 2)], "the attempts of doomed");
    found_with(
        &[Record::Life(3), attempt("doomed", "2-1-7", 1)],
        "the attempts of doomed",
    );
    found_with(&[attempt("keyed", "2-0-1", 3)], "the attempts of keyed");
}

#[test]
fn d4_letters_that_should_not_be_are_found() {
    let letter = |handler: &str, id: &str, attempts| Record::Letter(handler.to_owned(), id.to_owned(), attempts);
    for undue in [
        letter("keyed", "1-0-1", 10),
        letter("doomed", "2-1-7", 2),
        letter("doomed", "1-0-1", 2),
    ] {
        found_with(&[undue], "dead letters that should not be");
    }
}

#[test]
fn a_torn_line_is_no_record() {
    let lines: String = fine().iter().map(Record::to_line).collect();
    let torn = Record::Acked(name("2-0-31"), vec!["keyed".to_owned()]).to_line();
    for end in 1..torn.len() - 1 {
        let book = Book::of(&format!("{lines}{}\n", torn.get(..end).expect("ASCII")));
        assert_eq!((findings(&book, true), book.torn), (Vec::new(), 1), "{end}");
    }
}
