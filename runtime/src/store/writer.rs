//! The one thread that writes. What comes while it is at work is committed together, with one fsync (group commit); an answer
//! is given when the commit is on the disk, and in the order of the jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use crate::handler::panic_message;

/// How many jobs may wait for the thread; those who bring more wait.
const WAITING: usize = 1024;
/// How many jobs one transaction takes at most.
const TOGETHER: usize = 512;

/// Something to be done in a transaction. It may be run again, alone, where the transaction that it shared failed.
trait Job: Send {
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;
    /// After the commit, or instead of it.
    fn end(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Its handle; the thread ends when the last one is dropped and all is done.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Of a connection that only reads, transactions take no lock.
    pub(super) fn start(name: &str, db: Connection) -> std::io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Box<dyn Job>>(WAITING);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut db = db;
            let mut batch = Vec::new();
            while waiting.blocking_recv_many(&mut batch, TOGETHER) > 0 {
                commit(&mut db, std::mem::take(&mut batch));
            }
            if let Err((_, error)) = db.close() {
                tracing::warn!(%error, "the store was not closed in order");
            }
        })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
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
        self.run_then(work, |_| ()).await
    }

    /// The same; `then` sees it on the writer's thread, where the order is that of the commits.
    pub(super) async fn run_then<T, W, D>(&self, work: W, then: D) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        D: FnOnce(&Result<T, StoreError>) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Work {
            work,
            value: None,
            done: move |result: Result<T, StoreError>| {
                then(&result);
                let _ = answer.send(result);
            },
        };
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands work over without waiting for room or for the end; `false` where the store is closed or too busy.
    pub(super) fn hand_over<T, W, D>(&self, work: W, then: D) -> bool
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        D: FnOnce(Result<T, StoreError>) + Send + 'static,
    {
        let job = Work {
            work,
            value: None,
            done: then,
        };
        self.jobs
            .as_ref()
            .is_some_and(|jobs| jobs.try_send(Box::new(job)).is_ok())
    }
}

impl Drop for Writer {
    /// Waits for what was handed over.
    fn drop(&mut self) {
        drop(self.jobs.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a job's own answer, on the thread itself.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

struct Work<T, W, D> {
    work: W,
    value: Option<T>,
    done: D,
}

impl<T, W, D> Job for Work<T, W, D>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, StoreError> + Send,
    D: FnOnce(Result<T, StoreError>) + Send,
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
        let Self { value, done, .. } = *self;
        done(committed.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

/// All of them in one transaction, or each in its own where that one failed.
fn commit(db: &mut Connection, mut batch: Vec<Box<dyn Job>>) {
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
    for (job, result) in batch.into_iter().zip(results) {
        // What hears of it is the bus; the writer goes on whatever becomes of that.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job.end(result))) {
            tracing::error!(panic = panic_message(&*panic), "whoever was told of a commit panicked");
        }
    }
}

/// One transaction; what a job did that failed is undone alone. An error means that nothing was committed.
fn together(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let behavior = match db.is_readonly("main")? {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let mut transaction = db.transaction_with_behavior(behavior)?;
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
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn writer() -> Writer {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x INTEGER UNIQUE)").unwrap();
        Writer::start("test-writer", db).unwrap()
    }

    fn insert(x: i64) -> impl FnMut(&Connection) -> Result<(), StoreError> {
        move |db| {
            db.execute("INSERT INTO t VALUES (?1)", [x])?;
            Ok(())
        }
    }

    async fn count(writer: &Writer) -> i64 {
        let count = |db: &Connection| Ok(db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?);
        writer.run(count).await.unwrap()
    }

    /// D2: one job's failure, or panic, undoes that job alone.
    #[tokio::test]
    async fn d2_a_job_that_fails_undoes_itself_only() {
        let writer = writer();
        let panics = |db: &Connection| -> Result<(), StoreError> {
            db.execute("INSERT INTO t VALUES (7)", [])?;
            panic!("on purpose");
        };
        let (first, twice, panicked, last) = tokio::join!(
            writer.run(insert(1)),
            writer.run(insert(1)),
            writer.run(panics),
            writer.run(insert(2))
        );
        assert!(first.is_ok() && last.is_ok());
        assert!(matches!(twice, Err(StoreError::Failed(_))));
        assert!(panicked.unwrap_err().to_string().contains("on purpose"));
        assert_eq!(count(&writer).await, 2);
    }

    /// D2: those who wait for commits hear of them in the order in which they asked.
    #[tokio::test]
    async fn d2_answers_come_in_order() {
        let writer = writer();
        let heard = Arc::new(Mutex::new(Vec::new()));
        for x in 0..200 {
            let heard = heard.clone();
            assert!(writer.hand_over(insert(x), move |result| {
                result.unwrap();
                heard.lock().unwrap().push(x);
            }));
        }
        assert_eq!(count(&writer).await, 200);
        assert_eq!(*heard.lock().unwrap(), (0..200).collect::<Vec<_>>());
    }

    /// D2: what was handed over is done before the store is closed.
    #[tokio::test]
    async fn d2_a_drop_waits_for_what_was_handed_over() {
        let writer = writer();
        let done = Arc::new(Mutex::new(0));
        for x in 0..100 {
            let done = done.clone();
            writer.hand_over(insert(x), move |result| {
                result.unwrap();
                *done.lock().unwrap() += 1;
            });
        }
        drop(writer);
        assert_eq!(*done.lock().unwrap(), 100);
    }
}
