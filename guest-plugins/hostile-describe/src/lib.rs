//! Never says who it is: `describe` spins. For the test that loading such a plugin ends by the deadline all the same.

use palisade_sdk::prelude::*;

struct HostileDescribe;

impl Plugin for HostileDescribe {
    fn info() -> Info {
        loop {
            std::hint::spin_loop();
        }
    }

    fn handlers() -> Vec<Handler<Self>> {
        Vec::new()
    }

    fn start(_config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        Ok(Self)
    }
}

palisade_sdk::plugin!(HostileDescribe);
