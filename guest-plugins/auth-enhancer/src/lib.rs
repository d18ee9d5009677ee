//! Raises an alarm when an address fails to log in too often.
//!
//! By event time and `data.ip`: it keeps the failures (`user.login.failed`) of the last `window`, inclusive. When they
//! reach `threshold` and the address is not in alarm, it publishes one `auth.bruteforce` with `{ip, failures, first,
//! last}` and puts the address in alarm. A failure more than `window` after that address's previous one ends the alarm
//! first.
//!
//! ```toml
//! [[plugin]]
//! path = "plugins/auth-enhancer.wasm"
//! config = { window = "60s", threshold = 5 }      # these are the defaults
//! [plugin.grants]
//! publish = ["auth.bruteforce"]
//! ```
//!
//! Events may come out of order: a failure counts if it is within `window` of its address's newest one, and is ignored
//! if it is older. An address is forgotten once event time has passed its newest failure by more than `window`. There
//! are never more than 65,536 of them (fewer with a threshold above 16, so that at most a million failures are kept):
//! when there is no room for another, the quarter that has been silent for longest is forgotten, alarms included, and
//! the log says so.

mod settings;
mod watch;

use palisade_sdk::prelude::*;
use serde::Deserialize;
use settings::Settings;
use watch::Watch;

/// The longest `data.ip` taken, in bytes: an address in text has 45 at most, a zone may follow.
const LONGEST_IP: usize = 64;

struct AuthEnhancer {
    watch: Watch,
}

/// What is read of a failed login's data; whatever else is there is ignored.
#[derive(Deserialize)]
struct Login {
    ip: Option<String>,
}

impl Plugin for AuthEnhancer {
    fn info() -> Info {
        Info::new("auth-enhancer", env!("CARGO_PKG_VERSION")).description(env!("CARGO_PKG_DESCRIPTION"))
    }

    fn handlers() -> Vec<Handler<Self>> {
        // One handler for both, so that they keep their order.
        let logins = Handler::new("logins", Self::login)
            .on("user.login")
            .on("user.login.failed");
        vec![logins.timeout(Duration::from_secs(10))]
    }

    fn start(config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        Ok(Self {
            watch: Watch::new(Settings::read(config)?),
        })
    }
}

impl AuthEnhancer {
    fn login(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        // A login that succeeds says nothing about the failures before it; it only moves event time on.
        if event.event_type() != "user.login.failed" {
            self.watch.pass(event.time());
            return Ok(());
        }
        self.watch.failed(read_ip(event)?, event.time(), |alert| {
            cx.publish(Draft::json("auth.bruteforce", &alert)?)?;
            Ok(())
        })
    }
}

fn read_ip(event: &Event) -> Result<String, Failure> {
    let Login { ip } = event.json()?;
    let ip = ip.ok_or_else(|| Failure::reject("a failed login without `data.ip` can't be counted"))?;
    if ip.is_empty() || ip.len() > LONGEST_IP {
        return Err(Failure::reject(format_args!(
            "`data.ip` has {} bytes; it may have 1 to {LONGEST_IP}",
            ip.len()
        )));
    }
    Ok(ip)
}

palisade_sdk::plugin!(AuthEnhancer);

#[cfg(test)]
mod tests;
