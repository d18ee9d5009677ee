//! Stdin as events: read and parsed by a thread of its own, so that a read that never ends keeps nobody from ending.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use anyhow::{Context, Result};
use palisade::{Event, EventLimits};
use tokio::sync::mpsc;

/// What is read at a time.
const CHUNK: usize = 64 * 1024;
/// A batch is passed on when it has so many lines, or as many bytes as a chunk.
const BATCH_LINES: usize = 64;
/// So many batches are read ahead.
const BATCHES: usize = 4;

/// One line that is not blank.
pub(crate) struct Line {
    /// Counted from 1, blank ones included.
    pub(crate) number: u64,
    /// With its end.
    pub(crate) bytes: u64,
    /// What it says, or why it is none.
    pub(crate) event: Result<Event, String>,
}

/// Lines in their order, or why there are no more.
pub(crate) type Batch = io::Result<Vec<Line>>;

/// Starts to read stdin; the channel ends where it ends. Dropping the receiver ends the reading with the next line.
pub(crate) fn read(limits: &EventLimits) -> Result<mpsc::Receiver<Batch>> {
    let (batches, receiver) = mpsc::channel(BATCHES);
    let limits = limits.clone();
    let read = move || {
        let lines = Lines::new(io::stdin(), longest_line(&limits));
        pass_on(lines, &limits, |batch| batches.blocking_send(batch).is_ok());
    };
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .context("no thread to read stdin")?;
    Ok(receiver)
}

/// The longest line that can be an event within the limits: a character takes six bytes as an escape (`\u0000`), and what
/// lies between the members is not much.
fn longest_line(limits: &EventLimits) -> usize {
    let EventLimits {
        id_bytes,
        type_bytes,
        source_bytes,
        data_bytes,
        metadata_bytes,
        ..
    } = *limits;
    let texts = [id_bytes, type_bytes, source_bytes, data_bytes, metadata_bytes];
    texts
        .into_iter()
        .fold(CHUNK, |sum, bytes| sum.saturating_add(bytes.saturating_mul(6)))
}

/// Reads to the end, as long as the batches are taken.
fn pass_on(mut lines: Lines<impl Read>, limits: &EventLimits, mut send: impl FnMut(Batch) -> bool) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        let is_full = batch.len() >= BATCH_LINES || bytes >= CHUNK as u64;
        // Nobody is to wait for a line that was read, because the one after it is not written yet.
        if !batch.is_empty() && (is_full || !lines.has_one()) {
            if !send(Ok(std::mem::take(&mut batch))) {
                return;
            }
            bytes = 0;
        }
        match lines.next() {
            Ok(Some(raw)) => {
                if let Some(line) = raw.parse(limits) {
                    bytes += line.bytes;
                    batch.push(line);
                }
            }
            Ok(None) => {
                if !batch.is_empty() {
                    send(Ok(batch));
                }
                return;
            }
            Err(error) => {
                let _ = send(Ok(batch)) && send(Err(error));
                return;
            }
        }
    }
}

/// The lines of a text, of which none is held in memory beyond a length.
struct Lines<R: Read> {
    reader: BufReader<R>,
    longest: usize,
    number: u64,
    buffer: Vec<u8>,
}

/// A line as it was read.
struct RawLine<'a> {
    number: u64,
    bytes: u64,
    /// Without its end; `Err` is the longest that it may have.
    text: Result<&'a [u8], usize>,
}

impl<R: Read> Lines<R> {
    fn new(reader: R, longest: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(CHUNK, reader),
            longest,
            number: 0,
            buffer: Vec::new(),
        }
    }

    /// Whether a whole line has been read already.
    fn has_one(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.buffer.clear();
        // One more than allowed tells a line that is too long; two for its end.
        let most = self.longest as u64 + 2;
        let mut bytes = self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer)? as u64;
        if bytes == 0 {
            return Ok(None);
        }
        self.number += 1;
        let whole = self.buffer.strip_suffix(b"\n");
        let ends = whole.is_some();
        let text = whole.unwrap_or(&self.buffer);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let too_long = text.len() > self.longest;
        if !ends && bytes == most {
            bytes += self.reader.skip_until(b'\n')? as u64;
        }
        let text = if too_long { Err(self.longest) } else { Ok(text) };
        Ok(Some(RawLine {
            number: self.number,
            bytes,
            text,
        }))
    }
}

