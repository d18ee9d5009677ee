//! What must hold whatever was killed when.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::book::{Attempt, Book};
use super::handlers::DOOMED_ATTEMPTS;
use super::name::Name;

#[cfg(test)]
mod tests;

/// How many examples are named.
const EXAMPLES: usize = 5;

/// All that does not hold. What was owed must have been done only where the last life was complete.
pub(super) fn findings(book: &Book, complete: bool) -> Vec<String> {
    let mut all: Vec<_> = [
        twice("keyed", &book.handled),
        twice("ledger/do", &book.reported),
        unheard_of(book),
        order_of_first_attempts(book, "keyed"),
        order_of_first_attempts(book, "plain"),
        order_within_a_life(book, "keyed"),
        order_within_a_life(book, "plain"),
        numbers_of_attempts(book, "keyed"),
        numbers_of_attempts(book, "plain"),
        numbers_of_attempts(book, "doomed"),
        letters(book),
        counts(book),
        given_up(book),
        torn(book),
        listed("the child noticed itself", &book.wrong),
    ]
    .into_iter()
    .flatten()
    .collect();
    if complete {
        let by_plain = book.ends("plain");
        let ended = [
            lost("keyed", book, |name| book.handled.contains_key(&name)),
            lost("plain", book, |name| by_plain.contains_key(&name)),
            lost("ledger/do", book, |name| book.reported.contains_key(&name)),
            lost("doomed", book, |name| {
                book.letters.contains_key(&("doomed".to_owned(), name.to_string()))
            }),
            owed(book),
            total(book),
        ];
        all.extend(ended.into_iter().flatten());
    }
    all
}

/// Nothing unless there are some.
fn listed<T: Display>(what: &str, all: impl IntoIterator<Item = T>) -> Option<String> {
    let all: Vec<_> = all.into_iter().map(|one| one.to_string()).collect();
    let some: Vec<_> = all.iter().take(EXAMPLES).map(String::as_str).collect();
    (!all.is_empty()).then(|| format!("{what} ({}): {}", all.len(), some.join("; ")))
}

/// D1, D8: what was acknowledged is done.
fn lost(handler: &str, book: &Book, is_done: impl Fn(Name) -> bool) -> Option<String> {
    listed(
        &format!("LOST, acknowledged for {handler}"),
        book.owed_to(handler).filter(|name| !is_done(*name)),
    )
}

/// D2: an event is committed once, and what its handler published with it: once, by one id. What an attempt published that was
/// not committed is nowhere.
fn twice(handler: &str, published: &BTreeMap<Name, BTreeSet<String>>) -> Option<String> {
    let several = published.iter().filter(|(_, ids)| ids.len() > 1);
    let shown = several.map(|(name, ids)| format!("{name} as {ids:?}"));
    listed(
        &format!("{handler} published several events for one that it handled"),
        shown,
    )
}

/// Nothing is handled that nobody has published.
fn unheard_of(book: &Book) -> Option<String> {
    let caused = book.handled.keys().chain(book.reported.keys());
    let attempted = book.attempts.values().flatten().map(|attempt| &attempt.name);
    let unknown: BTreeSet<_> = caused
        .chain(attempted)
        .filter(|name| !book.tried.contains(name))
        .collect();
    listed("handled, and nobody has published it", unknown)
}

/// B6: the first attempts at the events of a key come in the order in which they were published, across all lives.
fn order_of_first_attempts(book: &Book, handler: &str) -> Option<String> {
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::<u32, Name>::new());
    let mut late = Vec::new();
    for Attempt { name, life, .. } in book.attempts_of(handler) {
        if !seen.insert(name) {
            continue;
        }
        match last.get(&name.key()) {
            Some(last) if last > name => late.push(format!("{name} after {last} in life {life}")),
            _ => drop(last.insert(name.key(), *name)),
        }
    }
    listed(&format!("first attempts of a key out of order, at {handler}"), late)
}

