//! Short words for the tests with guests of WebAssembly text.

use palisade::{Class, LimitKind, LoadError, PluginSpec, Runtime};
use serde_json::{Value, json};

use super::beside::{self, Beside};

/// The attack in `handle` must end in this class and with this limit; the next event is served, the neighbour always.
pub(super) async fn ends(spec: PluginSpec, class: Class, limit: Option<LimitKind>) -> String {
    let beside = Beside::new(spec).await;
    ends_in(&beside, class, limit).await
}

pub(super) async fn ends_in(beside: &Beside, class: Class, limit: Option<LimitKind>) -> String {
    let outcome = beside.sin("hostile.sin", json!(1)).await;
    assert_eq!(
        (outcome.class, outcome.limit()),
        (class, limit),
        "{}",
        outcome.message()
    );
    beside.obeys("hostile.ok", Value::Null).await;
    outcome.message().to_owned()
}

/// Loads what must fail in `describe`, beside a neighbour that must not notice; its words.
pub(super) async fn no_plugin(spec: PluginSpec, class: Class, limit: LimitKind) -> String {
    let error = refused(spec).await;
    let LoadError::Describe { fault, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((fault.class(), fault.limit()), (class, Some(limit)), "{fault}");
    error.to_string()
}

/// Loads what must be refused, beside a neighbour that must not notice.
pub(super) async fn refused(spec: PluginSpec) -> LoadError {
    beside::refused(Runtime::builder(), spec).await
}
