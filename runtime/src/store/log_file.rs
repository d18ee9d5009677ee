//! The write-ahead log of a store that was not closed in order: SQLite takes up what holds together and passes over the rest
//! without a word, so the words are said here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;

use super::entry;
use crate::delivery::StoreError;

const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// The frames of a log, as they were before SQLite saw them.
pub(super) struct LogFile {
    bytes: u64,
    /// Of each frame whether it is the last of a commit; none for one that is left from an earlier use of the file.
    frames: Vec<Option<bool>>,
    /// Whether there is a piece of one more.
    ends_within: bool,
}

impl LogFile {
    /// None where there is none, or nothing in it.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        if !entry::is_file(path)? {
            return Ok(None);
        }
        let file = entry::open(path, File::options().read(true))?;
        let read = Self::of(&file);
        read.map_err(|error| StoreError::Failed(format!("can't read {}: {error}", path.display())))
    }

    fn of(file: &File) -> io::Result<Option<Self>> {
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES as usize];
        if bytes < HEADER_BYTES {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let [_, _, page, _, first, second, _, _] = words(&header);
        let frame_bytes = FRAME_HEADER_BYTES + u64::from(page).clamp(512, 65_536);
        let body = bytes - HEADER_BYTES;
        let frame = |n| frame(file, HEADER_BYTES + n * frame_bytes, [first, second]);
        Ok(Some(Self {
            bytes,
            frames: (0..body / frame_bytes).map(frame).collect::<io::Result<_>>()?,
            ends_within: !body.is_multiple_of(frame_bytes),
        }))
    }

    /// Says what became of it, where so many frames were taken up.
    pub(super) fn report(&self, path: &Path, taken_up: usize, owed: u64) {
        let (log, bytes) = (path.display(), self.bytes);
        tracing::info!(%log, bytes, owed, "the store was not closed in order; what its log holds is taken up");
        let left_out = self.frames.iter().skip(taken_up).flatten();
        let (frames, commits) = left_out.fold((0, 0), |(frames, commits), is_last| {
            (frames + 1, commits + u32::from(*is_last))
        });
        // Elsewhere it is only where an earlier, longer use of the file was cut off.
        let is_torn = self.ends_within && taken_up >= self.frames.len();
        if commits > 1 {
            tracing::error!(%log, frames, commits, "the log of the store is damaged, and what was acknowledged after that place is lost; check the disk");
        } else if frames > 0 || is_torn {
            tracing::warn!(%log, frames, commits, "the end of the store's log does not hold together and is left out: a commit that was under way, or the last one if the disk has damaged it");
        }
    }
}

/// How many frames of its log a database has taken up. They stay there: a disk that is full has no room to fold them in.
pub(super) fn taken_up(db: &Connection) -> Result<usize, rusqlite::Error> {
    let frames: i64 = db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
    Ok(usize::try_from(frames).unwrap_or(0))
}

fn frame(file: &File, at: u64, salts: [u32; 2]) -> io::Result<Option<bool>> {
    let mut header = [0; FRAME_HEADER_BYTES as usize];
    file.read_exact_at(&mut header, at)?;
    let [_, commit_size, first, second, _, _] = words(&header);
    // A flipped bit does not make it one of an earlier use: that has another number, and another random one.
    let differing = (first ^ salts[0]).count_ones() + (second ^ salts[1]).count_ones();
    Ok((differing <= 1).then_some(commit_size != 0))
}

/// SQLite writes them with the highest byte first.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}