/// B6: in one life no attempt at an event comes after one at its successor: retries hold their key.
fn order_within_a_life(book: &Book, handler: &str) -> Option<String> {
    let mut last = BTreeMap::<(u32, u32), Name>::new();
    let mut late = Vec::new();
    for Attempt { name, life, .. } in book.attempts_of(handler) {
        match last.get(&(*life, name.key())) {
            Some(last) if last > name => late.push(format!("{name} after {last} in life {life}")),
            _ => drop(last.insert((*life, name.key()), *name)),
        }
    }
    listed(
        &format!("an attempt came after one at its successor, at {handler}"),
        late,
    )
}

/// D3: attempts are counted across lives; a kill takes back at most the one that was under way.
fn numbers_of_attempts(book: &Book, handler: &str) -> Option<String> {
    let mut last = BTreeMap::<Name, Attempt>::new();
    let mut wrong = Vec::new();
    for attempt in book.attempts_of(handler) {
        let before = last.insert(attempt.name, *attempt);
        let (number, life) = (attempt.attempt, attempt.life);
        let fits = match before {
            None => number == 1,
            Some(before) => number == before.attempt + 1 || (number == before.attempt && life > before.life),
        };
        if !fits {
            let before = before.map_or_else(
                || "none".to_owned(),
                |before| format!("{} in life {}", before.attempt, before.life),
            );
            wrong.push(format!("{}: {number} in life {life} after {before}", attempt.name));
        }
    }
    listed(&format!("the attempts of {handler} are not counted on"), wrong)
}

/// D4: who is doomed is a dead letter once, after the attempts that the policy allows, and nobody else is one.
fn letters(book: &Book) -> Option<String> {
    let due = |handler: &str, id: &str| handler == "doomed" && id.parse::<Name>().is_ok_and(Name::is_doomed);
    let undue = book
        .letters
        .iter()
        .filter(|((handler, id), attempts)| !due(handler, id) || attempts.as_slice() != [DOOMED_ATTEMPTS]);
    let shown = undue.map(|((handler, id), attempts)| format!("{handler} {id} after {attempts:?} attempts"));
    listed("dead letters that should not be, or not so", shown)
}

/// S12, D2: what a call of the plugin wrote is committed with what it published: each number was counted to once.
fn counts(book: &Book) -> Option<String> {
    let several = book.counts.iter().filter(|(_, counts)| counts.len() > 1);
    if let Some((id, counts)) = several.into_iter().next() {
        return Some(format!("the report {id} came with several contents: {counts:?}"));
    }
    let (reports, numbers) = (book.counts.len(), numbers(book).len());
    (numbers != reports).then(|| format!("{reports} reports of the plugin tell {numbers} different numbers"))
}

/// How far the plugin has counted, by its reports.
fn numbers(book: &Book) -> BTreeSet<u64> {
    book.counts.values().flatten().copied().collect()
}

/// The same in the end: the plugin has counted each event of its own, and nothing else.
fn total(book: &Book) -> Option<String> {
    let (events, last) = (book.counts.len() as u64, numbers(book).last().copied().unwrap_or(0));
    (book.total != Some(events) || last != events).then(|| {
        let total = book.total;
        format!("the plugin's store says {total:?}; {events} reports of it are there, the last of number {last}")
    })
}

/// D7: a shutdown keeps what it can't finish, and gives up nothing that is durable.
fn given_up(book: &Book) -> Option<String> {
    let given_up = book.ended.iter().filter(|(_, abandoned)| *abandoned > 0);
    listed(
        "a shutdown gave up deliveries",
        given_up.map(|(_, abandoned)| abandoned),
    )
}

fn owed(book: &Book) -> Option<String> {
    let owed = book.owed.iter().filter(|(_, events)| **events > 0);
    listed(
        "still owed in the end",
        owed.map(|(handler, events)| format!("{handler}: {events}")),
    )
}

/// A kill tears the line that is being written, and no other.
fn torn(book: &Book) -> Option<String> {
    (book.torn > book.lives as usize).then(|| format!("{} lines torn in {} lives", book.torn, book.lives))
}
