//! Compiling is bounded: whatever a component, or the compiler's program, does to it, a load ends with a typed error, and the
//! others are served.

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

use palisade::{CompileError, Compiler, CompilerChild, ComponentError, LoadError, PluginSpec, Runtime, RuntimeBuilder};
use palisade_tests::{binary, event, hostile, limits, small_engine, spec};
use serde_json::Value;
use tempfile::TempDir;

use super::beside::neighbour;
use super::costly::costly;
use super::patched::{built, replaced};

/// Nothing takes so long.
const LONG: Duration = Duration::from_secs(3600);
const MIB: u64 = 1024 * 1024;

/// The compiler that the binary uses.
fn child() -> CompilerChild {
    CompilerChild::new(binary()).args(["compile-child"])
}

/// A compiler that does as a shell is told.
fn shell(script: &str) -> CompilerChild {
    CompilerChild::new("/bin/sh").args(["-c", script]).time(LONG)
}

fn costly_spec() -> PluginSpec {
    PluginSpec::from_bytes(costly()).name("costly")
}

/// A cache with the neighbour in it, so that it can be started beside any compiler.
struct Beside(TempDir);

impl Beside {
    async fn new() -> Self {
        let beside = Self(tempfile::tempdir().unwrap());
        let runtime = beside.builder().build().unwrap();
        runtime.load(neighbour()).await.unwrap();
        beside
    }

    fn builder(&self) -> RuntimeBuilder {
        Runtime::builder()
            .engine(small_engine())
            .cache_dir(self.0.path().join("cache"))
    }

    /// Loads what this compiler must not get through with; the neighbour must be served meanwhile and afterwards.
    async fn refused(&self, compiler: impl Into<Compiler>, plugin: PluginSpec) -> (ComponentError, String) {
        let runtime = self.builder().compiler(compiler).build().unwrap();
        runtime.launch(vec![neighbour()]).await.unwrap();
        let (loaded, ()) = tokio::join!(runtime.load(plugin), serves(&runtime));
        serves(&runtime).await;
        assert_eq!(runtime.plugins().len(), 1, "nothing is left of it");
        let error = loaded.expect_err("refused");
        let words = error.to_string();
        let LoadError::Component { source, .. } = error else {
            panic!("{words}")
        };
        (source, words)
    }

    async fn refused_costly(&self, compiler: impl Into<Compiler>) -> (CompileError, String) {
        match self.refused(compiler, costly_spec()).await {
            (ComponentError::Compile(error), words) => (error, words),
            (_, words) => panic!("{words}"),
        }
    }
}

async fn serves(runtime: &Runtime) {
    let report = runtime.publish(event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("neighbour/all").is_some(), "{report:?}");
}

/// S10, H33: what takes the compiler too long is refused with the limit and its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h33_compile_time_violated() {
    let limit = Duration::from_millis(300);
    let (error, words) = Beside::new().await.refused_costly(child().time(limit)).await;
    assert_eq!(error, CompileError::Time { limit });
    assert!(
        words.starts_with("costly: compiling it took more than 300ms (engine.compile-time)"),
        "{words}"
    );
}

/// S10, H33: what takes the compiler too much memory is refused with the limit and its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h33_compile_memory_violated() {
    let limit = 200 * MIB;
    let (error, words) = Beside::new()
        .await
        .refused_costly(child().time(LONG).memory(limit))
        .await;
    assert_eq!(error, CompileError::Memory { limit });
    assert!(
        words.starts_with("costly: compiling it needs more than 209715200 bytes of memory (engine.compile-memory)"),
        "{words}"
    );
}

/// S10, H33: ordinary plugins, metered or not, are compiled well within the defaults (a fifth of the memory), and run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_compile_budget_obeyed() {
    let builder = Runtime::builder().engine(small_engine());
    let runtime = builder.compiler(child().memory(200 * MIB)).build().unwrap();
    let metered = limits(|limits| limits.fuel = Some(1_000_000_000));
    let specs = vec![
        neighbour(),
        hostile(),
        spec("no-secrets"),
        spec("auth-enhancer").limits(metered),
    ];
    runtime.launch(specs).await.unwrap();
    serves(&runtime).await;
    let report = runtime.publish(event("user.login", Value::Null)).await.unwrap();
    let outcome = report.of("auth-enhancer/logins").expect("it handles logins");
    assert!(outcome.fuel.is_some_and(|fuel| fuel > 0), "{outcome:?}");
}

/// S10, H34, H35: a file is refused by the same words, wherever it is compiled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h34_wrong_files_get_the_same_words_from_a_child() {
    let whole = built("probe");
    let mut damaged = whole.clone();
    damaged[whole.len() / 3..][..8].fill(0xff);
    let beside = Beside::new().await;
    for bytes in [
        b"(component)".to_vec(),
        b"\0asm\x01\0\0\0".to_vec(),
        b"\0asm\x0d\0\x01\0".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        damaged,
        replaced(&whole, "palisade:plugin/handler", "palisade:plugin/hangman"),
    ] {
        let plugin = PluginSpec::from_bytes(bytes).name("wrong");
        let in_process = beside.refused(Compiler::InProcess, plugin.clone()).await;
        assert_eq!(in_process, beside.refused(child(), plugin).await);
    }
}

