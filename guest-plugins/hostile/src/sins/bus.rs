//! Publishing what should not be published.

use std::collections::BTreeMap;

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::{Map, Value};
use serde::Deserialize;

use crate::{Hostile, data, report};

/// What `publish` publishes.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Order {
    r#type: String,
    /// The data, as JSON.
    data: Option<Value>,
    /// The data's bytes, instead.
    raw: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Fail after publishing: the host must forget it.
    #[serde(default)]
    then_fail: bool,
}

/// Publishes the event that the data describes. Reports only what the host refused, as `error`.
pub(super) fn publish(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let order: Order = event.json()?;
    let bytes = order.raw.map(String::into_bytes);
    let bytes = bytes
        .or_else(|| order.data.map(|data| data.to_string().into_bytes()))
        .unwrap_or_default();
    let draft = match order.content_type {
        Some(content_type) => Draft::bytes(order.r#type, content_type, bytes),
        None => Draft::raw_json(order.r#type, bytes),
    };
    let draft = order
        .metadata
        .into_iter()
        .fold(draft, |draft, (key, value)| draft.metadata(key, value));
    publish_or_report(cx, "publish", draft)?;
    if order.then_fail {
        Err(Failure::reject("hostile publishes and fails"))
    } else {
        Ok(())
    }
}

/// Publishes an event of the type it handles, for ever.
pub(super) fn cycle(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    publish_or_report(cx, "cycle", Draft::new("hostile.cycle"))
}

/// Publishes what `pong` handles.
pub(super) fn ping(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    publish_or_report(cx, "ping", Draft::new("hostile.pong"))
}

/// Publishes what `ping` handles.
pub(super) fn pong(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    publish_or_report(cx, "pong", Draft::new("hostile.ping"))
}

fn publish_or_report(cx: &Context, sin: &str, draft: Draft) -> Result<(), Failure> {
    match cx.publish(draft) {
        Ok(_) => Ok(()),
        Err(error) => report::publish(cx, sin, json!({ "error": error.to_string() })),
    }
}

/// Publishes `hostile.drop` so many times, 10,000 without a number. The outbox has no room for a report then: the log
/// says how many were taken, and why no more.
pub(super) fn flood(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let answers: Vec<_> = (0..data::number_or(event, 10_000)?)
        .map(|_| cx.publish(Draft::new("hostile.drop")))
        .collect();
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    match answers.into_iter().find_map(Result::err) {
        Some(error) => log::warn!("flood: {taken} taken, then: {error}"),
        None => log::info!("flood: {taken} taken"),
    }
    Ok(())
}

/// Publishes `hostile.drop` with so many MiB of JSON, 20 without a number, and reports the host's answer.
pub(super) fn big_publish(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let bytes = data::mebibytes_or(event, 20)?;
    // Made in one piece: growing it would take more memory than the plugin has.
    let mut text = String::with_capacity(bytes.saturating_add(2));
    text.push('"');
    text.extend(std::iter::repeat_n('x', bytes));
    text.push('"');
    let answer = cx.publish(Draft::raw_json("hostile.drop", text));
    report::publish(cx, "big-publish", report::told(answer))
}

/// Publishes `hostile.drop` with so many empty entries of metadata, 500,000 without a number, and reports the answer.
pub(super) fn big_list(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let entries = 0..data::number_or(event, 500_000)?;
    let answer = cx.publish(entries.fold(Draft::new("hostile.drop"), |draft, _| draft.metadata("", "")));
    report::publish(cx, "big-list", report::told(answer))
}

/// Sets metadata that isn't a plugin's to set, one name at a time, and reports each answer under its name.
pub(super) fn forge(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    const OF_THE_HOST: [&str; 4] = ["correlationid", "causationid", "hopcount", "traceparent"];
    const OF_CLOUDEVENTS: [&str; 9] = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "dataschema",
        "datacontenttype",
        "data",
    ];
    const NO_NAMES: [&str; 4] = ["", "Upper", "with-dash", "data_base64"];
    let names = OF_THE_HOST.into_iter().chain(OF_CLOUDEVENTS).chain(NO_NAMES);
    let answers: Map<_, _> = names
        .map(|name| {
            (
                name.to_owned(),
                report::told(cx.publish(Draft::new("hostile.drop").metadata(name, "1"))),
            )
        })
        .collect();
    report::publish(cx, "forge", json!({ "answers": answers }))
}

/// Publishes types that belong to the host, that nobody granted, and that can't be one; reports each answer under its
/// type.
pub(super) fn reserved(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    let too_long = format!("hostile.{}", "x".repeat(250));
    let types = [
        "plugin.loaded",
        "plugin.x",
        "system.startup",
        "system.x",
        "config.changed",
        "config.x",
        "not.granted",
        "",
        &too_long,
    ];
    let answers: Map<_, _> = types
        .into_iter()
        .map(|name| (name.to_owned(), report::told(cx.publish(Draft::new(name)))))
        .collect();
    report::publish(cx, "reserved", json!({ "answers": answers }))
}
