//! Stdout: every event that a plugin publishes, one CloudEvents JSON a line.
//!
//! A native handler takes them off the bus and hands them to a thread that writes, since a write may wait for whoever reads
//! our stdout. While many wait, [`room`](Stdout::room) keeps stdin from being read, so that a slow reader slows all down and
//! loses nothing.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use palisade::{
    Context, Event, Failure, Origin, Overflow, Pattern, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The name of the handler; plugins' handlers have a plugin before theirs.
pub(crate) const HANDLER: &str = "stdout";
/// While more events than this wait to be written, stdin is not read.
const ROOM: usize = 1024;
/// How many the thread is handed at most; more wait in the handler's queue.
const HANDED: usize = 2 * ROOM;
/// How many are written between two flushes at most.
const BATCH: usize = 256;

/// The way to stdout.
pub(crate) struct Stdout {
    items: mpsc::Sender<Item>,
    written: oneshot::Receiver<()>,
    shared: Arc<Shared>,
    patterns: Vec<Pattern>,
}

/// What did not get out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwritten {
    pub(crate) events: usize,
    /// Why nothing can be written any more; without a reason there was no time.
    pub(crate) why: Option<String>,
}

enum Item {
    Event(Event),
    /// Nothing comes after this.
    End,
}

#[derive(Default)]
struct Shared {
    /// Handed over and not written yet.
    waiting: AtomicUsize,
    /// Not written because nobody reads any more.
    lost: AtomicUsize,
    less: Notify,
    closed: CancellationToken,
    error: OnceLock<io::Error>,
}

impl Stdout {
    /// Starts the thread that writes to `out`. `patterns` are what the plugins may publish: nothing else need come by.
    pub(crate) fn start(out: impl Write + Send + 'static, patterns: Vec<Pattern>) -> Result<Self> {
        let (items, receiver) = mpsc::channel(HANDED);
        let (done, written) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            out: BufWriter::new(out),
            items: receiver,
            shared: shared.clone(),
            line: Vec::new(),
        };
        let write = move || {
            writer.run();
            // Nobody waits for it any more if the receiver is gone.
            let _ = done.send(());
        };
        thread::Builder::new()
            .name(HANDLER.to_owned())
            .spawn(write)
            .context("no thread to write stdout")?;
        Ok(Self {
            items,
            written,
            shared,
            patterns,
        })
    }

    /// Subscribes to what plugins may publish; before they start, since they may publish from then on.
    pub(crate) fn subscribe(&self, runtime: &Runtime) -> Result<()> {
        if self.patterns.is_empty() {
            return Ok(());
        }
        let patterns: Vec<_> = self.patterns.iter().map(Pattern::as_str).collect();
        let (items, shared) = (self.items.clone(), self.shared.clone());
        let hand_over = move |cx: Context| hand_over(cx, items.clone(), shared.clone());
        runtime.subscribe_with(&patterns, HANDLER, options(), hand_over)?;
        Ok(())
    }

    /// Whether an event of this type comes by here; one that nobody else is subscribed to went unmatched all the same.
    pub(crate) fn matches(&self, event_type: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(event_type))
    }

    /// Returns when few enough wait to be written.
    pub(crate) async fn room(&self) {
        self.at_most(ROOM).await;
    }

    /// Returns when none waits to be written.
    pub(crate) async fn flushed(&self) {
        self.at_most(0).await;
    }

    /// Returns when nobody reads stdout any more.
    pub(crate) async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    /// Writes what waits, until the deadline.
    pub(crate) async fn finish(mut self, deadline: Instant) -> Unwritten {
        // Without a thread to take it there is nothing to wait for either.
        let end = async { self.items.send(Item::End).await.is_ok() && (&mut self.written).await.is_ok() };
        let _ = timeout_at(deadline, end).await;
        let Shared {
            waiting, lost, error, ..
        } = &*self.shared;
        Unwritten {
            events: waiting.load(Ordering::SeqCst) + lost.load(Ordering::SeqCst),
            why: error.get().map(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => "stdout was closed by its reader".to_owned(),
                _ => format!("stdout can't be written to: {error}"),
            }),
        }
    }

    async fn at_most(&self, waiting: usize) {
        loop {
            let less = self.shared.less.notified();
            tokio::pin!(less);
            less.as_mut().enable();
            if self.shared.waiting.load(Ordering::SeqCst) <= waiting {
                return;
            }
            less.await;
        }
    }
}

/// A reader that is slow, even for hours, makes no event fail.
fn options() -> SubscribeOptions {
    SubscribeOptions::default()
        .timeout(Duration::from_secs(24 * 60 * 60))
        .queue(QueuePolicy {
            events: 65_536,
            bytes: 256 * 1024 * 1024,
            overflow: Overflow::Block,
        })
        .retry(RetryPolicy::none())
}

/// An event from stdin is never echoed, whatever its type.
async fn hand_over(cx: Context, items: mpsc::Sender<Item>, shared: Arc<Shared>) -> Result<(), Failure> {
    if cx.origin != Origin::Handler {
        return Ok(());
    }
    match items.reserve().await {
        Ok(room) => {
            shared.waiting.fetch_add(1, Ordering::SeqCst);
            room.send(Item::Event(cx.event.clone()));
        }
        // The run is about to end for this reason, and says so; a dead letter for each would only be more noise.
        Err(_) => drop(shared.lost.fetch_add(1, Ordering::SeqCst)),
    }
    Ok(())
}

