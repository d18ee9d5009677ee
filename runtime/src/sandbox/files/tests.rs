use std::fs;
use std::sync::mpsc::{Sender, channel};

use tempfile::TempDir;

use super::*;
use crate::plugin::grants::FsMode;
use crate::sandbox::log::TracingLog;

const BLOCK: u64 = 4096;

/// The files of a plugin with one directory, that has room for so many blocks.
fn files(root: &TempDir, blocks: u64) -> (Arc<Files>, Arc<Directory>) {
    let log = GuestLog::new(Arc::from("plugin"), Arc::new(TracingLog), 1024);
    let limits = Limits {
        directory_bytes: blocks * BLOCK,
        ..Limits::default()
    };
    let grants = Grants::default().fs(root.path(), "/data", FsMode::Write);
    let files = Files::new(&grants, &limits, &log);
    files.open().unwrap();
    let directory = files.directories[0].clone();
    (files, directory)
}

/// An operation that takes a block, and goes on when it is told to; with the way to tell it.
fn growth() -> (
    impl FnMut(&mut Count) -> FsResult<Option<()>> + Send + 'static,
    Sender<()>,
) {
    let (end, told) = channel();
    let operation = move |count: &mut Count| {
        if !count.take(BLOCK) {
            return Ok(None);
        }
        let _ = told.recv();
        Ok(Some(()))
    };
    (operation, end)
}

/// One that waits for nobody.
fn plain() -> impl FnMut(&mut Count) -> FsResult<Option<()>> + Send + 'static {
    growth().0
}

async fn taken(directory: &Arc<Directory>, limit: u64) -> u64 {
    let mut count = directory.count().await;
    let left = (0..=limit).rev().find(|blocks| count.take(blocks * BLOCK)).unwrap();
    count.give_back(left * BLOCK);
    limit - left
}

/// S1, S2: operations that were begun and that nobody polls hold no lock: whatever comes after them gets its turn, and each
/// is counted once.
#[tokio::test]
async fn s1_s2_what_nobody_waits_for_holds_nobody_up() {
    let root = TempDir::new().unwrap();
    let (files, directory) = files(&root, 20);
    let (first, end) = growth();
    let first = files.grow(&directory, Names::Unused, first);
    let begun: Vec<_> = (0..12)
        .map(|_| files.grow(&directory, Names::Unused, plain()))
        .collect();
    let read: Vec<_> = (0..12).map(|_| files.run(Names::Kept, || Ok(()))).collect();
    tokio::task::yield_now().await;
    drop(end);
    files.grow(&directory, Names::Changed, plain()).await.unwrap();
    files.run(Names::Unused, || Ok(())).await.unwrap();
    for growth in begun.into_iter().chain([first]) {
        growth.await.unwrap();
    }
    for read in read {
        read.await.unwrap();
    }
    assert_eq!(taken(&directory, 20).await, 14);
}

/// S1, S2: in whatever order operations are dropped, those that had begun are counted and those that had not are not, and
/// no lock stays held.
#[tokio::test]
async fn s1_s2_operations_are_dropped_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let root = TempDir::new().unwrap();
        let (files, directory) = files(&root, 20);
        // Measured by now.
        files.grow(&directory, Names::Unused, plain()).await.unwrap();
        let (first, end) = growth();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (mut begun, mut first) = (Some(begun), first);
        let first = files.grow(&directory, Names::Unused, move |count: &mut Count| {
            begun.take().map(|begun| begun.send(()));
            first(count)
        });
        has_begun.await.unwrap();
        let others = [(); 2].map(|()| files.grow(&directory, Names::Changed, plain()));
        let [second, third] = others;
        let mut running = [Some(first), Some(second), Some(third)];
        tokio::task::yield_now().await;
        for at in order {
            running[at] = None;
            tokio::task::yield_now().await;
        }
        drop(end);
        files.grow(&directory, Names::Changed, plain()).await.unwrap();
        assert_eq!(taken(&directory, 20).await, 3, "{order:?}");
    }
}

/// S8, H39: what is put in the place of a granted directory is not what was granted, until the plugin is started again.
#[tokio::test]
async fn s8_h39_a_granted_directory_is_opened_once_a_start() {
    let root = TempDir::new().unwrap();
    let (data, away) = (root.path().join("data"), root.path().join("away"));
    fs::create_dir(&data).unwrap();
    let log = GuestLog::new(Arc::from("plugin"), Arc::new(TracingLog), 1024);
    let grants = Grants::default().fs(&data, "/data", FsMode::Read);
    let files = Files::new(&grants, &Limits::default(), &log);
    let directory = &files.directories[0];
    assert!(directory.root().is_none());
    let is = |path| {
        let root = directory.root().unwrap();
        directory::identity(&root.dir).unwrap() == directory::identity(&fs::File::open(path).unwrap()).unwrap()
    };
    files.open().unwrap();
    fs::rename(&data, &away).unwrap();
    std::os::unix::fs::symlink("/", &data).unwrap();
    assert!(is(&away));
    fs::remove_file(&data).unwrap();
    let why = files.open().unwrap_err();
    assert!(why.contains("the granted directory") && why.contains("data"), "{why}");
    fs::create_dir(&data).unwrap();
    files.open().unwrap();
    assert!(is(&data) && !is(&away));
}
