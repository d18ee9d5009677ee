//! `data-dir`, `[store]`, `mode` and `backlog`: what is inherited, and what can't be together.

use std::time::Duration;

use super::{Dir, read, wrong};
use crate::{BacklogPolicy, DeliveryMode, Overflow};

const STORE: &str = "data-dir = \"d\"\n";
const HOUR: Duration = Duration::from_secs(3600);

fn one_is_wrong(config: &str, line: usize, key: &str, words: &str) {
    let found = wrong(config);
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("{line}:")) && found[0].contains(&format!(": {key}: ")),
        "{key}: {found:?}"
    );
    assert!(found[0].contains(words), "{found:?}");
}

/// D1: the directory is beside the file, and the store in it has its bounds from `[store]`; without one nothing is on the
/// disk.
#[test]
fn d1_a_data_directory_and_its_bounds_obeyed() {
    let dir = Dir::with(
        "data-dir = \"kept/here\"\n[store]\nsize = \"1GiB\"\ndead-letters = 7\ndead-letter-age = \"5h\"\ndeduplication = \"1h\"",
    );
    let config = dir.read().unwrap();
    assert_eq!(config.data_dir, Some(dir.0.path().join("kept/here")));
    let options = config.store_options();
    assert_eq!((options.max_bytes, options.dead_letters), (1 << 30, 7));
    assert_eq!((options.dead_letter_age, options.deduplication), (5 * HOUR, HOUR));
    assert_eq!(read("").data_dir, None);
}

/// D1, H47: the bounds of a store without a directory would bound nothing, and so would those of memory beside one.
#[test]
fn d1_h47_bounds_of_what_is_not_there_violated() {
    one_is_wrong("\n[store]\nsize = 1", 2, "store", "there is no store without data-dir");
    one_is_wrong("store.size = 1", 1, "store", "there is no store without data-dir");
    for (key, other) in [
        ("dead-letters", "store.dead-letters"),
        ("max-dead-letters", "store.size"),
    ] {
        one_is_wrong(
            &format!("{STORE}[events]\n{key} = 5"),
            3,
            &format!("events.{key}"),
            other,
        );
        read(&format!("[events]\n{key} = 5"));
    }
}

/// H47: values of the store that can't be are named with key and line.
#[test]
fn h47_values_of_the_store_that_can_not_be_are_named() {
    for (key, words) in [
        ("size = 0", "0 would allow nothing"),
        ("size = \"2TiB\"", "beyond 1099511627776"),
        ("dead-letters = 0", "0 would allow nothing"),
        ("dead-letters = -1", "negative"),
        ("dead-letter-age = \"0s\"", "longer than nothing"),
        ("deduplication = \"11 years\"", "longer than 10 years"),
        ("deduplication = false", "expected a time such as"),
    ] {
        let name = key.split(' ').next().unwrap();
        one_is_wrong(&format!("{STORE}[store]\n{key}"), 3, &format!("store.{name}"), words);
    }
    one_is_wrong("data-dir = \"\"", 1, "data-dir", "at least one character");
    one_is_wrong("data-dir = false", 1, "data-dir", "expected a string");
}

/// D1: the mode and the backlog are inherited from the defaults to the plugin to the handler, key by key.
#[test]
fn d1_modes_and_backlogs_are_inherited() {
    let config = read(&format!(
        r#"{STORE}
        [defaults.delivery]
        mode = "durable"
        backlog = {{ events = 9 }}
        [[plugin]]
        path = "a"
        delivery.backlog = {{ bytes = "2KiB" }}
        handler.brief.mode = "ephemeral"
        handler.brief.queue.overflow = "drop-oldest"
        handler.large.backlog.bytes = "1MiB"
        [[plugin]]
        path = "b"
        delivery.mode = "ephemeral"
        handler.kept = {{ mode = "durable", backlog = {{ events = 3 }} }}
        "#
    ));
    let [a, b] = config.plugins.as_slice() else { panic!() };
    let backlog = |events, bytes| BacklogPolicy { events, bytes };
    assert_eq!((a.mode, a.backlog), (DeliveryMode::Durable, backlog(9, 2048)));
    assert_eq!(a.handlers["brief"].mode, Some(DeliveryMode::Ephemeral));
    assert_eq!(a.handlers["brief"].queue.unwrap().overflow, Overflow::DropOldest);
    let large = &a.handlers["large"];
    assert_eq!((large.mode, large.backlog), (None, Some(backlog(9, 1 << 20))));
    assert_eq!((b.mode, b.backlog.events), (DeliveryMode::Ephemeral, 9));
    let kept = &b.handlers["kept"];
    assert_eq!(
        (kept.mode, kept.backlog),
        (Some(DeliveryMode::Durable), Some(backlog(3, 1 << 30)))
    );
    assert_eq!(
        read("[[plugin]]\npath = \"p\"").plugins[0].mode,
        DeliveryMode::Ephemeral
    );
}

