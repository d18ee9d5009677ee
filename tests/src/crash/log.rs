//! The file that parent and child share, as the child writes to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::record::Record;

/// How much of the end is enough to know what each publisher did last.
const END_BYTES: u64 = 1024 * 1024;

/// Lines at the end of a file.
pub(super) struct Log(File);

impl Log {
    /// Opens it and returns what it has at its end; a line that was torn by the kill is closed, so that it stays alone.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(size.saturating_sub(END_BYTES)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        if end.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        let end = String::from_utf8_lossy(&end);
        let records = end.lines().filter_map(Record::parse).collect();
        Ok((Self(file), records))
    }

    /// Appends a line by one `write`, so that it is there whatever becomes of this process.
    pub(super) fn write(&self, record: &Record) {
        let line = record.to_line();
        let written = (&self.0).write(line.as_bytes());
        assert!(
            written.as_ref().is_ok_and(|bytes| *bytes == line.len()),
            "can't write a record: {written:?}"
        );
    }

    /// Notes something that must not be.
    pub(super) fn wrong(&self, words: impl Into<String>) {
        self.write(&Record::Wrong(words.into()));
    }
}
