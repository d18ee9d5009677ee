//! What a guest says: its log, stdout and stderr, within a quota and safe to print.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::sandbox::secrets::Secrets;
use crate::terminal::is_unsafe_to_show;

/// The longest line that is kept; the rest of a longer one is dropped.
const MAX_LINE: usize = 8 * 1024;
/// The longest word for where a line comes from.
const MAX_CONTEXT: usize = 256;
/// How much of the end of stderr is kept for the message of a trap: a panic writes there.
const TAIL: usize = 4 * 1024;
/// How much one write of a stream may carry.
const MAX_WRITE: usize = 64 * 1024;

/// How grave a guest's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the author only.
    Trace,
    /// For who looks for a fault.
    Debug,
    /// Worth knowing; what a guest writes to stdout.
    Info,
    /// Something may be wrong; what a guest writes to stderr.
    Warn,
    /// Something is wrong.
    Error,
}

/// One line of a guest: at most 8 KiB of it, and nothing in it that moves a cursor, starts a line or turns the direction of
/// the text.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogRecord<'a> {
    /// Whose line it is.
    pub plugin: &'a str,
    /// How grave.
    pub level: LogLevel,
    /// The guest's own word for where it comes from; `stdout` and `stderr` for these.
    pub context: &'a str,
    /// What it says.
    pub message: &'a str,
}

/// Where guests' lines go. Called on the task that runs the guest, so it must not block.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one line.
    fn log(&self, record: LogRecord<'_>);
}

/// Hands lines to `tracing`, with the target `palisade::guest`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingLog;

impl LogSink for TracingLog {
    fn log(
        &self,
        LogRecord {
            plugin,
            level,
            context,
            message,
        }: LogRecord<'_>,
    ) {
        const TARGET: &str = "palisade::guest";
        match level {
            LogLevel::Trace => tracing::trace!(target: TARGET, plugin, context, "{message}"),
            LogLevel::Debug => tracing::debug!(target: TARGET, plugin, context, "{message}"),
            LogLevel::Info => tracing::info!(target: TARGET, plugin, context, "{message}"),
            LogLevel::Warn => tracing::warn!(target: TARGET, plugin, context, "{message}"),
            LogLevel::Error => tracing::error!(target: TARGET, plugin, context, "{message}"),
        }
    }
}

/// One plugin's log: the quota is the plugin's, however many instances it has.
pub(crate) struct GuestLog {
    plugin: Arc<str>,
    sink: Arc<dyn LogSink>,
    bytes_per_second: u64,
    bucket: Mutex<Bucket>,
    /// What the plugin was told in confidence.
    secrets: ArcSwap<Secrets>,
}

struct Bucket {
    bytes: u64,
    filled: Instant,
    dropped: u64,
    /// When the log last said that lines were dropped: once a second at most, or that itself would be a flood.
    told: Option<Instant>,
}

/// What a line costs besides its text: the time, the level and the name that are written with it.
const LINE_COST: u64 = 64;

/// How long after one notice of dropped lines the next may come.
const NOTICES: Duration = Duration::from_secs(1);

impl GuestLog {
    pub(crate) fn new(plugin: Arc<str>, sink: Arc<dyn LogSink>, bytes_per_second: u64) -> Arc<Self> {
        let bytes = bytes_per_second.saturating_mul(2);
        let bucket = Mutex::new(Bucket {
            bytes,
            filled: Instant::now(),
            dropped: 0,
            told: None,
        });
        Arc::new(Self {
            plugin,
            sink,
            bytes_per_second,
            bucket,
            secrets: ArcSwap::default(),
        })
    }

    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// L4: adds to what is not shown when the plugin says it. Nothing is ever taken out: instances with an older config
    /// may still be there.
    pub(crate) fn hide(&self, secrets: &[String]) {
        let mut all = Secrets::clone(&self.secrets.load());
        all.add(secrets);
        self.secrets.store(Arc::new(all));
    }

    /// What the plugin says, safe to show, without its secrets and cut. However much it says, only what is shown is looked at.
    pub(super) fn shown(&self, said: &str, max: usize) -> String {
        let secrets = self.secrets.load();
        let (said, beyond) = secrets.hidden(said, max);
        printable_of(&said, max, beyond)
    }