impl RawLine<'_> {
    /// `None` for a blank line.
    fn parse(&self, limits: &EventLimits) -> Option<Line> {
        let event = match self.text {
            Ok(text) if text.trim_ascii().is_empty() => return None,
            Ok(text) => Event::from_json(text, limits).map_err(|error| error.to_string()),
            Err(longest) => Err(format!(
                "it is longer than {longest} bytes, which no event within the limits needs"
            )),
        };
        Some(Line {
            number: self.number,
            bytes: self.bytes,
            event,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;

    fn batches(text: &[u8], longest: usize) -> Vec<Vec<Line>> {
        let mut batches = Vec::new();
        pass_on(Lines::new(text, longest), &EventLimits::default(), |batch| {
            batches.push(batch.unwrap());
            true
        });
        batches
    }

    fn lines(text: &[u8], longest: usize) -> Vec<Line> {
        batches(text, longest).into_iter().flatten().collect()
    }

    #[test]
    fn blank_lines_count_and_are_passed_over() {
        let lines = lines(format!("\n{EVENT}\r\n \t\r\n{EVENT}").as_bytes(), 100);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 4]);
        assert!(lines.iter().all(|line| line.event.is_ok()));
        assert_eq!(lines[0].bytes, EVENT.len() as u64 + 2);
    }

    #[test]
    fn a_bad_line_says_why_and_the_rest_goes_on() {
        let lines = lines(&[b"{\n\xff\n", EVENT.as_bytes()].concat(), 100);
        assert!(lines[0].event.as_ref().unwrap_err().contains("not JSON"));
        assert!(lines[1].event.as_ref().unwrap_err().contains("not UTF-8"));
        assert!(lines[2].event.is_ok());
    }

    #[test]
    fn an_overlong_line_is_skipped_without_being_held() {
        let endless = "x".repeat(1_000_000);
        let mut reader = Lines::new(endless.as_bytes(), 100);
        assert_eq!(reader.next().unwrap().unwrap().text, Err(100));
        assert!(reader.buffer.capacity() < 1000, "{}", reader.buffer.capacity());
        for (filling, is_event) in [(100 - EVENT.len(), true), (101 - EVENT.len(), false)] {
            for end in ["\n", "\r\n", ""] {
                let lines = lines(
                    format!("{endless}\n{EVENT}{}{end}", " ".repeat(filling)).as_bytes(),
                    100,
                );
                assert!(lines[0].event.as_ref().unwrap_err().contains("longer than 100 bytes"));
                assert_eq!((lines[1].number, lines[1].event.is_ok()), (2, is_event), "{end:?}");
                assert_eq!(lines[0].bytes, 1_000_001);
            }
        }
    }

    /// A pipe that gives a line and then nothing must not hold that line back.
    #[test]
    fn a_line_is_passed_on_before_the_next_one_is_waited_for() {
        struct Once(bool);
        impl Read for Once {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                assert!(
                    !std::mem::replace(&mut self.0, true),
                    "read again before the first line was passed on"
                );
                let line = format!("{EVENT}\n");
                to[..line.len()].copy_from_slice(line.as_bytes());
                Ok(line.len())
            }
        }
        let mut passed_on = 0;
        pass_on(Lines::new(Once(false), 1000), &EventLimits::default(), |batch| {
            passed_on += batch.unwrap().len();
            false
        });
        assert_eq!(passed_on, 1);
    }

    #[test]
    fn batches_are_bounded() {
        let text = format!("{EVENT}\n").repeat(BATCH_LINES * 3);
        let sizes: Vec<_> = batches(text.as_bytes(), 1000).iter().map(Vec::len).collect();
        assert_eq!(sizes, [BATCH_LINES; 3]);
    }

    #[test]
    fn the_longest_line_has_room_for_the_largest_event() {
        let limits = EventLimits::default();
        let data = "\\u0001".repeat(limits.data_bytes);
        let head = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":""#;
        let line = format!("{head}{data}\"}}");
        assert!(line.len() <= longest_line(&limits));
        assert!(Event::from_json(&line, &limits).is_ok());
    }
}
