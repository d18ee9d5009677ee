//! Talking too much.

use std::io::{Write, stderr, stdout};

use palisade_sdk::prelude::*;

use crate::{Hostile, data};

/// Logs so many lines, 100,000 without a number.
pub(super) fn flood_log(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    for line in 0..data::number_or(event, 100_000)? {
        log::info!("hostile log line {line}");
    }
    Ok(())
}

/// Prints so many lines, 100,000 without a number.
pub(super) fn flood_stdout(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    flood(&mut stdout(), "stdout", data::number_or(event, 100_000)?)
}

/// Prints so many lines to stderr, 100,000 without a number.
pub(super) fn flood_stderr(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    flood(&mut stderr(), "stderr", data::number_or(event, 100_000)?)
}

fn flood(output: &mut impl Write, name: &str, lines: u64) -> Result<(), Failure> {
    for line in 0..lines {
        writeln!(output, "hostile {name} line {line}")?;
    }
    Ok(output.flush()?)
}

/// Logs one line of so many MiB, 10 without a number, and prints it to stderr without an end.
pub(super) fn long_line(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    let line = "x".repeat(data::mebibytes_or(event, 10)?);
    log::info!("{line}");
    Ok(stderr().write_all(line.as_bytes())?)
}

/// Prints so many MiB, 100 without a number, to stdout and to stderr, and never ends the line.
pub(super) fn endless_line(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    let piece = [b'x'; 64 * 1024];
    for _ in 0..data::mebibytes_or(event, 100)? / piece.len() {
        stdout().write_all(&piece)?;
        stdout().flush()?;
        stderr().write_all(&piece)?;
    }
    Ok(())
}

/// Writes nothing to stderr, and logs nothing, so many times, a million without a number.
pub(super) fn empty_writes(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    for _ in 0..data::number_or(event, 1_000_000)? {
        stderr().write_all(b"")?;
        stderr().flush()?;
        log::info!("");
    }
    Ok(())
}

/// Logs, and prints, lines made to look like the host's, and sequences that drive a terminal.
pub(super) fn ansi(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    const FORGERY: &str =
        "harmless\n2030-01-01T00:00:00Z ERROR forged line\r\u{1b}[2J\u{1b}[31mred\u{7}\u{9b}\u{202e}\0";
    log::info!("{FORGERY}");
    Ok(writeln!(stderr(), "{FORGERY}")?)
}

/// Logs the secret of its config and prints it: as it is, as JSON, as Rust shows it for debugging, and its lines like that.
pub(super) fn blab(hostile: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    let secret = &hostile.settings.secret;
    let lines: Vec<_> = secret.lines().collect();
    log::info!("secret: {secret}");
    for said in [
        secret.clone(),
        json!({ "secret": secret }).to_string(),
        format!("{secret:?}"),
        json!(lines).to_string(),
        format!("{lines:?}"),
    ] {
        writeln!(stdout(), "secret: {said}")?;
    }
    Ok(())
}