    /// Writes one line, or counts it as dropped.
    pub(crate) fn line(&self, level: LogLevel, context: &str, message: &str) {
        let bytes = context.len().min(MAX_CONTEXT) + message.len().min(MAX_LINE);
        let Some(dropped) = self.take(bytes as u64 + LINE_COST) else {
            return;
        };
        let (context, message) = (self.shown(context, MAX_CONTEXT), self.shown(message, MAX_LINE));
        if dropped > 0 {
            let message = format!("lines of this plugin that were dropped: {dropped} (plugin.limits.log-bytes)");
            self.emit(LogLevel::Warn, "palisade", &message);
        }
        self.emit(level, &context, &message);
    }

    fn emit(&self, level: LogLevel, context: &str, message: &str) {
        self.sink.log(LogRecord {
            plugin: &self.plugin,
            level,
            context,
            message,
        });
    }

    /// Pays for a line; `None` when there is no budget, else how many dropped lines are to be told of before it.
    fn take(&self, cost: u64) -> Option<u64> {
        let mut bucket = lock(&self.bucket);
        let elapsed = bucket.filled.elapsed();
        let refill = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(self.bytes_per_second)
            / 1000;
        if refill > 0 {
            bucket.bytes = bucket
                .bytes
                .saturating_add(refill)
                .min(self.bytes_per_second.saturating_mul(2));
            bucket.filled = Instant::now();
        }
        if bucket.bytes < cost {
            bucket.dropped += 1;
            return None;
        }
        bucket.bytes -= cost;
        if bucket.dropped == 0 || bucket.told.is_some_and(|told| told.elapsed() < NOTICES) {
            return Some(0);
        }
        bucket.told = Some(Instant::now());
        Some(std::mem::take(&mut bucket.dropped))
    }
}

/// A text that is safe to show, cut where its shown form reaches a length: escapes make it longer, and count.
pub(super) fn printable(text: &str, max: usize) -> String {
    printable_of(text, max, 0)
}

