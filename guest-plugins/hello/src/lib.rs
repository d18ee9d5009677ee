//! The first plugin of the README, as it stands there.

use palisade_sdk::prelude::*;

struct Hello;

impl Plugin for Hello {
    fn info() -> Info {
        Info::new("hello", "0.1.0").description("Greets whoever logs in.")
    }
    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("greet", Self::greet).on("user.login")]
    }
    fn start(_config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Hello {
    fn greet(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        let data: serde_json::Value = event.json()?;
        cx.publish(Draft::json("greeting.sent", &json!({ "to": data.get("user") }))?)?;
        Ok(())
    }
}

palisade_sdk::plugin!(Hello);
