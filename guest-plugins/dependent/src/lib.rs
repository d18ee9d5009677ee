//! Depends on `probe`. Tests use it for the order in which plugins start and stop: under the name `probe` it depends on
//! itself.

use palisade_sdk::prelude::*;

struct Dependent;

impl Plugin for Dependent {
    fn info() -> Info {
        Info::new("dependent", env!("CARGO_PKG_VERSION"))
            .description(env!("CARGO_PKG_DESCRIPTION"))
            .depends_on("probe")
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("own", Self::own).on("dependent.>")]
    }

    fn start(_config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Dependent {
    fn own(&mut self, _event: &Event, _cx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

palisade_sdk::plugin!(Dependent);

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_sdk::testing::{Harness, TestEvent};

    #[test]
    fn takes_its_own_events_and_publishes_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let mut dependent = Harness::<Dependent>::start(json!({}))?;
        assert!(dependent.wants("dependent.x") && !dependent.wants("x"));
        dependent.deliver(TestEvent::new("dependent.x"))?;
        assert!(dependent.published().is_empty());
        Ok(())
    }
}
