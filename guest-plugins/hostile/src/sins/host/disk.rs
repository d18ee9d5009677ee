use palisade_sdk::prelude::*;
use serde::Deserialize;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags, filesystem_error_code,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::{Hostile, report};

/// What to do in the first granted directory, as `{"op": "direct", "path": "a", "bytes": 100}`; paths are relative to it.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
enum Op {
    /// Writes a new file, or a longer one anew, 64 KiB at a time.
    Direct { path: String, bytes: u64 },
    /// The same from the start by a stream, without waiting for each write.
    Stream { path: String, bytes: u64 },
    /// The same at the end by a stream that is flushed at every 4 KiB.
    Append { path: String, bytes: u64 },
    /// Makes a file as long as that.
    SetSize { path: String, bytes: u64 },
    /// Writes one byte there.
    Hole { path: String, offset: u64 },
    /// Makes so many empty files `path0`, `path1`, ...
    Many { path: String, count: u64 },
    /// Writes the first 64 KiB of a file so often.
    Overwrite { path: String, times: u64 },
    /// Empties a file and writes 64 KiB to it so often.
    Rewrite { path: String, times: u64 },
    /// Writes so many files that have lost their names, and has them all open at the end.
    Nameless { path: String, files: u64, bytes: u64 },
    /// Opens it, to read or to write, and follows links or doesn't.
    Open { path: String, write: bool, follow: bool },
    /// Sets its times to now.
    Touch { path: String },
    /// Renames it.
    Rename { path: String, to: String },
    /// Moves it to the second granted directory.
    Move { path: String },
    /// Gives it another name.
    Link { path: String, to: String },
    /// Reads all entries.
    Entries { path: String },
    /// Reads one entry in each of so many listings, all open at the end.
    Listings { path: String, count: u64 },
    /// Swaps two names to and fro so often.
    Swap { path: String, with: String, times: u64 },
    /// Opens it so often, to write.
    Reopen { path: String, times: u64 },
    /// Opens it so often, and keeps that for the instance's life.
    Keep { path: String, count: u64 },
    /// Begins a write of 64 KiB by each of so many streams and a read by each of as many, waits for none of them, and makes
    /// one file more. Keeps the streams for the instance's life, or sees all writes through.
    Unwaited { path: String, streams: u64, keep: bool },
    /// Writes as much at once by a stream, or as many zeroes, whatever the stream says that it takes.
    AtOnce { path: String, bytes: usize, zeroes: bool },
}

/// How far it came.
struct Run<'a> {
    directories: Vec<Descriptor>,
    kept: &'a mut Kept,
    done: u64,
}

/// What is kept open for the instance's life: streams before the files that they are of.
#[derive(Default)]
pub(super) struct Kept {
    written: Vec<OutputStream>,
    read: Vec<InputStream>,
    files: Vec<Descriptor>,
}

/// Does what the data says by the functions of WASI themselves; reports how much was `done`, bytes or times, and the
/// `error` that ended it, if one did.
pub(in crate::sins) fn disk(hostile: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    let directories = get_directories().into_iter().map(|(directory, _)| directory);
    let mut run = Run {
        directories: directories.collect(),
        kept: &mut hostile.hoard.files,
        done: 0,
    };
    let ended = run.run(event.json()?);
    let error = ended.err().map(|code| code.name());
    report::publish(cx, "disk", json!({ "done": run.done, "error": error }))
}

static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

