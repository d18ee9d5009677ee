#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn worker() -> Arc<Worker> {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE t (x INTEGER UNIQUE)").unwrap();
    Arc::new(Worker::start("test-worker", db, drop).unwrap())
}

fn insert(x: i64) -> impl FnMut(&Connection) -> Result<(), StoreError> {
    move |db| {
        db.execute("INSERT INTO t VALUES (?1)", [x])?;
        Ok(())
    }
}

async fn count(worker: &Worker) -> i64 {
    let count = |db: &Connection| Ok(db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?);
    worker.run(count).await.unwrap()
}

/// D2: one job's failure, or panic, undoes that job alone.
#[tokio::test]
async fn d2_a_job_that_fails_undoes_itself_only() {
    let worker = worker();
    let panics = |db: &Connection| -> Result<(), StoreError> {
        db.execute("INSERT INTO t VALUES (7)", [])?;
        panic!("on purpose");
    };
    let (first, twice, panicked, last) = tokio::join!(
        worker.run(insert(1)),
        worker.run(insert(1)),
        worker.run(panics),
        worker.run(insert(2))
    );
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(twice, Err(StoreError::Failed(_))));
    assert!(panicked.unwrap_err().to_string().contains("on purpose"));
    assert_eq!(count(&worker).await, 2);
}

/// D2: whichever jobs fail or panic among others, and whichever ride along, what is there in the end is what was said to be,
/// each once, and commits are heard of in the order in which they were asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_is_answered_is_what_is_there() {
    let worker = worker();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut random = fastrand::Rng::with_seed(7);
    let (mut asked, mut riding) = (Vec::new(), Vec::new());
    let (mut expected, mut in_order) = (Vec::new(), Vec::new());
    for x in 0..3_000_i64 {
        let kind = random.u8(0..40);
        let work = move |db: &Connection| {
            db.execute("INSERT INTO t VALUES (?1)", [x])?;
            assert!(kind != 0, "on purpose");
            match kind {
                1 => Err(StoreError::Failed("on purpose".to_owned())),
                _ => Ok(()),
            }
        };
        let heard = heard.clone();
        let then = move |result: &Result<(), StoreError>| heard.lock().unwrap().push((x, result.is_ok()));
        if kind > 1 {
            expected.push(x);
        }
        if kind.is_multiple_of(3) {
            let (worker, then) = (worker.clone(), Box::new(then));
            let patience = Duration::from_micros(random.u64(0..2_000));
            riding.push((
                x,
                tokio::spawn(async move { worker.ride_along(work, then, patience).await }),
            ));
        } else {
            let begun = worker.begin(work, Box::new(then));
            if begun.is_handed_over {
                in_order.push(x);
            }
            asked.push((x, tokio::spawn(begun.answer)));
        }
        if random.u8(0..50) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (x, answer) in asked.into_iter().chain(riding) {
        assert_eq!(answer.await.unwrap().is_ok(), expected.contains(&x), "{x}");
    }
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert_eq!(heard.len(), 3_000);
    assert!(heard.iter().all(|(x, went_well)| *went_well == expected.contains(x)));
    let of_asked = heard
        .iter()
        .map(|(x, _)| *x)
        .filter(|x| in_order.binary_search(x).is_ok());
    assert!(of_asked.is_sorted(), "all were handed over in their order");
    assert_eq!(count(&worker).await, expected.len() as i64);
}

/// D2: those who wait for commits hear of them in the order in which they asked; one who panics at it has its answer, and
/// the others theirs.
#[tokio::test]
async fn d2_answers_come_in_order() {
    let worker = worker();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let jobs = (0..200).map(|x| {
        let heard = heard.clone();
        let then = move |result: &Result<(), StoreError>| {
            assert!(result.is_ok());
            heard.lock().unwrap().push(x);
            assert!(x != 50, "on purpose");
        };
        worker.run_then(insert(x), Box::new(then))
    });
    let results = futures_util::future::join_all(jobs).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(*heard.lock().unwrap(), (0..200).collect::<Vec<_>>());
}

/// D2: what rides along is in the transaction of the next job, or in its own when none comes; what is there at the end is
/// done, what comes later is refused.
#[tokio::test]
async fn d2_what_rides_along_goes_with_the_next_job_or_when_its_patience_ends() {
    const FOR_EVER: Duration = Duration::from_secs(1_000_000);
    let worker = worker();
    let ride = |x, patience| {
        let worker = worker.clone();
        async move { worker.ride_along(insert(x), Box::new(|_| ()), patience).await }
    };
    let (alone, joined) = tokio::join!(ride(1, FOR_EVER), worker.run(insert(2)));
    assert!(alone.is_ok() && joined.is_ok());
    assert!(ride(3, Duration::from_millis(1)).await.is_ok());
    assert_eq!(count(&worker).await, 3);
    let mut waits = Box::pin(ride(4, FOR_EVER));
    assert!(futures_util::poll!(&mut waits).is_pending());
    worker.end();
    assert!(waits.await.is_ok());
    let late = ride(5, FOR_EVER).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
}

/// D2: what rides along and fails undoes itself alone, and nothing of those who took it along.
#[tokio::test]
async fn d2_what_rides_along_and_fails_undoes_itself_only() {
    let worker = worker();
    worker.run(insert(1)).await.unwrap();
    let twice = worker.ride_along(insert(1), Box::new(|_| ()), Duration::from_secs(3600));
    let (twice, other) = tokio::join!(twice, worker.run(insert(2)));
    assert!(matches!(twice, Err(StoreError::Failed(_))));
    assert!(other.is_ok());
    assert_eq!(count(&worker).await, 2);
}

/// D2: what was handed over is done before the thread ends, whoever waits for it; what comes later is refused.
#[tokio::test]
async fn d2_the_end_waits_for_what_was_handed_over() {
    let worker = worker();
    let jobs: Vec<_> = (0..100)
        .map(|x| {
            let worker = worker.clone();
            tokio::spawn(async move { worker.run(insert(x)).await })
        })
        .collect();
    while worker.room.available_permits() == WAITING {
        tokio::task::yield_now().await;
    }
    worker.end();
    let late = worker.run(insert(1000)).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    tokio::join!(worker.ended(), worker.ended());
    let mut done = 0;
    for job in jobs {
        match job.await.unwrap() {
            Ok(()) => done += 1,
            Err(error) => assert!(matches!(error, StoreError::Closed), "{error}"),
        }
    }
    assert!(done > 0, "what was with the thread has been done");
}
