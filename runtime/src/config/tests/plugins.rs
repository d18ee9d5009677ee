//! What `[[plugin]]` and `[[filter]]` become.

use super::*;
use crate::{FsMode, Isolation, OnFault, Overflow, QuarantinePolicy, Source};

const ONE: &str = "[[plugin]]\npath = \"a.wasm\"\n";

#[test]
fn an_empty_file_is_a_config_of_defaults() {
    let config = read("");
    assert_eq!(config.drain, Duration::from_secs(30));
    assert!(config.specs().is_empty());
    let plugin = read(ONE).plugins.remove(0);
    assert_eq!((plugin.limits, plugin.queue, plugin.retry), Default::default());
    assert_eq!(
        (plugin.grants, plugin.handlers, plugin.concurrency),
        (Default::default(), Default::default(), 1)
    );
}

#[test]
fn every_key_of_a_plugin_arrives() {
    let dir = Dir::with(
        r#"
        [[plugin]]
        path = "p/a.wasm"
        name = "one"
        digest = "sha256:ABCDEFabcdef0123456789012345678901234567890123456789012345678901"
        isolation = "per-event"
        concurrency = 3
        quarantine = { faults = 2, window = "7s" }
        config = { text = "t", number = 7, list = [1.5, true], day = 2026-01-02 }
        limits = { timeout = "5s", fuel = 9, memory = "1MiB" }
        [plugin.grants]
        publish = ["a.*"]
        subscribe = ["b.>"]
        env = ["REGION"]
        [[plugin.grants.fs]]
        host = "rules"
        guest = "/rules"
        mode = "write"
        [plugin.delivery]
        queue = { events = 5, bytes = 100, overflow = "reject" }
        retry = { attempts = 2, base = "1ms", cap = "2ms", max-age = "3ms" }
        [plugin.handler.h]
        timeout = "2s"
        queue = { events = 6 }
        retry = { attempts = 3 }
        "#,
    );
    let plugin = dir.read().unwrap().plugins.remove(0);
    assert_eq!(plugin.source, Source::File(dir.0.path().join("p/a.wasm")));
    assert_eq!(
        (plugin.name.as_deref(), plugin.isolation, plugin.concurrency),
        (Some("one"), Isolation::PerEvent, 3)
    );
    let quarantine = plugin.quarantine.unwrap();
    assert_eq!((quarantine.faults, quarantine.window), (2, Duration::from_secs(7)));
    assert!(plugin.digest.as_ref().unwrap().starts_with("sha256:ABC"));
    let shown = r#"{"day":"2026-01-02","list":[1.5,true],"number":7,"text":"t"}"#;
    assert_eq!(plugin.config.shown().to_string(), shown);
    assert_eq!(
        (plugin.limits.timeout, plugin.limits.fuel),
        (Duration::from_secs(5), Some(9))
    );
    assert_eq!((plugin.limits.memory, plugin.limits.tables), (1 << 20, 64));
    assert_eq!(
        (plugin.grants.publish[0].as_str(), plugin.grants.subscribe[0].as_str()),
        ("a.*", "b.>")
    );
    assert_eq!(plugin.grants.env, ["REGION"]);
    let fs = &plugin.grants.fs[0];
    assert_eq!(
        (&fs.host, fs.guest.as_str(), fs.mode),
        (&dir.0.path().join("rules"), "/rules", FsMode::Write)
    );
    assert_eq!(
        (plugin.queue.events, plugin.queue.bytes, plugin.queue.overflow),
        (5, 100, Overflow::Reject)
    );
    assert_eq!(
        (plugin.retry.attempts, plugin.retry.max_age),
        (2, Duration::from_millis(3))
    );
    let handler = &plugin.handlers["h"];
    let (queue, retry) = (handler.queue.unwrap(), handler.retry.unwrap());
    assert_eq!(
        (handler.timeout, queue.events, queue.bytes),
        (Some(Duration::from_secs(2)), 6, 100)
    );
    assert_eq!((retry.attempts, retry.cap), (3, Duration::from_millis(2)));
}

#[test]
fn filters_come_before_plugins_and_in_their_order() {
    let config = read(
        r#"
        [[plugin]]
        path = "a"
        [[filter]]
        path = "b"
        instances = 2
        timeout = "5ms"
        on-fault = "pass"
        [[filter]]
        path = "c"
        "#,
    );
    let paths: Vec<_> = config.specs().iter().map(|spec| spec.source.clone()).collect();
    assert!(format!("{paths:?}").find("/b\"").unwrap() < format!("{paths:?}").find("/c\"").unwrap());
    assert_eq!(paths.last(), Some(&config.plugins[0].source));
    let [first, second] = config.filters.as_slice() else {
        panic!()
    };
    assert_eq!((first.concurrency, first.filter.on_fault), (2, OnFault::Pass));
    assert_eq!(first.filter.timeout, Duration::from_millis(5));
    assert_eq!(second.filter, Default::default());
}

#[test]
fn limits_and_delivery_are_inherited_key_by_key() {
    let config = read(&format!(
        "[defaults]\nlimits = {{ memory = 1000, handles = 5 }}\ndelivery = {{ queue = {{ events = 9 }} }}\n{ONE}\
         limits = {{ handles = 6 }}\ndelivery = {{ queue = {{ bytes = 7 }}, retry = {{ attempts = 1 }} }}\n\
         [[filter]]\npath = \"f\""
    ));
    let plugin = &config.plugins[0];
    assert_eq!((plugin.limits.memory, plugin.limits.handles), (1000, 6));
    assert_eq!(
        (plugin.queue.events, plugin.queue.bytes, plugin.retry.attempts),
        (9, 7, 1)
    );
    assert_eq!(config.filters[0].limits.handles, 5);
}

