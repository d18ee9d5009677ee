//! `ordering`, `ordering-key` and `breaker`: what is inherited, and what is a mistake.

use std::time::Duration;

use super::{read, wrong};
use crate::{BreakerPolicy, EventOrder};

fn by(key: &str) -> EventOrder {
    EventOrder::Key(key.into())
}

/// B6: the order and its key are inherited apart, from the defaults to the plugin to the handler.
#[test]
fn b6_orders_are_inherited() {
    let config = read(
        r#"
        defaults.delivery.ordering-key = "subject"
        [[plugin]]
        path = "a"
        delivery.ordering = "key"
        handler.own.ordering-key = "tenant"
        handler.strict.ordering = "strict"
        [[plugin]]
        path = "b"
        handler.keyed.ordering = "key"
        "#,
    );
    let [a, b] = config.plugins.as_slice() else { panic!() };
    assert_eq!(a.ordering, by("subject"));
    assert_eq!(a.handlers["own"].ordering, Some(by("tenant")));
    assert_eq!(a.handlers["strict"].ordering, Some(EventOrder::Strict));
    assert_eq!(
        (&b.ordering, &b.handlers["keyed"].ordering),
        (&EventOrder::None, &Some(by("subject")))
    );
    let plain = read("[[plugin]]\npath = \"p\"\ndelivery.ordering = \"key\"");
    assert_eq!(plain.plugins[0].ordering, by("partitionkey"));
}

/// B6, H47: a key that nobody orders by would do nothing, so it is a mistake; so are a key that none can have, and an order
/// that there is not.
#[test]
fn b6_h47_a_key_that_nobody_orders_by_is_a_mistake() {
    for (config, words) in [
        ("delivery.ordering-key = \"subject\"", "plugin.delivery.ordering-key"),
        ("handler.h.ordering-key = \"subject\"", "plugin.handler.h.ordering-key"),
        (
            "delivery.ordering = \"fifo\"",
            "expected one of `none`, `key`, `strict`",
        ),
        (
            "delivery = { ordering = \"key\", ordering-key = \"a b\" }",
            "is no metadata key",
        ),
    ] {
        let problem = wrong(&format!("[[plugin]]\npath = \"p\"\n{config}")).remove(0);
        assert!(problem.starts_with("3:") && problem.contains(words), "{problem}");
    }
}

/// D5: breakers are inherited key by key, and can be turned off and on again.
#[test]
fn d5_breakers_are_inherited_and_turned_off() {
    let config = read(
        r#"
        defaults.delivery.breaker = { failures = 9, open = "1s" }
        [[plugin]]
        path = "a"
        delivery.breaker = { window = "2s", rate = 0.25, min-calls = 3 }
        handler.off.breaker = false
        [[plugin]]
        path = "b"
        delivery.breaker = false
        handler.on.breaker = { failures = 2 }
        "#,
    );
    let [a, b] = config.plugins.as_slice() else { panic!() };
    let second = Duration::from_secs(1);
    let inherited = BreakerPolicy {
        failures: 9,
        window: second * 2,
        rate: 0.25,
        min_calls: 3,
        open: second,
    };
    assert_eq!((a.breaker, a.handlers["off"].breaker), (Some(inherited), Some(None)));
    let on = BreakerPolicy {
        failures: 2,
        ..BreakerPolicy::default()
    };
    assert_eq!((b.breaker, b.handlers["on"].breaker), (None, Some(Some(on))));
}

/// D5, H47: `true` says nothing, and a rate is a part of the whole.
#[test]
fn d5_h47_wrong_breakers_are_mistakes() {
    for (breaker, words) in [
        ("true", "true does not say how"),
        ("{ rate = 0.0 }", "no part of a whole"),
        ("{ rate = 1.5 }", "no part of a whole"),
        ("{ failures = 0 }", "breaker"),
        ("3", "a table such as { failures = 5, open = \"30s\" }, or false"),
    ] {
        let problem = wrong(&format!("[[plugin]]\npath = \"p\"\ndelivery.breaker = {breaker}")).remove(0);
        assert!(problem.starts_with("3:") && problem.contains(words), "{problem}");
    }
}
