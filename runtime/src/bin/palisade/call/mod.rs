//! `palisade call`: one event through one plugin.

mod arguments;
mod grants;
mod one;
mod report;
mod spec;

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use palisade::Event;

pub(crate) use arguments::CallArguments;

use self::one::Called;
use crate::exit::Exit;
use crate::{plain_file, show, start, text};

/// No event is larger than this, whatever the limits.
const MAX_EVENT: u64 = 64 * 1024 * 1024;

pub(crate) fn run(arguments: &CallArguments) -> Result<Exit> {
    let called = call(arguments);
    let shown = match &called {
        Ok(called) if arguments.json => text::json(&report::in_json(called)?),
        Ok(called) => report::in_words(called),
        Err(error) if arguments.json => text::json(&report::error_in_json(error)),
        Err(_) => String::new(),
    };
    show::print(&shown)?;
    Ok(if called?.is_ok() { Exit::Ok } else { Exit::Incomplete })
}

fn call(arguments: &CallArguments) -> Result<Called> {
    let json = read_event(&arguments.event)?;
    let (spec, builder) = spec::of(arguments)?;
    let tokio = start::tokio()?;
    let called = tokio.block_on(async {
        let runtime = builder.build()?;
        let event = Event::from_json(&json, runtime.event_limits());
        one::call(&runtime, spec, event).await
    });
    tokio.shutdown_background();
    called
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
            Box::new(plain_file::open(path)?)
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
