//! A thread with a connection. What comes while it is at work is done together, in one transaction and with one fsync (group
//! commit); an answer is given when that is on the disk, and in the order of the jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::delivery::{StoreError, Then};
use crate::handler::{BoxFuture, panic_message};

/// How many jobs may be with the thread; those who bring more wait.
const WAITING: usize = 1024;
/// How many jobs one transaction takes at most.
const TOGETHER: usize = 512;

/// Work that is under way.
pub(super) struct Begun<T> {
    /// Whether it has its place before what is begun later; else it has once the answer is waited for.
    pub(super) is_handed_over: bool,
    pub(super) answer: BoxFuture<'static, Result<T, StoreError>>,
}

/// Something to be done in a transaction. It may be run again, alone, where the transaction that it shared failed.
trait Job: Send {
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;
    /// After the commit, or instead of it.
    fn end(self: Box<Self>, committed: Result<(), StoreError>);
}

enum Message {
    Job(Box<dyn Job>),
    /// Takes what rides along, though nothing else is asked.
    Flush,
    /// No more of them.
    End,
}

/// Jobs that want no transaction of their own. None when the thread takes no more.
type Riders = Arc<Mutex<Option<Vec<Box<dyn Job>>>>>;

/// Its handle; the thread ends when it is told to, or this is dropped, and all is done.
pub(super) struct Worker {
    jobs: mpsc::UnboundedSender<Message>,
    /// Jobs that go with the next transaction, whoever's that is.
    riders: Riders,
    room: Arc<Semaphore>,
    /// Nobody at the other end: it has ended.
    ended: watch::Receiver<()>,
    id: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// `close` gets the connection when all is done. Of a connection that only reads, transactions take no lock.
    pub(super) fn start(
        name: &str,
        db: Connection,
        close: impl FnOnce(Connection) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (at_work, ended) = watch::channel(());
        let riders = Riders::new(Mutex::new(Some(Vec::new())));
        let riding = riders.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _at_work = at_work;
            close(serve(db, waiting, &riding));
        });
        let thread = thread.map_err(|error| StoreError::Failed(format!("no thread for the store: {error}")))?;
        Ok(Self {
            jobs,
            riders,
            room: Arc::new(Semaphore::new(WAITING)),
            ended,
            id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does the work in a transaction and returns what came of it once that is on the disk.
    ///
    /// The work may be called again if the transaction failed, so it changes nothing but the database. Dropped before the
    /// job is taken nothing happens; dropped later all of it does.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.run_then(work, Box::new(|_| ())).await
    }

    /// The same; `then` sees it on the thread, where the order is that of the commits.
    pub(super) async fn run_then<T, W>(&self, work: W, then: Then<T>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.begin(work, then).answer.await
    }

    /// The same, handed over before this returns if there is room.
    pub(super) fn begin<T, W>(&self, work: W, then: Then<T>) -> Begun<T>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (jobs, room) = (self.jobs.clone(), self.room.clone());
        let (answer, answered) = oneshot::channel();
        let hand_over = move |room: Option<OwnedSemaphorePermit>| {
            let is_open = room.is_some();
            let job = Box::new(Work {
                work,
                value: None,
                then,
                answer,
                room,
            });
            if !is_open {
                job.end(Err(StoreError::Closed));
            } else if let Err(mpsc::error::SendError(Message::Job(job))) = jobs.send(Message::Job(job)) {
                job.end(Err(StoreError::Closed));
            }
        };
        // At once: tokio would have those who acquire much take turns, and so change the order in which they asked.
        let (is_handed_over, later) = match room.clone().try_acquire_owned() {
            Ok(permit) => {
                hand_over(Some(permit));
                (true, None)
            }
            Err(_) => (false, Some(hand_over)),
        };
        let answer = async move {
            if let Some(hand_over) = later {
                hand_over(room.acquire_owned().await.ok());
            }
            answered.await.map_err(|_| StoreError::Closed)?
        };
        Begun {
            is_handed_over,
            answer: Box::pin(answer),
        }
    }

    /// The same, in the transaction of whatever is asked next, so that it costs no fsync of its own; in one of its own when
    /// nothing is asked for `patience`. What is asked by other ways is not held up, nor held in order with it.
    pub(super) async fn ride_along<T, W>(&self, work: W, then: Then<T>, patience: Duration) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let room = self.room.clone().acquire_owned().await.ok();
        let is_open = room.is_some();
        let (answer, mut answered) = oneshot::channel();
        let job = Box::new(Work {
            work,
            value: None,
            then,
            answer,
            room,
        });
        match self.riders.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(riders) if is_open => riders.push(job),
            _ => return Err(StoreError::Closed),
        }
        let answer = match tokio::time::timeout(patience, &mut answered).await {
            Ok(answer) => answer,
            Err(_) => {
                let _ = self.jobs.send(Message::Flush);
                answered.await
            }
        };
        answer.map_err(|_| StoreError::Closed)?
    }

    /// Takes no more jobs; the thread ends when it has done those that it has.
    pub(super) fn end(&self) {
        self.room.close();
        let _ = self.jobs.send(Message::End);
    }

    /// Returns when the thread has ended.
    pub(super) async fn ended(&self) {
        // An error says that the other end is gone, which is what is waited for.
        let _ = self.ended.clone().changed().await;
        self.join();
    }

    /// Waits for the thread's end.
    pub(super) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = thread.map(JoinHandle::join);
    }

    /// Whether this is the thread that asks.
    pub(super) fn is_here(&self) -> bool {
        std::thread::current().id() == self.id
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Until all is done.
fn serve(mut db: Connection, mut waiting: mpsc::UnboundedReceiver<Message>, riders: &Riders) -> Connection {
    let mut messages = Vec::new();
    while waiting.blocking_recv_many(&mut messages, TOGETHER) > 0 {
        let mut batch = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Job(job) => batch.push(job),
                Message::Flush => {}
                Message::End => waiting.close(),
            }
        }
        let mut riders = riders.lock().unwrap_or_else(PoisonError::into_inner);
        batch.append(riders.as_mut().unwrap_or(&mut Vec::new()));
        drop(riders);
        commit(&mut db, batch);
    }
    let last = riders.lock().unwrap_or_else(PoisonError::into_inner).take();
    commit(&mut db, last.unwrap_or_default());
    db
}