/// S7: a quarantine is inherited key by key; `false` turns it off, for all or for one.
#[test]
fn s7_a_quarantine_is_inherited_or_off() {
    let policy = |faults, seconds| {
        let window = Duration::from_secs(seconds);
        Some(QuarantinePolicy { faults, window })
    };
    let cases = [
        ("", "", policy(5, 60)),
        ("", "{ faults = 1 }", policy(1, 60)),
        ("", "false", None),
        ("{ window = \"1s\" }", "", policy(5, 1)),
        ("{ window = \"1s\" }", "{ faults = 2 }", policy(2, 1)),
        ("false", "", None),
        ("false", "{ faults = 2 }", policy(2, 60)),
    ];
    for (defaults, own, expected) in cases {
        let key = |value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!("quarantine = {value}")
            }
        };
        let (defaults, own) = (key(defaults), key(own));
        let config = read(&format!(
            "[defaults]\n{defaults}\n{ONE}{own}\n[[filter]]\npath = \"f\"\n{own}"
        ));
        assert_eq!(config.plugins[0].quarantine, expected, "{defaults} {own}");
        assert_eq!(config.filters[0].quarantine, expected, "{defaults} {own}");
    }
}

/// S1: operators set ceilings that no plugin exceeds.
#[test]
fn s1_a_limit_above_its_ceiling_names_both_keys() {
    let problems = wrong(&format!(
        "[ceilings]\nmemory = \"32MiB\"\ntimeout = \"10s\"\n[defaults.limits]\ntimeout = \"20s\"\n{ONE}\
         limits = {{ memory = \"33MiB\" }}\n[[filter]]\npath = \"f\"\nlimits = {{ timeout = \"11s\" }}"
    ));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("5:11: defaults.limits.timeout: \"20s\" is above ceilings.timeout"));
    assert!(
        problems[2].starts_with("11:22: filter.limits.timeout: "),
        "{}",
        problems[2]
    );
    let whole = "8:21: plugin.limits.memory: \"33MiB\" is above ceilings.memory, which is \"32MiB\" (line 2)";
    assert!(problems[1].starts_with(whole), "{}", problems[1]);
}

#[test]
fn the_defaults_of_the_runtime_are_cut_to_the_ceilings_without_a_word() {
    let config = read(&format!("[ceilings]\ntimeout = \"1s\"\n{ONE}"));
    let limits = config.plugins[0].limits.within(&config.ceilings);
    assert_eq!((limits.timeout, limits.memory), (Duration::from_secs(1), 64 << 20));
}

#[test]
fn a_timeout_that_the_plugin_s_limit_would_cut_is_refused() {
    let handler = wrong(&format!("{ONE}[plugin.handler.h]\ntimeout = \"31s\""));
    assert!(handler[0].starts_with("4:11: plugin.handler.h.timeout: \"31s\" is above the plugin's limits.timeout"));
    let filter = wrong("[ceilings]\ntimeout = \"1s\"\n[[filter]]\npath = \"f\"\ntimeout = \"2s\"");
    assert!(filter[0].starts_with("5:11: filter.timeout: "), "{filter:?}");
}

#[test]
fn a_retry_that_contradicts_itself_is_refused() {
    let problems = wrong(&format!("{ONE}[plugin.delivery]\nretry = {{ base = \"2m\" }}"));
    assert_eq!(
        problems,
        ["4:9: plugin.delivery.retry.base: base (2m) is above cap (1m), the longest delay"]
    );
}

/// H51
#[test]
fn h51_two_plugins_of_one_name_are_refused() {
    let problems = wrong("[[filter]]\npath = \"f\"\nname = \"x\"\n[[plugin]]\npath = \"p\"\nname = \"x\"");
    assert_eq!(
        problems,
        ["6:8: plugin.name: `x` is the name in line 3 already; give one of them another"]
    );
}

#[test]
fn a_filter_has_no_keys_about_the_bus() {
    let filter = "[[filter]]\npath = \"f\"\n";
    assert!(wrong(&format!("{filter}grants.publish = [\"a\"]"))[0].contains("unknown key `publish`"));
    assert!(
        wrong(&format!("{filter}limits.subscriptions = 3"))[0].contains("filter.limits.subscriptions: unknown key")
    );
}

/// S8
#[test]
fn s8_a_directory_that_is_not_there_is_named_with_its_line() {
    let dir = Dir::with(&format!(
        "{ONE}[[plugin.grants.fs]]\nhost = \"out\"\nguest = \"/out\"\nmode = \"write\"\n\
         [[plugin.grants.fs]]\nhost = \"palisade.toml\"\nguest = \"/file\""
    ));
    let config = dir.read().unwrap();
    let problems = shown(config.check_directories().unwrap_err());
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].starts_with("4:8: plugin.grants.fs.host: there is no directory "),
        "{}",
        problems[0]
    );
    assert!(problems[0].ends_with("out; create it first"), "{}", problems[0]);
    let dir = Dir::with(&format!("{ONE}grants.fs = [{{ host = \"out\", guest = \"/out\" }}]"));
    dir.file("out/x", "");
    dir.read().unwrap().check_directories().unwrap();
}

#[test]
fn two_directories_of_one_name_are_refused() {
    let fs = "[[plugin.grants.fs]]\nhost = \"h\"\nguest = \"/g\"\n";
    let problems = wrong(&format!("{ONE}{fs}{}", fs.replace("/g", "/g/")));
    assert!(
        problems[0].starts_with("8:9: plugin.grants.fs.guest: two directories are called /g/"),
        "{problems:?}"
    );
}