/// D1, H47: durable takes a directory; it is said where it is asked for, once.
#[test]
fn d1_h47_durable_without_a_data_directory_violated() {
    let words = "set data-dir";
    one_is_wrong(
        "[defaults.delivery]\nmode = \"durable\"\n[[plugin]]\npath = \"p\"",
        2,
        "defaults.delivery.mode",
        words,
    );
    for (key, owner) in [("delivery", "plugin.delivery"), ("handler.h", "plugin.handler.h")] {
        let config = format!("[[plugin]]\npath = \"p\"\n{key}.mode = \"durable\"");
        one_is_wrong(&config, 3, &format!("{owner}.mode"), words);
        read(&format!("{STORE}{config}"));
    }
}

/// D1, H47: durable and a queue that drops can't be together, be the one or the other inherited.
#[test]
fn d1_h47_durable_with_a_queue_that_drops_violated() {
    let plugin = "[[plugin]]\npath = \"p\"\n";
    let words = "may not drop";
    for overflow in ["drop-oldest", "drop-newest"] {
        let queue = format!("queue.overflow = \"{overflow}\"");
        for (config, line, key) in [
            (
                format!("[defaults.delivery]\nmode = \"durable\"\n{queue}\n{plugin}"),
                4,
                "defaults.delivery.queue.overflow",
            ),
            (
                format!("[defaults.delivery]\nmode = \"durable\"\n{plugin}delivery.{queue}"),
                6,
                "plugin.delivery.queue.overflow",
            ),
            (
                format!("[defaults.delivery]\n{queue}\n{plugin}delivery.mode = \"durable\""),
                6,
                "plugin.delivery.mode",
            ),
            (
                format!("{plugin}delivery.{queue}\nhandler.h.mode = \"durable\""),
                5,
                "plugin.handler.h.mode",
            ),
            (
                format!("{plugin}delivery.mode = \"durable\"\nhandler.h.{queue}"),
                5,
                "plugin.handler.h.queue.overflow",
            ),
        ] {
            one_is_wrong(&format!("{STORE}{config}"), line, key, words);
        }
    }
    read(&format!(
        "{STORE}{plugin}delivery = {{ mode = \"durable\", queue.overflow = \"reject\" }}"
    ));
}

/// D1, H47: a backlog that bounds nobody is a mistake; one that is inherited waits for those that are durable.
#[test]
fn d1_h47_a_backlog_of_nobody_violated() {
    let plugin = format!("{STORE}[[plugin]]\npath = \"p\"\n");
    let words = "it is for mode = \"durable\"";
    one_is_wrong(
        &format!("{plugin}delivery.backlog.events = 5"),
        4,
        "plugin.delivery.backlog",
        words,
    );
    one_is_wrong(
        &format!("{plugin}handler.h.backlog.events = 5"),
        4,
        "plugin.handler.h.backlog",
        words,
    );
    one_is_wrong(
        &format!("{plugin}delivery.mode = \"durable\"\nhandler.h = {{ mode = \"ephemeral\", backlog.events = 5 }}"),
        5,
        "plugin.handler.h.backlog",
        words,
    );
    read(&format!(
        "{plugin}delivery.backlog.events = 5\nhandler.h.mode = \"durable\""
    ));
    read(&format!(
        "[defaults.delivery]\nbacklog.events = 5\n{}",
        &plugin[STORE.len()..]
    ));
    let zero = wrong(&format!(
        "{plugin}delivery = {{ mode = \"durable\", backlog = {{ bytes = 0 }} }}"
    ))
    .remove(0);
    assert!(
        zero.starts_with("4:") && zero.contains("0 would allow nothing"),
        "{zero}"
    );
}
