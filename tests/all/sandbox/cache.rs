//! The cache of machine code: used when it checks out, never otherwise, and in nobody's way.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use palisade::{CompileError, CompilerChild, ComponentError, LoadError, PluginSpec, Runtime, RuntimeBuilder};
use palisade_tests::{binary, event, limits, small_engine, spec};
use serde_json::Value;
use tempfile::TempDir;

use super::beside::neighbour;

/// A directory for a cache.
struct Cached(TempDir);

impl Cached {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the neighbour in it.
    async fn warm() -> Self {
        let cached = Self::new();
        cached.builder().build().unwrap().load(neighbour()).await.unwrap();
        cached
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn builder(&self) -> RuntimeBuilder {
        Runtime::builder().engine(small_engine()).cache_dir(self.path())
    }

    /// A runtime that can load what is in the cache, and nothing else.
    fn without_compiler(&self) -> Runtime {
        let builder = self.builder().compiler(CompilerChild::new("/none/such"));
        builder.build().unwrap()
    }

    /// The names of the entries.
    fn entries(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path()).into_iter().flatten();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "aot"));
        paths.sort();
        paths
    }

    fn entry(&self) -> PathBuf {
        let [entry] = self.entries().try_into().expect("one entry");
        entry
    }

    /// The neighbour's entry, or the key, is not believed: without a compiler it can't be loaded. With one it is compiled
    /// anew, runs, and is in the cache again.
    async fn is_not_believed(&self, what: &str) {
        assert!(self.is_unknown(neighbour()).await, "{what}");
        let runtime = self.builder().build().unwrap();
        serves(&runtime).await;
        serves(&self.without_compiler()).await;
        assert!(fs::symlink_metadata(self.entry()).unwrap().is_file(), "{what}");
    }

    async fn is_unknown(&self, plugin: PluginSpec) -> bool {
        is_unknown(&self.without_compiler(), plugin).await
    }
}

/// Whether a plugin can't be loaded for want of a compiler.
async fn is_unknown(runtime: &Runtime, plugin: PluginSpec) -> bool {
    match runtime.inspect(plugin).await {
        Ok(_) => false,
        Err(LoadError::Component { source, .. }) => {
            assert!(
                matches!(source, ComponentError::Compile(CompileError::NotStarted { .. })),
                "{source}"
            );
            true
        }
        Err(error) => panic!("{error}"),
    }
}

async fn serves(runtime: &Runtime) {
    runtime.launch(vec![neighbour()]).await.unwrap();
    let report = runtime.publish(event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("neighbour/all").is_some(), "{report:?}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn set_age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// S10, H38: what was compiled once, here or in a child, needs no compiler the next time, nor is its `describe` asked again; what
/// is new, and the same for another engine, does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_warm_start_needs_no_compiler() {
    let child = CompilerChild::new(binary()).args(["compile-child"]);
    for builder in [
        |cached: &Cached, _| cached.builder(),
        |cached: &Cached, child| cached.builder().compiler(child),
    ] {
        let cached = Cached::new();
        let cold = builder(&cached, child.clone()).build().unwrap();
        let first = cold.inspect(neighbour()).await.unwrap();
        let warm = cached.without_compiler();
        let second = warm.inspect(neighbour()).await.unwrap();
        assert_eq!(
            (first.info, first.imports, first.digest),
            (second.info, second.imports, second.digest)
        );
        serves(&warm).await;
        assert!(is_unknown(&warm, spec("dependent")).await);
        let metered = neighbour().limits(limits(|limits| limits.fuel = Some(1_000_000_000)));
        assert!(is_unknown(&warm, metered).await);
    }
}

/// S10: the directory is 0700, the key and the entries 0600, and nothing unfinished is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_the_cache_is_its_owners_alone() {
    let cached = Cached::warm().await;
    let (directory, key, entry) = (cached.path(), cached.path().join("key"), cached.entry());
    assert_eq!((mode(&directory), mode(&key), mode(&entry)), (0o700, 0o600, 0o600));
    assert_eq!(fs::metadata(key).unwrap().len(), 32);
    assert_eq!(fs::read_dir(directory).unwrap().count(), 2);
}

/// S10, H38: an entry with any byte flipped is not executed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h38_flipped_bytes_are_never_executed() {
    let cached = Cached::warm().await;
    let (entry, runtime) = (cached.entry(), cached.without_compiler());
    let whole = fs::read(&entry).unwrap();
    let first = 0..48;
    let rest = (48..whole.len()).step_by(whole.len() / 60);
    for at in first.chain(rest).chain([whole.len() - 1]) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&entry, flipped).unwrap();
        assert!(is_unknown(&runtime, neighbour()).await, "byte {at}");
    }
    cached.is_not_believed("the last byte").await;
    assert_eq!(fs::read(&entry).unwrap().len(), whole.len());
}

/// S10, H38: nor is one that was cut off or grew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h38_cut_entries_are_never_executed() {
    let cached = Cached::warm().await;
    let (entry, runtime) = (cached.entry(), cached.without_compiler());
    let whole = fs::read(&entry).unwrap();
    for length in [0, 1, 31, 32, 35, 36, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(&entry, &whole[..length]).unwrap();
        assert!(is_unknown(&runtime, neighbour()).await, "{length} bytes");
    }
    fs::write(&entry, [&whole[..], b"\0"].concat()).unwrap();
    cached.is_not_believed("one byte more").await;
}

