//! The sample config shows every key, with its default.

use super::*;
use crate::{BreakerPolicy, EventOrder, QuarantinePolicy};

const SAMPLE: &str = include_str!("../../../examples/palisade.toml");

/// The sample with its absent keys made present.
fn whole() -> String {
    let key = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c == '[' || c.is_alphabetic()))
    };
    SAMPLE
        .lines()
        .map(|line| if key(line) { &line[1..] } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The same without what only holds where there is no data-dir.
fn with_store() -> String {
    let memory = "\ndead-letters = 1000\nmax-dead-letters = \"64MiB\"\n";
    assert!(whole().contains(memory));
    whole().replace(memory, "\n")
}

/// Its secrets and directories.
fn with_files(config: &str) -> Dir {
    let dir = Dir::with(config);
    dir.file("secrets/no-secrets.toml", "more = 1");
    dir.file("secrets/auth-enhancer.toml", "more = 1");
    dir.file("secrets/token", "t");
    dir.file("rules/x", "");
    dir
}

#[test]
fn the_sample_says_what_is_so_anyway() {
    let (sample, plain) = (read(SAMPLE), read("[[filter]]\npath = \"f\"\n[[plugin]]\npath = \"p\""));
    assert_eq!((sample.drain, &sample.ceilings), (plain.drain, &plain.ceilings));
    for (sample, plain) in sample.specs().iter().zip(plain.specs()) {
        assert_eq!((&sample.limits, &sample.grants), (&plain.limits, &plain.grants));
        assert_eq!(
            (sample.queue, sample.retry, sample.filter),
            (plain.queue, plain.retry, plain.filter)
        );
        assert_eq!((sample.mode, sample.backlog), (plain.mode, plain.backlog));
        assert_eq!(
            (sample.isolation, sample.concurrency, sample.quarantine),
            (plain.isolation, plain.concurrency, Some(QuarantinePolicy::default()))
        );
        assert_eq!(sample.quarantine, plain.quarantine);
        assert_eq!(
            (&sample.ordering, sample.breaker),
            (&EventOrder::None, Some(BreakerPolicy::default()))
        );
        assert_eq!((&plain.ordering, plain.breaker), (&sample.ordering, sample.breaker));
    }
    assert_eq!(sample.engine.options(), plain.engine.options());
    assert_eq!(sample.events.limits(), plain.events.limits());
    assert_eq!(sample.cache.directory, plain.cache.directory);
    // As the docs of `RuntimeBuilder`, `CompilerChild` and `MemoryDeadLetters` say.
    let rest = format!("{:?} {:?} {:?}", sample.engine, sample.events, sample.cache.size);
    for default in [
        "max_component: Some(Size(67108864))",
        "compile_time: Some(Time(30s))",
        "compile_memory: Some(Size(1073741824))",
        "max_hops: Some(Count(16))",
        "publish_timeout: Some(Time(30s))",
        "Count(1000)",
        "max_dead_letters: Some(Spanned",
        "Some(Size(1073741824))",
    ] {
        assert!(rest.contains(default), "{default}: {rest}");
    }
}

/// H47
#[test]
fn the_sample_is_sound_with_every_key_in_it() {
    let config = with_files(&with_store())
        .read()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.plugins[0].handlers.len(), 1);
    assert!(config.data_dir.is_some_and(|directory| directory.ends_with("data")));
    assert_eq!(
        (config.plugins[0].grants.fs.len(), config.filters[0].grants.fs.len()),
        (1, 1)
    );
}

/// D2: the store's defaults are shown, though it is absent by default.
#[test]
fn d2_the_sample_shows_the_defaults_of_the_store() {
    let config = with_files(&with_store())
        .read()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read(SAMPLE).data_dir, None);
    let (shown, default) = (config.store_options(), StoreOptions::default());
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
}

/// The tables, each with an unknown key: the error lists those that are known.
#[test]
fn the_sample_shows_every_key() {
    let plugin = "[[plugin]]\npath = \"p\"\n";
    for (table, config) in [
        ("", "none = 1".to_owned()),
        ("engine", "[engine]\nnone = 1".to_owned()),
        ("store", "[store]\nnone = 1".to_owned()),
        ("events", "[events]\nnone = 1".to_owned()),
        ("defaults", "[defaults]\nnone = 1".to_owned()),
        ("defaults.quarantine", "[defaults.quarantine]\nnone = 1".to_owned()),
        ("defaults.limits", "[defaults.limits]\nnone = 1".to_owned()),
        ("defaults.delivery", "[defaults.delivery]\nnone = 1".to_owned()),
        (
            "defaults.delivery.queue",
            "[defaults.delivery.queue]\nnone = 1".to_owned(),
        ),
        (
            "defaults.delivery.backlog",
            "[defaults.delivery.backlog]\nnone = 1".to_owned(),
        ),
        (
            "defaults.delivery.retry",
            "[defaults.delivery.retry]\nnone = 1".to_owned(),
        ),
        (
            "defaults.delivery.breaker",
            "[defaults.delivery.breaker]\nnone = 1".to_owned(),
        ),
        ("ceilings", "[ceilings]\nnone = 1".to_owned()),
        ("filter", "[[filter]]\nnone = 1".to_owned()),
        ("filter.grants", "[[filter]]\npath = \"f\"\ngrants.none = 1".to_owned()),
        ("plugin", "[[plugin]]\nnone = 1".to_owned()),
        ("plugin.grants", format!("{plugin}grants.none = 1")),
        ("plugin.grants.fs", format!("{plugin}grants.fs = [{{ none = 1 }}]")),
        ("plugin.grants.http", format!("{plugin}grants.http = [{{ none = 1 }}]")),
        ("plugin.delivery", format!("{plugin}delivery.none = 1")),
        ("plugin.handler.logins", format!("{plugin}handler.logins.none = 1")),
    ] {
        let sample: toml::Value = toml::from_str(&whole()).unwrap();
        let table = table
            .split('.')
            .filter(|key| !key.is_empty())
            .fold(&sample, |table, key| {
                let table = &table[key];
                table.get(0).unwrap_or(table)
            });
        let problem = wrong(&config).remove(0);
        let (_, known) = problem.split_once(", expected ").unwrap_or_else(|| panic!("{problem}"));
        for key in known.split('`').skip(1).step_by(2) {
            assert!(table.get(key).is_some(), "the sample lacks {key}: {problem}");
        }
    }
}
