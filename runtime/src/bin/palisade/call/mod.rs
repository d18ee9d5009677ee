//! `palisade call`: one event through one plugin.

mod arguments;
mod one;
mod report;
mod spec;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use palisade::Event;

pub(crate) use arguments::CallArguments;

use crate::exit::Exit;
use crate::{show, start};

/// No event is larger than this, whatever the limits.
const MAX_EVENT: u64 = 64 * 1024 * 1024;

pub(crate) fn run(arguments: &CallArguments) -> Result<Exit> {
    let json = read_event(&arguments.event)?;
    let (spec, builder) = spec::of(arguments)?;
    let tokio = start::tokio()?;
    let called = tokio.block_on(async {
        let runtime = builder.build()?;
        let event = Event::from_json(&json, runtime.event_limits());
        one::call(&runtime, spec, event).await
    });
    tokio.shutdown_background();
    let called = called?;
    show::print(&if arguments.json {
        report::in_json(&called)?
    } else {
        report::in_words(&called)
    })?;
    Ok(if called.is_ok() { Exit::Ok } else { Exit::Incomplete })
}

/// `-` is stdin.
fn read_event(path: &Path) -> Result<Vec<u8>> {
    let name = if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let read = || -> io::Result<Vec<u8>> {
        let from: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut json = Vec::new();
        from.take(MAX_EVENT + 1).read_to_end(&mut json)?;
        Ok(json)
    };
    let json = read().with_context(|| format!("{name}: the event can't be read"))?;
    if json.len() as u64 > MAX_EVENT {
        bail!("{name}: it is larger than {MAX_EVENT} bytes, which no event is");
    }
    Ok(json)
}