/// The same for the beginning of a longer text, of which so many bytes are left out.
fn printable_of(text: &str, max: usize, beyond: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for (at, character) in text.char_indices() {
        let before = shown.len();
        if is_unsafe_to_show(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        if shown.len() > max {
            shown.truncate(before);
            shown.push_str(&format!(" [{} bytes cut]", text.len() - at + beyond));
            return shown;
        }
    }
    if beyond > 0 {
        shown.push_str(&format!(" [{beyond} bytes cut]"));
    }
    shown
}

/// Stdout or stderr of one instance: lines go to the log, the end of stderr is kept for the words of a panic.
#[derive(Clone)]
pub(crate) struct GuestStream {
    of: Arc<GuestStreams>,
    is_stderr: bool,
}

/// Both of one instance: made for each, so in one piece.
struct GuestStreams {
    log: Arc<GuestLog>,
    /// What was written of a line that has not ended yet.
    stdout: Mutex<Vec<u8>>,
    /// The same.
    stderr: Mutex<Vec<u8>>,
    /// What was written to stderr last.
    tail: Mutex<VecDeque<u8>>,
    /// Whether there is something in it that nobody has taken or forgotten: each call looks, and few write.
    has_tail: AtomicBool,
}

impl GuestStream {
    /// Stdout and stderr of a new instance.
    pub(crate) fn both(log: Arc<GuestLog>) -> (Self, Self) {
        let of = Arc::new(GuestStreams {
            log,
            stdout: Mutex::default(),
            stderr: Mutex::default(),
            tail: Mutex::default(),
            has_tail: AtomicBool::new(false),
        });
        let stdout = Self {
            of: of.clone(),
            is_stderr: false,
        };
        (stdout, Self { of, is_stderr: true })
    }

    /// Forgets what was written to stderr: it was not of the call that begins.
    #[inline]
    pub(crate) fn forget_tail(&self) {
        // Only the instance's own calls write, and they never overlap.
        if self.of.has_tail.load(Ordering::Relaxed) {
            drop(self.take_tail());
        }
    }

    /// What was written last, and forgets it.
    pub(crate) fn take_tail(&self) -> String {
        self.of.has_tail.store(false, Ordering::Relaxed);
        let tail: Vec<u8> = std::mem::take(&mut *lock(&self.of.tail)).into();
        String::from_utf8_lossy(&tail).into_owned()
    }

    fn push(&self, bytes: &[u8]) {
        let GuestStreams { stdout, stderr, .. } = &*self.of;
        if self.is_stderr {
            self.keep_tail(bytes);
        }
        let mut unended = lock(if self.is_stderr { stderr } else { stdout });
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = (MAX_LINE + 1).saturating_sub(unended.len());
            unended.extend(piece.iter().take(room));
            if pieces.peek().is_some() {
                let line = std::mem::take(&mut *unended);
                self.line(&String::from_utf8_lossy(&line));
            }
        }
    }

    fn line(&self, line: &str) {
        let (level, context) = if self.is_stderr {
            (LogLevel::Warn, "stderr")
        } else {
            (LogLevel::Info, "stdout")
        };
        self.of.log.line(level, context, line);
    }

    fn keep_tail(&self, bytes: &[u8]) {
        let mut tail = lock(&self.of.tail);
        tail.extend(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes));
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
        self.of.has_tail.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl LogSink for Lines {
        fn log(&self, record: LogRecord<'_>) {
            self.0.lock().unwrap().push(record.message.to_owned());
        }
    }

    fn lines(log: &Lines) -> Vec<String> {
        std::mem::take(&mut *log.0.lock().unwrap())
    }

    /// H20: what would move a terminal's cursor or forge a line of its own is escaped.
    #[tokio::test(start_paused = true)]
    async fn h20_control_characters_are_escaped_and_long_lines_cut() {
        let sink = Arc::new(Lines::default());
        let log = GuestLog::new("p".into(), sink.clone(), 1 << 20);
        log.line(LogLevel::Info, "c", "a\nb\u{1b}[31mc\r");
        log.line(LogLevel::Info, "c", &"x".repeat(MAX_LINE + 5));
        let lines = lines(&sink);
        assert_eq!(lines.first().unwrap(), "a\\nb\\u{1b}[31mc\\r");
        assert!(lines.get(1).unwrap().ends_with("x [5 bytes cut]"));
    }

    /// L4: a secret is shown neither in the words nor in where they are from, and none that was hidden is shown again.
    #[tokio::test(start_paused = true)]
    async fn l4_secrets_are_hidden_wherever_a_line_has_them() {
        struct Contexts(Lines);
        impl LogSink for Contexts {
            fn log(&self, record: LogRecord<'_>) {
                let line = format!("{}: {}", record.context, record.message);
                self.0.0.lock().unwrap().push(line);
            }
        }
        let sink = Arc::new(Contexts(Lines::default()));
        let log = GuestLog::new("p".into(), sink.clone(), 1 << 20);
        log.hide(&["first".to_owned()]);
        log.hide(&["second".to_owned()]);
        log.line(LogLevel::Info, "at first", "the second");
        assert_eq!(lines(&sink.0), ["at [redacted]: the [redacted]"]);
    }

    /// H20: escapes count for the length of a line, so that control characters are no way to write six times as much.
    #[test]
    fn h20_a_line_of_control_characters_is_no_longer_than_others() {
        let shown = printable(&"\u{1b}".repeat(MAX_LINE), MAX_LINE);
        assert!(shown.len() <= MAX_LINE + 32, "{}", shown.len());
        assert!(shown.ends_with(" bytes cut]"));
    }

    /// H20: neither do the separators and direction marks of Unicode pass.
    #[test]
    fn h20_what_ends_a_line_or_turns_its_direction_is_escaped() {
        assert_eq!(
            printable("a\u{2028}b\u{202e}c\u{9b}\u{e9}", 64),
            "a\\u{2028}b\\u{202e}c\\u{9b}\u{e9}"
        );
    }

    /// S1, H20: beyond the quota lines are dropped and counted; the budget comes back with time.
    #[tokio::test(start_paused = true)]
    async fn s1_log_bytes_violated_drops_and_counts() {
        let sink = Arc::new(Lines::default());
        let log = GuestLog::new("p".into(), sink.clone(), 100);
        for _ in 0..100 {
            log.line(LogLevel::Info, "", "1234");
        }
        assert_eq!(lines(&sink).len(), 2);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        log.line(LogLevel::Info, "", "back");
        let lines = lines(&sink);
        assert!(
            lines
                .first()
                .unwrap()
                .ends_with("were dropped: 98 (plugin.limits.log-bytes)")
        );
        assert_eq!(lines.get(1).unwrap(), "back");
    }
}
