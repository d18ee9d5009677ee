//! Plugins of the same bytes share their machine code, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use palisade::{
    CompileError, CompilerChild, ComponentError, Grants, LaunchFailure, LoadError, PluginError, PluginSpec, Runtime,
};
use palisade_tests::{Seen, binary, event, hostile_as, limits, plugin, publishes, small_engine, spec};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::sin_event;
use super::costly::costly;

/// A compiler that can be taken away, and writes down how often it was asked.
struct Counted(TempDir);

impl Counted {
    fn new() -> Self {
        let counted = Self(tempfile::tempdir().unwrap());
        symlink(binary(), counted.compiler()).unwrap();
        counted
    }

    fn compiler(&self) -> PathBuf {
        self.0.path().join("compiler")
    }

    /// A runtime that has no cache, so that what is not shared is compiled.
    fn runtime(&self) -> Runtime {
        let (asked, compiler) = (self.0.path().join("asked"), self.compiler());
        let script = format!(
            "echo once >> '{}'; exec '{}' compile-child",
            asked.display(),
            compiler.display()
        );
        let child = CompilerChild::new("/bin/sh").args(["-c", &script]);
        let builder = Runtime::builder().engine(small_engine()).compiler(child);
        builder.build().unwrap()
    }

    fn asked(&self) -> usize {
        let asked = fs::read_to_string(self.0.path().join("asked")).unwrap_or_default();
        asked.lines().count()
    }
}

fn named(name: &str) -> PluginSpec {
    spec("probe").name(name)
}

async fn serves(runtime: &Runtime, plugins: &[&str]) {
    let report = runtime.publish(event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok(), "{report:?}");
    for plugin in plugins {
        assert!(report.of(&format!("{plugin}/all")).is_some(), "{plugin}: {report:?}");
    }
}

/// S10: the same bytes are compiled once, however many plugins have them and even if they are loaded at the same time; fuel
/// makes them another component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_the_same_bytes_are_compiled_once() {
    let counted = Counted::new();
    let runtime = counted.runtime();
    runtime.launch(["a", "b", "c", "d"].map(named).to_vec()).await.unwrap();
    assert_eq!(counted.asked(), 1);
    // By other ways to the same bytes.
    let bytes = fs::read(plugin("probe")).unwrap();
    let elsewhere = counted.0.path().join("elsewhere.wasm");
    fs::write(&elsewhere, &bytes).unwrap();
    let (from_file, from_bytes) = (PluginSpec::from_file(&elsewhere), PluginSpec::from_bytes(bytes));
    let (one, other) = tokio::join!(runtime.load(from_file.name("e")), runtime.load(from_bytes.name("f")));
    assert_eq!(one.unwrap().digest, other.unwrap().digest);
    assert_eq!(counted.asked(), 1);
    let metered = named("metered").limits(limits(|limits| limits.fuel = Some(1_000_000_000)));
    runtime.launch(vec![metered]).await.unwrap();
    assert_eq!(counted.asked(), 2);
    serves(&runtime, &["a", "b", "c", "d", "metered"]).await;
}

/// S10: what is shared is the bytes that were read: another component behind the same path is another component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h36_code_is_not_shared_by_path() {
    let counted = Counted::new();
    let runtime = counted.runtime();
    let file = counted.0.path().join("plugin.wasm");
    fs::copy(plugin("probe"), &file).unwrap();
    let first = runtime.load(PluginSpec::from_file(&file).name("first")).await.unwrap();
    fs::copy(plugin("hostile"), &file).unwrap();
    let second = runtime.load(PluginSpec::from_file(&file).name("second")).await.unwrap();
    assert_ne!(first.digest, second.digest);
    assert_eq!(second.info.name, "hostile");
    assert_eq!(counted.asked(), 2);
}

/// S10: an unload takes nothing from the others of the same bytes; the last one takes the code with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_code_goes_with_the_last_plugin_that_has_it() {
    let counted = Counted::new();
    let runtime = counted.runtime();
    runtime.launch(vec![named("a"), named("b")]).await.unwrap();
    fs::remove_file(counted.compiler()).unwrap();
    runtime.unload("a").await.unwrap();
    serves(&runtime, &["b"]).await;
    runtime.launch(vec![named("c")]).await.unwrap();
    runtime.unload("b").await.unwrap();
    serves(&runtime, &["c"]).await;
    runtime.unload("c").await.unwrap();
    let error = runtime.load(named("d")).await.unwrap_err();
    assert!(
        matches!(
            &error,
            LoadError::Component {
                source: ComponentError::Compile(CompileError::Failed { .. } | CompileError::Garbled { .. }),
                ..
            }
        ),
        "{error:?}"
    );
}

/// S8, S10: what one plugin is granted no other of the same bytes has: not its environment, not its events, not its right to
/// publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_s10_grants_are_not_shared_with_the_code() {
    let path = std::env::var("PATH").expect("every environment has a PATH");
    let runtime = palisade_tests::runtime();
    let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
    let rich = hostile_as("rich").grants(publishes("hostile.>").env("PATH"));
    let poor = hostile_as("poor");
    let mute = hostile_as("mute").grants(Grants::default());
    runtime.launch(vec![rich, poor, mute]).await.unwrap();
    runtime.publish(sin_event("hostile.env", Value::Null)).await.unwrap();
    runtime.quiet().await;
    let mut told: Vec<_> = reports
        .all()
        .iter()
        .map(|report| {
            (
                report.source().to_owned(),
                report.json::<Value>().unwrap()["env"].clone(),
            )
        })
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("poor".to_owned(), json!({})),
        ("rich".to_owned(), json!({ "PATH": path })),
    ];
    assert_eq!(told, expected);
}

