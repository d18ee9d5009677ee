//! How a sin tells what the host answered.

use std::fmt::Display;

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::{Map, Value};

/// Publishes `hostile.report` with the fields of `answer` and the sin's name.
pub(crate) fn publish(cx: &Context, sin: &str, answer: Value) -> Result<(), Failure> {
    cx.publish(draft(sin, answer)?)?;
    Ok(())
}

/// The same event, for where there is no context.
pub(crate) fn draft(sin: &str, answer: Value) -> Result<Draft, Failure> {
    let mut report = Map::from_iter([("sin".to_owned(), sin.into())]);
    if let Value::Object(fields) = answer {
        report.extend(fields);
    }
    Ok(Draft::json("hostile.report", &report)?)
}

/// A result as a report tells it: `{"ok": ...}` or `{"error": "text"}`.
pub(crate) fn told<T: Into<Value>>(result: Result<T, impl Display>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value.into() }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
