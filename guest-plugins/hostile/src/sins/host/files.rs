use std::fs;
use std::io::{self, Write};

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::Value;
use serde::Deserialize;
use wasip2::filesystem::preopens::get_directories;

use crate::{Hostile, report};

/// What to do with a path, as `{"op": "read", "path": "/data/../secret"}`.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
enum Op {
    Read {
        path: String,
    },
    Write {
        path: String,
        mebibytes: usize,
    },
    Append {
        path: String,
        text: String,
    },
    Truncate {
        path: String,
    },
    List {
        path: String,
    },
    Remove {
        path: String,
    },
    Rename {
        path: String,
        to: String,
    },
    HardLink {
        path: String,
        to: String,
    },
    /// In the first granted directory, `path` relative to it.
    Symlink {
        path: String,
        to: String,
    },
    CreateDir {
        path: String,
    },
}

/// Does what the data says with a file, and reports the answer.
pub(in crate::sins) fn fs(_: &mut Hostile, event: &Event, cx: &Context) -> Result<(), Failure> {
    report::publish(cx, "fs", report::told(run(event.json()?)))
}

fn run(op: Op) -> io::Result<Value> {
    match op {
        Op::Read { path } => return fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into()),
        Op::List { path } => return list(&path).map(Value::from),
        Op::Write { path, mebibytes } => write(&path, mebibytes),
        Op::Append { path, text } => fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
        Op::Truncate { path } => fs::OpenOptions::new().write(true).truncate(true).open(path).map(drop),
        Op::Remove { path } => fs::remove_file(path),
        Op::Rename { path, to } => fs::rename(path, to),
        Op::HardLink { path, to } => fs::hard_link(path, to),
        Op::Symlink { path, to } => symlink(&path, &to),
        Op::CreateDir { path } => fs::create_dir(path),
    }?;
    Ok(true.into())
}

fn list(path: &str) -> io::Result<Vec<String>> {
    fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn write(path: &str, mebibytes: usize) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    let mebibyte = vec![b'x'; 1024 * 1024];
    (0..mebibytes).try_for_each(|_| file.write_all(&mebibyte))
}

fn symlink(path: &str, to: &str) -> io::Result<()> {
    let directories = get_directories();
    let (directory, _) = directories
        .first()
        .ok_or_else(|| io::Error::other("no directory is granted"))?;
    directory
        .symlink_at(to, path)
        .map_err(|code| io::Error::other(code.message()))
}