/// S8, S12: that another plugin of the same bytes has the grant for an import, and runs, is none for this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_s12_an_import_is_granted_to_one_plugin_and_not_to_its_code() {
    let runtime = palisade_tests::runtime();
    let ledger = |name: &str| spec("ledger").name(name);
    let granted = ledger("granted").grants(publishes("ledger.*").key_value());
    runtime.launch(vec![granted]).await.unwrap();
    let error = runtime.load(ledger("denied")).await.unwrap_err();
    assert!(
        matches!(
            &error,
            LoadError::Component {
                source: ComponentError::NotGranted { .. },
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(runtime.plugins().len(), 1);
}

/// S1, S10: limits are each plugin's own: what the first of the same bytes may have the second may not, whichever comes
/// first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s10_limits_are_not_shared_with_the_code() {
    let small = || named("small").limits(limits(|limits| limits.memory = 64 * 1024));
    for specs in [vec![named("large"), small()], vec![small(), named("large")]] {
        let runtime = palisade_tests::runtime();
        let LaunchFailure::Load(error) = runtime.launch(specs).await.unwrap_err().0.remove(0) else {
            panic!("it was loaded")
        };
        assert!(
            matches!(
                &error,
                LoadError::Component {
                    plugin,
                    source: ComponentError::TooLarge { .. },
                } if plugin == "small"
            ),
            "{error}"
        );
        runtime.launch(vec![named("large")]).await.unwrap();
        assert!(runtime.load(small()).await.is_err());
        serves(&runtime, &["large"]).await;
    }
}

/// S10, L2: plugins of one launch are prepared several at a time; what is wrong with them is told in the order of the config,
/// all of it, however long each took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_what_is_wrong_with_a_launch_is_told_in_order() {
    let runtime = palisade_tests::runtime();
    let wrong = |name: &str, bytes: &[u8]| PluginSpec::from_bytes(bytes.to_vec()).name(name);
    let specs = || {
        let mut specs = vec![spec("hostile").name("slow"), wrong("text", b"(component)")];
        specs.push(PluginSpec::from_file("/none/such.wasm").name("missing"));
        specs.extend((0..12).map(|number| wrong(&format!("empty-{number}"), b"")));
        specs.push(spec("ledger").name("ungranted"));
        specs.push(named("slow"));
        specs.push(wrong("core", b"\0asm\x01\0\0\0"));
        specs
    };
    let mut expected = vec!["text".to_owned(), "missing".to_owned()];
    expected.extend((0..12).map(|number| format!("empty-{number}")));
    expected.extend(["ungranted", "slow", "core"].map(str::to_owned));
    for _ in 0..3 {
        let error = runtime.launch(specs()).await.unwrap_err();
        let told: Vec<_> = error.0.iter().map(of_plugin).collect();
        assert_eq!(told.len(), expected.len(), "{error}");
        for (told, expected) in told.iter().zip(&expected) {
            assert!(told.starts_with(expected), "{told}: not {expected}");
        }
        assert!(runtime.plugins().is_empty());
    }
}

fn of_plugin(failure: &LaunchFailure) -> String {
    match failure {
        LaunchFailure::Load(
            LoadError::Component { plugin, .. } | LoadError::Read { plugin, .. } | LoadError::AlreadyLoaded { plugin },
        ) => plugin.clone(),
        other => panic!("{other}"),
    }
}

/// S10, H33: what compiling may cost is each component's own, those compiled at the same time included: the one that takes
/// too long is refused, and the others are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h33_each_component_of_a_launch_has_its_own_budget() {
    let limit = Duration::from_secs(5);
    let child = CompilerChild::new(binary()).args(["compile-child"]).time(limit);
    let builder = Runtime::builder().engine(small_engine()).compiler(child);
    let runtime = builder.build().unwrap();
    let costly = |name: &str| PluginSpec::from_bytes(costly()).name(name);
    let specs = vec![costly("one"), named("probe"), costly("two"), spec("hostile")];
    let error = runtime.launch(specs).await.unwrap_err();
    let told: Vec<_> = error.0.iter().map(of_plugin).collect();
    assert_eq!(told, ["one", "two"], "{error}");
    for failure in &error.0 {
        assert!(
            matches!(
                failure,
                LaunchFailure::Load(LoadError::Component {
                    source: ComponentError::Compile(CompileError::Time { .. } | CompileError::Memory { .. }),
                    ..
                })
            ),
            "{failure}"
        );
    }
}

/// S6, S10: a component that has described itself needs no instance to be loaded again; to be started it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_s10_a_component_is_asked_once_who_it_is() {
    let mut engine = small_engine();
    engine.max_instances = Some(1);
    let runtime = Runtime::builder().engine(engine).build().unwrap();
    runtime.launch(vec![named("first")]).await.unwrap();
    runtime.load(named("second")).await.unwrap();
    let error = runtime.start("second").await.unwrap_err();
    assert!(matches!(error, PluginError::Start { .. }), "{error}");
    assert!(error.to_string().contains("engine.max-instances"), "{error}");
    serves(&runtime, &["first"]).await;
}