impl Run<'_> {
    fn run(&mut self, op: Op) -> Result<(), ErrorCode> {
        match op {
            Op::Direct { path, bytes } => {
                let file = self.create(&path)?;
                self.write(bytes, |chunk, at| file.write(chunk, at).map(|_| ()))
            }
            Op::Stream { path, bytes } => {
                let file = self.create(&path)?;
                let stream = file.write_via_stream(0)?;
                self.write(bytes, |chunk, _| write_all(&stream, chunk))
            }
            Op::Append { path, bytes } => {
                let file = self.open(&path, OpenFlags::CREATE, true, true)?;
                let stream = file.append_via_stream()?;
                self.write(bytes, |chunk, _| {
                    let mut parts = chunk.chunks(4096);
                    parts.try_for_each(|part| stream.blocking_write_and_flush(part).map_err(code))
                })
            }
            Op::SetSize { path, bytes } => self.create(&path)?.set_size(bytes),
            Op::Hole { path, offset } => self.create(&path)?.write(b"x", offset).map(|_| ()),
            Op::Many { path, count } => self.times(count, |run, at| run.create(&format!("{path}{at}")).map(drop)),
            Op::Overwrite { path, times } => {
                let file = self.create(&path)?;
                self.times(times, |_, _| file.write(&CHUNK, 0).map(|_| ()))
            }
            Op::Rewrite { path, times } => self.times(times, |run, _| {
                let file = run.open(&path, OpenFlags::CREATE | OpenFlags::TRUNCATE, true, true)?;
                file.write(&CHUNK, 0).map(|_| ())
            }),
            Op::Nameless { path, files, bytes } => self.nameless(&path, files, bytes),
            Op::Open { path, write, follow } => self.open(&path, OpenFlags::empty(), write, follow).map(drop),
            Op::Touch { path } => {
                let now = NewTimestamp::Now;
                self.directory(0)?
                    .set_times_at(PathFlags::SYMLINK_FOLLOW, &path, now, now)
            }
            Op::Rename { path, to } => self.rename(&path, &to),
            Op::Move { path } => self.directory(0)?.rename_at(&path, self.directory(1)?, &path),
            Op::Link { path, to } => {
                let directory = self.directory(0)?;
                directory.link_at(PathFlags::empty(), &path, directory, &to)
            }
            Op::Entries { path } => self.entries(&path),
            Op::Listings { path, count } => self.listings(&path, count),
            Op::Swap { path, with, times } => self.times(times, |run, _| {
                run.rename(&path, "swapped")?;
                run.rename(&with, &path)?;
                run.rename("swapped", &with)
            }),
            Op::Reopen { path, times } => self.times(times, |run, _| {
                // What it meets in the middle of a swap is no matter.
                let _ = run.open(&path, OpenFlags::empty(), true, true);
                Ok(())
            }),
            Op::Keep { path, count } => self.keep(&path, count),
            Op::Unwaited { path, streams, keep } => self.unwaited(&path, streams, keep),
            Op::AtOnce { path, bytes, zeroes } => {
                let stream = self.create(&path)?.write_via_stream(0)?;
                let written = if zeroes {
                    stream.write_zeroes(bytes as u64)
                } else {
                    stream.write(&vec![0; bytes])
                };
                written.and_then(|()| stream.blocking_flush()).map_err(code)
            }
        }
    }

    fn directory(&self, at: usize) -> Result<&Descriptor, ErrorCode> {
        self.directories.get(at).ok_or(ErrorCode::NoEntry)
    }

    fn open(&self, path: &str, how: OpenFlags, write: bool, follow: bool) -> Result<Descriptor, ErrorCode> {
        let links = if follow {
            PathFlags::SYMLINK_FOLLOW
        } else {
            PathFlags::empty()
        };
        let flags = if write {
            DescriptorFlags::WRITE
        } else {
            DescriptorFlags::READ
        };
        self.directory(0)?.open_at(links, path, how, flags)
    }

    fn create(&self, path: &str) -> Result<Descriptor, ErrorCode> {
        self.open(path, OpenFlags::CREATE, true, true)
    }

    fn rename(&self, path: &str, to: &str) -> Result<(), ErrorCode> {
        let directory = self.directory(0)?;
        directory.rename_at(path, directory, to)
    }

    fn write(&mut self, bytes: u64, write: impl Fn(&[u8], u64) -> Result<(), ErrorCode>) -> Result<(), ErrorCode> {
        let mut at = 0;
        while at < bytes {
            let length = (bytes - at).min(CHUNK.len() as u64);
            write(CHUNK.get(..length as usize).unwrap_or(&CHUNK), at)?;
            at += length;
            self.done += length;
        }
        Ok(())
    }

    fn times(&mut self, times: u64, once: impl Fn(&Self, u64) -> Result<(), ErrorCode>) -> Result<(), ErrorCode> {
        for at in 0..times {
            once(self, at)?;
            self.done += 1;
        }
        Ok(())
    }

    fn nameless(&mut self, path: &str, files: u64, bytes: u64) -> Result<(), ErrorCode> {
        let mut open = Vec::new();
        for _ in 0..files {
            let file = self.create(path)?;
            self.directory(0)?.unlink_file_at(path)?;
            self.write(bytes, |chunk, at| file.write(chunk, at).map(|_| ()))?;
            open.push(file);
        }
        Ok(())
    }

    fn keep(&mut self, path: &str, count: u64) -> Result<(), ErrorCode> {
        for _ in 0..count {
            let file = self.create(path)?;
            self.kept.files.push(file);
            self.done += 1;
        }
        Ok(())
    }

    fn unwaited(&mut self, path: &str, streams: u64, keep: bool) -> Result<(), ErrorCode> {
        let file = self.open(path, OpenFlags::CREATE, true, true)?;
        let (mut written, mut read) = (Vec::new(), Vec::new());
        for _ in 0..streams {
            let stream = file.write_via_stream(0)?;
            stream.write(&CHUNK).map_err(code)?;
            written.push(stream);
            let stream = file.read_via_stream(0)?;
            // What comes of it, and whether anything does, is no matter.
            let _ = stream.read(CHUNK.len() as u64);
            read.push(stream);
        }
        self.create(&format!("{path}-beside"))?;
        self.done = streams;
        if keep {
            self.kept.written.extend(written);
            self.kept.read.extend(read);
            self.kept.files.push(file);
            return Ok(());
        }
        written
            .iter()
            .try_for_each(|stream| stream.blocking_flush().map_err(code))
    }

    fn entries(&mut self, path: &str) -> Result<(), ErrorCode> {
        let entries = self.open(path, OpenFlags::DIRECTORY, false, true)?.read_directory()?;
        while entries.read_directory_entry()?.is_some() {
            self.done += 1;
        }
        Ok(())
    }

    fn listings(&mut self, path: &str, count: u64) -> Result<(), ErrorCode> {
        let directory = self.open(path, OpenFlags::DIRECTORY, false, true)?;
        let mut open = Vec::new();
        for _ in 0..count {
            let listing = directory.read_directory()?;
            listing.read_directory_entry()?;
            open.push(listing);
            self.done += 1;
        }
        Ok(())
    }
}

fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), ErrorCode> {
    while !bytes.is_empty() {
        let may = stream.check_write().map_err(code)?;
        let (now, later) = bytes.split_at(bytes.len().min(may as usize));
        if now.is_empty() {
            stream.subscribe().block();
            continue;
        }
        stream.write(now).map_err(code)?;
        bytes = later;
    }
    stream.blocking_flush().map_err(code)
}

/// What the file system says of a stream's error.
fn code(error: StreamError) -> ErrorCode {
    let error = match error {
        StreamError::LastOperationFailed(error) => filesystem_error_code(&error),
        StreamError::Closed => None,
    };
    error.unwrap_or(ErrorCode::Io)
}