struct Work<T, W> {
    work: W,
    value: Option<T>,
    then: Then<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    /// None where the store is closed.
    room: Option<OwnedSemaphorePermit>,
}

impl<T, W> Job for Work<T, W>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), StoreError> {
        let ran = catch_unwind(AssertUnwindSafe(|| (self.work)(db)));
        let value = ran.unwrap_or_else(|panic| {
            let words = panic_message(&*panic);
            Err(StoreError::Failed(format!("a panic in the store: {words}")))
        })?;
        self.value = Some(value);
        Ok(())
    }

    fn end(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self {
            value,
            then,
            answer,
            room,
            ..
        } = *self;
        let result = committed.and_then(|()| value.ok_or(StoreError::Closed));
        drop(room);
        // What hears of it is the bus; the thread goes on whatever becomes of that.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| then(&result))) {
            tracing::error!(panic = panic_message(&*panic), "whoever was told of a commit panicked");
        }
        let _ = answer.send(result);
    }
}

/// All of them in one transaction; without those that fail where some do; or each in its own where that one failed.
fn commit(db: &mut Connection, mut batch: Vec<Box<dyn Job>>) {
    if batch.is_empty() {
        return;
    }
    if all_or_nothing(db, &mut batch).is_ok() {
        return batch.into_iter().for_each(|job| job.end(Ok(())));
    }
    match together(db, &mut batch) {
        Ok(results) => end(batch, results),
        Err(error) if batch.len() == 1 => end(batch, vec![Err(error)]),
        Err(error) => {
            tracing::debug!(%error, jobs = batch.len(), "a group commit failed; each job is tried alone");
            for job in batch {
                let mut alone = vec![job];
                let result = together(db, &mut alone);
                end(alone, result.unwrap_or_else(|error| vec![Err(error)]));
            }
        }
    }
}

fn end(batch: Vec<Box<dyn Job>>, results: Vec<Result<(), StoreError>>) {
    batch.into_iter().zip(results).for_each(|(job, result)| job.end(result));
}

/// One transaction for jobs of which none fails, as nearly always: savepoints, which copy each page before it is changed, are
/// not needed then. An error means that nothing was committed.
fn all_or_nothing(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let transaction = begin(db)?;
    for job in batch {
        job.run(&transaction)?;
        if transaction.is_autocommit() {
            return Err(StoreError::Failed("the transaction was lost".to_owned()));
        }
    }
    Ok(transaction.commit()?)
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    let behavior = match db.is_readonly("main")? {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    Ok(db.transaction_with_behavior(behavior)?)
}

/// One transaction; what a job did that failed is undone alone. An error means that nothing was committed.
fn together(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut transaction = begin(db)?;
    let mut results = Vec::with_capacity(batch.len());
    for job in batch {
        let savepoint = transaction.savepoint()?;
        let result = job.run(&savepoint);
        if savepoint.is_autocommit() {
            // SQLite gave up the whole transaction, as it may when the disk is full.
            return Err(result
                .err()
                .unwrap_or(StoreError::Failed("the transaction was lost".to_owned())));
        }
        match result {
            Ok(()) => savepoint.commit()?,
            // Dropped, it is rolled back.
            Err(_) => drop(savepoint),
        }
        results.push(result);
    }
    transaction.commit()?;
    Ok(results)
}

#[cfg(test)]
mod tests;
