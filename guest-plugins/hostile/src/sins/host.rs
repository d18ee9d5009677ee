//! Asking WASI for what nobody granted.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::{Map, Value};
use wasip2::cli::environment;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::io::poll::Pollable;
use wasip2::random::random::get_random_bytes;

use crate::{Hostile, data, report};

mod disk;
mod files;

pub(super) use disk::disk;
pub(super) use files::fs;

/// Handles kept for the instance's life.
#[derive(Default)]
pub(crate) struct Hoard {
    waits: Vec<Pollable>,
    files: disk::Kept,
}

/// Asks for so many MiB of random bytes at once, 1,024 without a number, and reports how many `bytes` came.
pub(super) fn big_random(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let bytes = data::mebibytes_or(event, 1024)? as u64;
    report::publish(cx, "big-random", json!({ "bytes": get_random_bytes(bytes).len() }))
}

/// Opens so many handles and keeps them, for ever without a number.
pub(super) fn handles(hostile: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    for _ in 0..data::number_or(event, u64::MAX)? {
        hostile.hoard.waits.push(subscribe_duration(u64::MAX));
    }
    Ok(())
}

/// Reports the environment, the arguments, the working directory and the granted directories.
pub(super) fn env(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    let variables: Map<String, Value> = environment::get_environment()
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let directories: Vec<_> = get_directories().into_iter().map(|(_, name)| name).collect();
    report::publish(
        cx,
        "env",
        json!({
            "env": variables,
            "args": environment::get_arguments(),
            "cwd": environment::initial_cwd(),
            "directories": directories,
        }),
    )
}

/// Connects to the address that the data is, `"127.0.0.1:80"` without one, listens, sends a datagram there and looks up
/// a name; reports each answer.
pub(super) fn net(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let address: String = if event.data().is_empty() {
        "127.0.0.1:80".to_owned()
    } else {
        event.json()?
    };
    let datagram = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"hostile", &address));
    let answers = json!({
        "connect": report::told(TcpStream::connect(&address).map(|_| true)),
        "listen": report::told(TcpListener::bind("127.0.0.1:0").map(|_| true)),
        "datagram": report::told(datagram.map(|_| true)),
        "resolve": report::told("localhost:80".to_socket_addrs().map(Iterator::count)),
    });
    report::publish(cx, "net", answers)
}