/// S10: a compiler that crashes is told with what it said last; one that the kernel ended, with the limit that did it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_that_crashes_is_a_typed_error() {
    let beside = Beside::new().await;
    for (script, expected) in [
        ("exit 3", "failed at it: exit status: 3"),
        ("echo first >&2; echo '\x1boops' >&2; exit 1", "it said: \\u{1b}oops"),
        ("kill -SEGV $$", "failed at it: signal: 11"),
        ("kill -KILL $$", "when the machine's memory runs out"),
        ("kill -ABRT $$", "failed at it: signal: 6"),
        ("yes no | head -c 1000000 >&2; exit 7", "exit status: 7"),
    ] {
        let (error, words) = beside.refused_costly(shell(script)).await;
        assert!(matches!(error, CompileError::Failed { .. }), "{script}: {words}");
        assert!(
            words.contains("the compiler /bin/sh") && words.contains(expected),
            "{script}: {words}"
        );
    }
    let out_of_memory = "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$";
    let (error, _) = beside.refused_costly(shell(out_of_memory).memory(MIB)).await;
    assert_eq!(error, CompileError::Memory { limit: MIB });
    let (error, _) = beside
        .refused_costly(shell("echo '\"out-of-memory\"'").memory(MIB))
        .await;
    assert_eq!(error, CompileError::Memory { limit: MIB });
    let (error, _) = beside.refused_costly(shell("kill -XCPU $$")).await;
    assert_eq!(error, CompileError::Time { limit: LONG });
    let (error, _) = beside.refused_costly(shell("echo '\"gave-up\"'")).await;
    assert_eq!(error, CompileError::GaveUp);
}

/// S10: a compiler that says what ours never says is not believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_that_prints_garbage_is_a_typed_error() {
    let beside = Beside::new().await;
    for (script, expected) in [
        ("true", "it is empty"),
        ("head -c 100000 /dev/zero", "it has no first line"),
        ("echo hello", "its first line is none of ours"),
        ("cat", "its first line is none of ours"),
        (r#"echo '{"artifact":5}'; echo abc"#, "4 bytes instead of 5"),
        (r#"echo '{"artifact":4}'; echo abc"#, "its machine code can't be loaded"),
        (r#"echo '"other-engine"'"#, "it compiles for another engine"),
    ] {
        let (error, words) = beside.refused_costly(shell(script)).await;
        assert!(matches!(error, CompileError::Garbled { .. }), "{script}: {words}");
        assert!(words.contains(expected), "{script}: {words}");
    }
}

/// S10: no more is read of a compiler than a quarter of its memory; then it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_that_prints_too_much_is_a_typed_error() {
    let compiler = shell("exec cat /dev/zero").memory(4 * MIB);
    let (error, words) = Beside::new().await.refused_costly(compiler).await;
    assert_eq!(error, CompileError::Size { limit: MIB });
    assert!(
        words.contains("more than 1048576 bytes") && words.contains("engine.compile-memory"),
        "{words}"
    );
}

/// S10: a compiler that never ends, silent or not, is killed at the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_that_never_ends_is_a_typed_error() {
    let (beside, limit) = (Beside::new().await, Duration::from_millis(100));
    for script in [
        "exec sleep 100000",
        "exec yes >&2",
        "exec >&- 2>&- <&-; exec sleep 100000",
    ] {
        let (error, words) = beside.refused_costly(shell(script).time(limit)).await;
        assert_eq!(error, CompileError::Time { limit }, "{script}: {words}");
    }
}

/// S10: a compiler that can't be started is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_that_can_not_be_started_is_named() {
    let (error, words) = Beside::new()
        .await
        .refused_costly(CompilerChild::new("/none/such"))
        .await;
    assert!(matches!(error, CompileError::NotStarted { .. }), "{words}");
    assert!(words.contains("the compiler /none/such can't be started"), "{words}");
}

/// S10: it gets nothing of our environment, and is killed when nobody waits for the plugin any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_compiler_dies_with_the_load_that_wanted_it() {
    let beside = Beside::new().await;
    let pipe = beside.0.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = format!("exec > {}; echo \"home: $HOME\"; exec sleep 100000", pipe.display());
    let runtime = beside.builder().compiler(shell(&script)).build().unwrap();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let loading = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.load(costly_spec()).await.map(drop) }
    });
    // It has both ends of a pipe now: the line shows that it runs, the end of the pipe that it is gone.
    let (mut reader, line) = tokio::task::spawn_blocking(move || {
        let (mut reader, mut line) = (File::open(pipe).unwrap(), [0; 7]);
        reader.read_exact(&mut line).unwrap();
        (reader, line)
    })
    .await
    .unwrap();
    assert_eq!(&line, b"home: \n");
    loading.abort();
    assert!(loading.await.is_err());
    let rest = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()).unwrap());
    assert_eq!(rest.await.unwrap(), 0);
    serves(&runtime).await;
}

/// S10: no more of them run at a time than there are processors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_as_many_compilers_run_at_a_time_as_there_are_processors() {
    let beside = Beside::new().await;
    let processors = std::thread::available_parallelism().unwrap().get();
    let running = beside.0.path().join("running");
    std::fs::create_dir(&running).unwrap();
    // Each counts those that run, itself included, and takes its time, so that others could start if nothing kept them.
    let script = format!(
        "cd {}; echo > $$; set -- *; cat > /dev/null; sleep 0.1; rm $$; echo \"$# at a time\" >&2; exit 1",
        running.display()
    );
    let runtime = beside.builder().compiler(shell(&script)).build().unwrap();
    let loads = (0..processors * 3).map(|_| runtime.load(costly_spec()));
    for refused in futures_util::future::join_all(loads).await {
        let words = refused.expect_err("refused").to_string();
        let count = words.split("it said: ").nth(1).and_then(|said| said.split(' ').next());
        let count: usize = count.and_then(|count| count.parse().ok()).expect(&words);
        assert!((1..=processors).contains(&count), "{words}");
    }
}
