//! The child's side.

use std::io::{self, BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use rlimit::Resource;
use wasmtime::{CodeBuilder, Engine, Error};

use super::in_process::why_invalid;
use super::wire::{Answer, MAX_LINE, Request};
use crate::sandbox::engine::{compatibility, compiling_engine};
use crate::sandbox::error::ComponentError;
use crate::sandbox::file::check_structure;

/// The smallest component there is. It gets the compiler's threads started.
const NOTHING: &[u8] = b"\0asm\x0d\0\x01\0";

/// What a program does as a [`CompilerChild`](crate::CompilerChild): reads one component from stdin, compiles it within the
/// limits that come with it, writes the machine code to stdout, and is done. Nothing else of the program should have run
/// before, and nothing else may write to stdout; the `palisade` binary does this as `palisade compile-child`.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if std::env::args().nth(1).as_deref() == Some("compile-child") {
///         return palisade::compile_child();
///     }
///     // Build runtimes with `.compiler(CompilerChild::this_program()?.args(["compile-child"]))`.
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn compile_child() -> ExitCode {
    let (answer, artifact) = answer(&mut io::stdin().lock());
    match write(&answer, &artifact) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(stdin: &mut impl BufRead) -> (Answer, Vec<u8>) {
    let not_ready = |why: String| (Answer::NotReady(why), Vec::new());
    let request = match read_request(stdin) {
        Ok(request) => request,
        Err(why) => return not_ready(why),
    };
    let engine = match compiling_engine(request.metered) {
        Ok(engine) => engine,
        Err(error) => return not_ready(error.to_string()),
    };
    if compatibility(&engine) != request.compatibility {
        return (Answer::OtherEngine, Vec::new());
    }
    // Its threads are there before the limit is, so that what hits the limit is the component.
    if let Err(error) = precompile(&engine, NOTHING) {
        return not_ready(error.to_string());
    }
    if let Err(error) = limit(&request) {
        return not_ready(error.to_string());
    }
    let mut bytes = Vec::new();
    // In one piece: to grow it would take twice as much.
    let size = usize::try_from(request.bytes).unwrap_or(usize::MAX);
    if bytes.try_reserve_exact(size).is_err() {
        return (Answer::OutOfMemory, Vec::new());
    }
    match stdin.take(request.bytes).read_to_end(&mut bytes) {
        Ok(read) if read as u64 == request.bytes => {}
        _ => return not_ready("the component did not come through".to_owned()),
    }
    compile(&engine, &bytes).map_or_else(
        |refused| (refused, Vec::new()),
        |artifact| (Answer::Artifact(artifact.len() as u64), artifact),
    )
}

fn read_request(stdin: &mut impl BufRead) -> Result<Request, String> {
    let mut line = Vec::new();
    let read = stdin.take(MAX_LINE as u64).read_until(b'\n', &mut line);
    let request = read
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_slice(&line).map_err(|error| error.to_string()));
    request.map_err(|why| format!("stdin is no request to compile: {why}; this command is for Palisade itself"))
}

/// From here on the kernel watches. No core dump: it would be of the component's making.
fn limit(request: &Request) -> io::Result<()> {
    lower(Resource::CORE, 0)?;
    lower(Resource::FSIZE, 0)?;
    lower(Resource::CPU, request.cpu_seconds)?;
    lower(Resource::AS, request.memory)
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let (_, hard) = resource.get()?;
    let limit = limit.min(hard);
    resource.set(limit, limit)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Answer> {
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        check_structure(bytes).map_err(refused)?;
        precompile(engine, bytes).map_err(|error| failed(&error))
    }));
    compiled.unwrap_or(Err(Answer::GaveUp))
}

/// `wasm_binary`: text must not be taken for a component (H34).
fn precompile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    CodeBuilder::new(engine)
        .wasm_binary(bytes, None)?
        .compile_component_serialized()
}

fn refused(why: ComponentError) -> Answer {
    match why {
        ComponentError::CoreModule => Answer::CoreModule,
        ComponentError::Truncated { detail, .. } => Answer::Truncated(detail),
        ComponentError::Invalid(why) => Answer::Invalid(why),
        other => Answer::Invalid(other.to_string()),
    }
}

fn failed(error: &Error) -> Answer {
    let is_io = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::OutOfMemory)
    };
    if error.is::<wasmtime::OutOfMemory>() || error.chain().any(is_io) {
        return Answer::OutOfMemory;
    }
    Answer::Invalid(why_invalid(error))
}

fn write(answer: &Answer, artifact: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, answer)?;
    stdout.write_all(b"\n")?;
    stdout.write_all(artifact)?;
    stdout.flush()
}
