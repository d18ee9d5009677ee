//! The `palisade` binary: runs plugins as a config file says, checks such a file, and looks at single plugins and at
//! dead letters.

mod arguments;
mod call;
mod check;
mod console;
mod dead_letters;
mod descriptors;
mod exit;
mod feed;
mod inspect;
mod limits;
mod logging;
mod moment;
mod overlap;
mod owed;
mod placement;
#[path = "../../plain_file.rs"]
mod plain_file;
mod run;
mod show;
mod signals;
mod standstill;
mod start;
mod stdin;
mod stdout;
mod store;
mod summary;
mod table;
#[path = "../../terminal.rs"]
mod terminal;
mod text;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use console::Console;
use exit::Exit;

/// Events are made by one thread and end on another, for which the system's allocator takes a lock that both want.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let Arguments { log, command } = Arguments::parse();
    let console = Console::new(log.log);
    if let Err(error) = logging::init(&log, &command, &console) {
        console.error(&error);
        return Exit::Usage.into();
    }
    descriptors::raise();
    let ended = match command {
        Command::Run(arguments) => run::run(&arguments, &console),
        Command::Check(arguments) => check::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Call(arguments) => call::run(&arguments),
        Command::DeadLetters(arguments) => dead_letters::run(&arguments, &console),
        Command::CompileChild => return palisade::compile_child(),
    };
    let exit = ended.unwrap_or_else(|error| {
        console.error(&error);
        Exit::Failed
    });
    exit.into()
}