struct Writer<W: Write> {
    out: BufWriter<W>,
    items: mpsc::Receiver<Item>,
    shared: Arc<Shared>,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        loop {
            match self.write_batch() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.give_up(error),
            }
        }
    }

    /// Writes what is there and flushes it, so that no line waits for the next. False at the end.
    fn write_batch(&mut self) -> io::Result<bool> {
        let mut next = self.items.blocking_recv();
        let mut written = 0;
        while let Some(Item::Event(event)) = &next {
            self.line.clear();
            event.write_json(&mut self.line);
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
            written += 1;
            if written == BATCH {
                break;
            }
            match self.items.try_recv() {
                Ok(item) => next = Some(item),
                Err(_) => break,
            }
        }
        self.out.flush()?;
        self.shared.waiting.fetch_sub(written, Ordering::SeqCst);
        self.shared.less.notify_waiters();
        Ok(matches!(next, Some(Item::Event(_))))
    }

    fn give_up(mut self, error: io::Error) {
        self.items.close();
        while self.items.try_recv().is_ok() {}
        let lost = self.shared.waiting.swap(0, Ordering::SeqCst);
        self.shared.lost.fetch_add(lost, Ordering::SeqCst);
        // There is one writer, and it gives up once.
        let _ = self.shared.error.set(error);
        self.shared.closed.cancel();
        self.shared.less.notify_waiters();
        // What is buffered would be tried again when it is dropped.
        let _ = self.out.into_parts();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Mutex;

    /// Takes so many bytes and then fails.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap();
            if written.len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            written.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone())
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    fn event(number: usize) -> Event {
        Event::builder("out.x", "/tests")
            .id(number.to_string())
            .build()
            .unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    async fn hand(stdout: &Stdout, number: usize) {
        stdout.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = stdout.items.send(Item::Event(event(number))).await;
    }

    #[tokio::test]
    async fn what_is_handed_over_is_written_in_order_before_finish_returns() {
        let sink = Sink(Arc::default(), usize::MAX);
        let stdout = Stdout::start(sink.clone(), Vec::new()).unwrap();
        for number in 0..3 * BATCH {
            hand(&stdout, number).await;
        }
        assert_eq!(stdout.finish(soon()).await, Unwritten::default());
        let expected: Vec<_> = (0..3 * BATCH).map(|number| event(number).to_json()).collect();
        assert_eq!(sink.lines(), expected);
    }

    /// Writes nothing before it may.
    struct Gate(std::sync::mpsc::Receiver<()>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The other end is dropped to open the gate.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn there_is_no_room_while_many_wait_to_be_written() {
        let (closed, gate) = std::sync::mpsc::channel();
        let stdout = Stdout::start(Gate(gate), Vec::new()).unwrap();
        for number in 0..ROOM {
            hand(&stdout, number).await;
        }
        assert!(stdout.room().now_or_never().is_some());
        hand(&stdout, ROOM).await;
        assert!(stdout.room().now_or_never().is_none());
        drop(closed);
        stdout.room().await;
        stdout.flushed().await;
        assert_eq!(stdout.finish(soon()).await, Unwritten::default());
    }

    #[tokio::test]
    async fn what_can_t_be_written_in_time_is_counted() {
        let (_closed, gate) = std::sync::mpsc::channel();
        let stdout = Stdout::start(Gate(gate), Vec::new()).unwrap();
        hand(&stdout, 0).await;
        assert_eq!(stdout.finish(Instant::now()).await, Unwritten { events: 1, why: None });
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_is_noticed_and_what_was_lost_is_counted() {
        let line = event(0).to_json().len() + 1;
        let stdout = Stdout::start(Sink(Arc::default(), line), Vec::new()).unwrap();
        hand(&stdout, 0).await;
        stdout.flushed().await;
        hand(&stdout, 1).await;
        stdout.closed().await;
        stdout.room().await;
        let why = Some("stdout was closed by its reader".to_owned());
        assert_eq!(stdout.finish(soon()).await, Unwritten { events: 1, why });
    }

    #[tokio::test]
    async fn only_what_handlers_publish_is_written() {
        let sink = Sink(Arc::default(), usize::MAX);
        let stdout = Stdout::start(sink.clone(), vec!["out.*".parse().unwrap()]).unwrap();
        assert!(stdout.matches("out.x") && !stdout.matches("in"));
        let runtime = Runtime::builder().build().unwrap();
        stdout.subscribe(&runtime).unwrap();
        let answer = |cx: Context| async move {
            cx.publish(palisade::Draft::new("out.answer"))
                .map_err(|error| Failure::reject(error.to_string()))?;
            Ok(())
        };
        runtime.subscribe("in", "answers", answer).unwrap();
        let echo = Event::builder("out.x", "/tests")
            .extension("hopcount", 1)
            .build()
            .unwrap();
        for event in [echo, Event::builder("in", "/tests").build().unwrap()] {
            runtime.publish_async(event).await.unwrap();
        }
        runtime.quiet().await;
        assert_eq!(stdout.finish(soon()).await, Unwritten::default());
        let lines = sink.lines();
        assert!(lines.len() == 1 && lines.concat().contains("out.answer"), "{lines:?}");
    }
}
