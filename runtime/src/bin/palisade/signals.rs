//! SIGTERM and SIGINT: the first one ends the process in order, the second at once.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What comes again so soon is the same signal.
const SAME: Duration = Duration::from_millis(50);

/// Listens from here on, in a thread of its own with its own clock, so that not even a runtime that hangs keeps the second
/// signal from being heard. The token is cancelled by the first.
pub(crate) fn listen() -> Result<CancellationToken> {
    let why = "no thread for signals";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(why)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::register().context("SIGTERM and SIGINT can't be listened to")?
    };
    let stop = CancellationToken::new();
    let token = stop.clone();
    let listen = move || {
        runtime.block_on(async move {
            let first = signals.next().await;
            // Before anything ends by it.
            tracing::info!("{}: ending in order", first.name);
            token.cancel();
            // `timeout`, and a terminal, send it to the process and to its group: that is one.
            while timeout(SAME, signals.next()).await.is_ok() {}
            tracing::info!("a second signal ends at once");
            let second = signals.next().await;
            tracing::warn!("{}: ending at once", second.name);
            std::process::exit(128 + second.number);
        })
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .context(why)?;
    Ok(stop)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

struct Received {
    name: &'static str,
    number: i32,
}

impl Signals {
    fn register() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.interrupt.recv() => Received { name: "SIGINT", number: SignalKind::interrupt().as_raw_value() },
            _ = self.terminate.recv() => Received { name: "SIGTERM", number: SignalKind::terminate().as_raw_value() },
        }
    }
}
