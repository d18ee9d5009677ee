//! Takes every event and does nothing with it. Tests and benchmarks use it as the guest that costs nothing itself.

use palisade_sdk::prelude::*;

struct Probe;

impl Plugin for Probe {
    fn info() -> Info {
        Info::new("probe", env!("CARGO_PKG_VERSION")).description("Takes every event and does nothing with it.")
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("all", Self::all).on(">")]
    }

    fn start(_config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Probe {
    fn all(&mut self, _event: &Event, _cx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

palisade_sdk::plugin!(Probe);

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_sdk::testing::{Harness, TestEvent};

    #[test]
    fn takes_anything_and_publishes_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let mut probe = Harness::<Probe>::start(json!({}))?;
        probe.deliver(TestEvent::new("any.thing.at.all").bytes("text/plain", "no JSON"))?;
        probe.deliver(TestEvent::new("x"))?;
        assert!(probe.published().is_empty());
        Ok(())
    }
}
