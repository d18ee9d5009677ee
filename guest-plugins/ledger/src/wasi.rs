//! What the SDK has no words for: stores by name, `wasi:config`, and the clocks themselves.

use palisade_sdk::__private::storing::wasi::keyvalue::store as keyvalue;
use palisade_sdk::kv::StoreError;
use palisade_sdk::serde_json::{Map, Value, json};
use wasip2::clocks::{monotonic_clock, wall_clock};

#[allow(missing_docs, unsafe_code, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package palisade:ledger;
            world reader {
                import wasi:config/store@0.2.0-rc.1;
            }
        ",
        generate_all,
    });
}

use bindings::wasi::config::store;

pub(crate) fn config(key: &str) -> Value {
    store::get(key).map_or_else(|error| json!(format!("{error:?}")), Value::from)
}

pub(crate) fn config_all() -> Value {
    match store::get_all() {
        Ok(all) => Value::Object(
            all.into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect::<Map<_, _>>(),
        ),
        Err(error) => json!(format!("{error:?}")),
    }
}

pub(crate) fn clocks(count: usize) -> Value {
    let wall = |time: wall_clock::Datetime| u128::from(time.seconds) * 1_000_000_000 + u128::from(time.nanoseconds);
    let walls: Vec<_> = (0..count).map(|_| wall(wall_clock::now()) as u64).collect();
    let monotonics: Vec<_> = (0..count).map(|_| monotonic_clock::now()).collect();
    json!({
        "wall": walls,
        "monotonic": monotonics,
        "wall-resolution": wall(wall_clock::resolution()) as u64,
        "monotonic-resolution": monotonic_clock::resolution(),
    })
}

pub(crate) fn wait(nanos: u64) -> Value {
    let before = monotonic_clock::now();
    monotonic_clock::subscribe_instant(before.saturating_add(nanos)).block();
    (monotonic_clock::now() - before).into()
}

pub(crate) fn open(name: &str) -> Result<Value, StoreError> {
    match keyvalue::open(name) {
        Ok(_) => Ok(true.into()),
        Err(error) => Err(error.into()),
    }
}
