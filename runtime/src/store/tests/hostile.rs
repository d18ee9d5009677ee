//! A data directory that somebody else has had his hands on (H46).

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::heard::heard;
use super::*;

const NAMES: [&str; 5] = [
    "palisade.lock",
    "palisade.db",
    "palisade.db-wal",
    "palisade.db-shm",
    "palisade.db-journal",
];

fn refused(directory: &Path) -> String {
    match DurableStore::open(directory, StoreOptions::default()) {
        Ok(_) => panic!("it is opened"),
        Err(error) => error.to_string(),
    }
}

/// A data directory with an empty store, and without that file.
fn without(name: &str) -> TempDir {
    let (directory, store) = empty();
    drop(store);
    let _ = fs::remove_file(directory.path().join(name));
    directory
}

/// Of the links to that file.
fn make(what: &str, path: &Path, file: &Path) {
    match what {
        "a named pipe" => {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        }
        "a symbolic link" => symlink(file, path).unwrap(),
        "a directory" => fs::create_dir(path).unwrap(),
        _ => fs::hard_link(file, path).unwrap(),
    }
}

/// H46: a named pipe, a symbolic link, a directory or a second name in the place of any of the store's files is refused at
/// once and by what it is.
#[tokio::test]
async fn h46_what_is_no_plain_file_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("file");
    fs::write(&file, "").unwrap();
    for name in NAMES {
        for what in ["a named pipe", "a symbolic link", "a directory", "a hard link"] {
            let directory = without(name);
            let path = directory.path().join(name);
            make(what, &path, &file);
            let words = refused(directory.path());
            assert!(
                words.contains(what) && words.contains(path.to_str().unwrap()),
                "{words}"
            );
        }
    }
    assert_eq!(fs::read(&file).unwrap(), b"", "nothing was written through a link");
}

/// H46, D2: a store is not opened a second time through a link to its database; the data directory itself may be a link.
#[tokio::test]
async fn h46_a_store_has_one_name() {
    let (directory, store) = empty();
    append(&store, "1", &["a"]).await;
    let other = tempfile::tempdir().unwrap();
    let database = directory.path().join("palisade.db");
    symlink(&database, other.path().join("palisade.db")).unwrap();
    assert!(DurableStore::is_in(other.path()));
    assert!(refused(other.path()).contains("a symbolic link"));
    let link = other.path().join("data");
    symlink(directory.path(), &link).unwrap();
    assert!(refused(&link).contains("in use by another process"));
    drop(store);
    let store = DurableStore::open(&link, StoreOptions::default()).unwrap();
    assert_eq!(ids(&store, "a").await, ["1"]);
}

/// H46: a database that says that it is a store, and has not what a store has, or more, is refused with what was found.
#[tokio::test]
async fn h46_another_schema_is_refused_with_what_was_found() {
    for (sql, what) in [
        ("DROP TABLE pair", "its table pair is missing"),
        ("DROP INDEX delivery_by_event", "its index delivery_by_event is missing"),
        ("DROP TRIGGER pair_added", "its trigger pair_added is missing"),
        ("DROP TABLE seen; CREATE TABLE seen (at)", "seen"),
        (
            "CREATE TRIGGER evil AFTER INSERT ON event BEGIN DELETE FROM delivery; END",
            "it has a trigger evil on event that no Palisade made",
        ),
        ("CREATE VIEW more AS SELECT 1", "it has a view more"),
        ("CREATE TABLE more (x)", "it has a table more"),
        (
            "ALTER TABLE delivery ADD COLUMN more TEXT",
            "its table delivery is another",
        ),
        ("DELETE FROM total", "'total' has 0 rows"),
        ("PRAGMA user_version = 0", "that no Palisade made"),
        ("PRAGMA user_version = -1", "its version is -1"),
    ] {
        let (directory, store) = empty();
        drop(store);
        let db = Connection::open(directory.path().join("palisade.db")).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let opened = DurableStore::open(directory.path(), StoreOptions::default());
        let error = opened.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{sql}: {error}");
        assert!(error.to_string().contains(what), "{sql}: {error}");
    }
    let bare = tempfile::tempdir().unwrap();
    let db = Connection::open(bare.path().join("palisade.db")).unwrap();
    db.execute_batch("PRAGMA user_version = 1; PRAGMA application_id = 0x50616c31")
        .unwrap();
    drop(db);
    assert!(refused(bare.path()).contains("is missing"));
}

/// H46: what whoever looks after a database does to it is no harm.
#[tokio::test]
async fn h46_a_database_that_was_analysed_and_packed_is_a_store() {
    let (directory, store) = empty();
    append(&store, "1", &["a"]).await;
    drop(store);
    let db = Connection::open(directory.path().join("palisade.db")).unwrap();
    db.execute_batch("ANALYZE; VACUUM").unwrap();
    drop(db);
    assert_eq!(ids(&open(&directory), "a").await, ["1"]);
}

/// H46: a data directory, or else a database, that others may write to is named once, with the remedy; ours alone is not.
#[tokio::test]
async fn h46_what_others_may_write_to_is_warned_of() {
    let (directory, store) = empty();
    drop(store);
    let database = directory.path().join("palisade.db");
    for (of_directory, of_database, remedy) in [
        (0o700, 0o600, None),
        (0o755, 0o644, None),
        (0o777, 0o666, Some((directory.path(), "chmod 700"))),
        (0o770, 0o600, Some((directory.path(), "chmod 700"))),
        (0o700, 0o666, Some((database.as_path(), "chmod 600"))),
        (0o700, 0o620, Some((database.as_path(), "chmod 600"))),
    ] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(of_directory)).unwrap();
        fs::set_permissions(&database, fs::Permissions::from_mode(of_database)).unwrap();
        let (_store, lines) = heard(|| open(&directory));
        match (remedy, lines.as_slice()) {
            (None, []) => {}
            (Some((path, chmod)), [line]) => {
                let remedy = format!("`{chmod} {}`", path.display());
                assert!(line.starts_with("WARN") && line.contains(&remedy), "{line}");
            }
            _ => panic!("{of_directory:o} {of_database:o}: {lines:?}"),
        }
    }
}