/// S10, H38: a good entry does not pass for another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h38_swapped_entries_are_never_executed() {
    let cached = Cached::warm().await;
    let ours = cached.entry();
    cached.builder().build().unwrap().load(spec("dependent")).await.unwrap();
    let other = cached.entries().into_iter().find(|path| *path != ours).unwrap();
    let (one, two) = (fs::read(&ours).unwrap(), fs::read(&other).unwrap());
    fs::write(&ours, two).unwrap();
    fs::write(&other, one).unwrap();
    assert!(cached.is_unknown(neighbour()).await);
    assert!(cached.is_unknown(spec("dependent")).await);
    serves(&cached.builder().build().unwrap()).await;
    serves(&cached.without_compiler()).await;
}

/// S10, H38: with another key no entry is believed; a key that others could have read, or that is none, is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h38_entries_of_another_key_are_never_executed() {
    let cached = Cached::warm().await;
    let key = cached.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    cached.is_not_believed("another key").await;
    assert_eq!(fs::read(&key).unwrap(), [7; 32], "which is as good as any");
    chmod(&key, 0o644);
    cached.is_not_believed("a key for all to read").await;
    assert_eq!((mode(&key), fs::read(&key).unwrap().len()), (0o600, 32));
    assert_ne!(fs::read(&key).unwrap(), [7; 32]);
    fs::write(&key, "short").unwrap();
    cached.is_not_believed("half a key").await;
    let elsewhere = cached.0.path().join("elsewhere");
    fs::rename(&key, &elsewhere).unwrap();
    symlink(&elsewhere, &key).unwrap();
    cached.is_not_believed("a link to a key").await;
    assert!(fs::symlink_metadata(&key).unwrap().is_file() && elsewhere.exists());
}

/// S10, H38: an entry that others may touch, or that is a link, is not executed, although its bytes are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h38_entries_that_others_may_touch_are_never_executed() {
    let cached = Cached::warm().await;
    let entry = cached.entry();
    chmod(&entry, 0o602);
    cached.is_not_believed("one that others may write to").await;
    let elsewhere = cached.0.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    cached.is_not_believed("a link").await;
}

/// S10: a directory that others may enter is not used, and one that can't be made is none; plugins are loaded without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_directory_that_others_may_enter_is_not_used() {
    for shared in [0o755, 0o710, 0o777] {
        let cached = Cached::warm().await;
        let before = fs::metadata(cached.entry()).unwrap().ino();
        chmod(&cached.path(), shared);
        assert!(cached.is_unknown(neighbour()).await, "{shared:o}");
        serves(&cached.builder().build().unwrap()).await;
        assert_eq!(
            fs::metadata(cached.entry()).unwrap().ino(),
            before,
            "nothing is written to it"
        );
        chmod(&cached.path(), 0o700);
        serves(&cached.without_compiler()).await;
    }
    let cached = Cached::new();
    fs::write(cached.path(), "a file").unwrap();
    serves(&cached.builder().build().unwrap()).await;
}

/// S10: two entries that fit are both kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_cache_size_obeyed() {
    let cached = Cached::warm().await;
    let size = fs::metadata(cached.entry()).unwrap().len();
    let runtime = cached.builder().cache_size(size * 3).build().unwrap();
    runtime.load(spec("dependent")).await.unwrap();
    serves(&runtime).await;
    assert_eq!(cached.entries().len(), 2);
}

/// S10: beyond its size the cache loses what was not used for longest; what is larger than all of it is not kept. Either is
/// loaded all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_cache_size_violated() {
    let cached = Cached::warm().await;
    let ours = cached.entry();
    let size = fs::metadata(&ours).unwrap().len();
    let roomy = cached.builder().build().unwrap();
    roomy.load(spec("dependent")).await.unwrap();
    let other = cached.entries().into_iter().find(|path| *path != ours).unwrap();
    // The neighbour's is the older one, but it is used once more.
    set_age(&ours, Duration::from_secs(7200));
    set_age(&other, Duration::from_secs(3600));
    serves(&cached.without_compiler()).await;
    let room = size + fs::metadata(&other).unwrap().len();
    let full = cached.builder().cache_size(room + size / 2).build().unwrap();
    serves(&full).await;
    full.load(spec("hostile-filter")).await.unwrap();
    let left = cached.entries();
    assert!(
        left.contains(&ours) && !left.contains(&other) && left.len() == 2,
        "{left:?}"
    );
    let tiny = Cached::new();
    let runtime = tiny.builder().cache_size(1000).build().unwrap();
    serves(&runtime).await;
    assert_eq!(tiny.entries().len(), 0);
}

/// S10: what a cached plugin says of itself is held against the limits of now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_cached_answer_is_checked_each_time() {
    let cached = Cached::warm().await;
    let narrow = neighbour().limits(limits(|limits| limits.subscriptions = 0));
    let error = cached.without_compiler().inspect(narrow).await.expect_err("too many");
    assert!(error.to_string().contains("plugin.limits.subscriptions"), "{error}");
}

/// S10, H2: a plugin whose `describe` fails is not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_what_can_not_be_loaded_is_not_kept() {
    let cached = Cached::warm().await;
    let short = limits(|limits| limits.timeout = Duration::from_millis(50));
    let runtime = cached.builder().build().unwrap();
    let error = runtime
        .load(spec("hostile-describe").limits(short))
        .await
        .expect_err("spins");
    assert!(matches!(error, LoadError::Describe { .. }), "{error}");
    assert_eq!(cached.entries().len(), 1);
    serves(&runtime).await;
}
