use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Display, Path};

use palisade_sdk::{Failure, log};

/// Where the lines go.
pub(crate) enum Sink {
    Log,
    File {
        path: String,
        /// The file ends in the middle of a line, because a write broke off: the next line must begin on one of its
        /// own.
        torn: bool,
    },
}

impl Sink {
    /// Opens the file once, so that a missing grant shows at the start and not at the first event.
    pub(crate) fn new(file: Option<String>) -> Result<Self, String> {
        let Some(path) = file else { return Ok(Self::Log) };
        let torn = open(&path)
            .and_then(|mut file| ends_torn(&mut file))
            .map_err(|error| explain(&path, &error))?;
        Ok(Self::File { path, torn })
    }

    /// Writes one line, given with its end.
    pub(crate) fn write(&mut self, line: String) -> Result<(), Failure> {
        match self {
            Self::Log => log::info!("{}", line.trim_end()),
            Self::File { path, torn } => {
                let line = if *torn { format!("\n{line}") } else { line };
                // Opened for each line, so that a file moved away by a log rotation is not written to any more.
                let mut file = open(path).map_err(|error| Failure::retry(explain(path, &error)))?;
                let written = file.write_all(line.as_bytes());
                *torn = written.is_err();
                written.map_err(|error| Failure::retry(explain_write(path, &error)))?;
            }
        }
        Ok(())
    }
}

fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Why the file can't be opened, and what to do about it.
fn explain(path: &str, error: &io::Error) -> String {
    if matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::StorageFull) {
        return explain_write(path, error);
    }
    let directory = directory_of(path);
    format!(
        "can't append to `{path}`: {error}; grant the plugin its directory: \
         [[plugin.grants.fs]] with guest = \"{directory}\" and mode = \"write\""
    )
}

/// Why an open file can't be written. A full directory is the usual cause, and WASI's libc calls it but an I/O error.
fn explain_write(path: &str, error: &io::Error) -> String {
    let directory = directory_of(path);
    format!(
        "can't append to `{path}`: {error}; if `{directory}` is full, make room there or allow the plugin more: \
         plugin.limits.directory-bytes"
    )
}

fn directory_of(path: &str) -> Display<'_> {
    Path::new(path).parent().unwrap_or(Path::new("/")).display()
}
