//! Loading never trusts the file: each wrong one is refused by its own message, and the others run on.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use palisade::{ComponentError, LoadError, PluginKind, PluginSpec, Runtime, digest_of};
use palisade_tests::{hostile, plugin, runtime, spec};
use serde_json::Value;

use super::beside::{self, sin_event};
use super::patched::{built, built_for, replaced};

/// Loads what must be refused, beside a neighbour that must not notice; the message.
async fn refused(spec: PluginSpec) -> (LoadError, String) {
    refused_by(Runtime::builder(), spec).await
}

async fn refused_by(builder: palisade::RuntimeBuilder, spec: PluginSpec) -> (LoadError, String) {
    let error = beside::refused(builder, spec).await;
    let words = error.to_string();
    (error, words)
}

async fn words_about(bytes: impl Into<Vec<u8>>) -> String {
    let (error, words) = refused(PluginSpec::from_bytes(bytes.into()).name("wrong")).await;
    assert!(words.starts_with("wrong: "), "it names the plugin: {words}");
    assert!(matches!(error, LoadError::Component { .. }), "{words}");
    words
}

/// S10, H34: an empty file, text, WebAssembly text, an ELF program and other binaries are each told for what they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h34_foreign_files_are_refused_each_by_its_own_message() {
    let this_test = fs::read(std::env::current_exe().unwrap()).unwrap();
    let mut head_of_this_test = this_test;
    head_of_this_test.truncate(1 << 20);
    let cases: [(&[u8], &str); 6] = [
        (b"", "the file is empty"),
        (b"just some text\n", "a text file, not a component"),
        (b"  (component (core module))", "wasm-tools parse"),
        (
            &head_of_this_test,
            "an ELF file, a native program: build the plugin for wasm32-wasip2",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no WebAssembly file"),
        (&[0xff; 4096], "no WebAssembly file"),
    ];
    for (bytes, expected) in cases {
        let words = words_about(bytes).await;
        assert!(words.contains(expected), "{words}");
    }
}

/// S10, H34: a core module, and a component that is no plugin, are told what to build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h34_core_modules_and_other_worlds_are_refused() {
    let words = words_about(b"\0asm\x01\0\0\0").await;
    assert!(
        words.contains("a core module, not a component") && words.contains("wasm32-wasip2"),
        "{words}"
    );
    let words = words_about(b"\0asm\x0d\0\x01\0").await;
    assert!(words.contains("no Palisade plugin: it exports no interface"), "{words}");
    let without_handler = replaced(
        &built("probe"),
        "palisade:plugin/handler@0.1.0",
        "palisade:plugin/hangman@0.1.0",
    );
    let words = words_about(without_handler).await;
    assert!(
        words.contains("exports `plugin`, but no `handler` or `filter`"),
        "{words}"
    );
}

/// S10, H34: a component that was cut off, wherever, is told to be so, with its length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h34_truncated_components_are_refused() {
    let whole = built("probe");
    for length in [3, 6, 100, whole.len() / 4, whole.len() / 2, whole.len() - 1] {
        let words = words_about(&whole[..length]).await;
        assert!(
            words.contains(&format!("cut off after {length} bytes")),
            "{length}: {words}"
        );
    }
}

/// S10, H34: one whose bytes were changed in the middle is refused, or refused to run; it never takes the host down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h34_damaged_components_are_refused() {
    let whole = built("probe");
    for at in [9, 40, whole.len() / 3] {
        let mut damaged = whole.clone();
        damaged[at..at + 8].fill(0xff);
        let words = words_about(damaged).await;
        assert!(
            words.contains("not valid") || words.contains("cut off"),
            "{at}: {words}"
        );
    }
}

/// S10, H37: a precompiled artifact is never executed, not even one that this very engine made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h37_a_precompiled_artifact_is_refused() {
    let artifact = wasmtime::Engine::default()
        .precompile_component(&built("probe"))
        .unwrap();
    let words = words_about(artifact.clone()).await;
    assert!(
        words.contains("precompiled artifact (.cwasm)") && words.contains("give the .wasm"),
        "{words}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.wasm");
    fs::write(&path, artifact).unwrap();
    let (_, words) = refused(PluginSpec::from_file(&path)).await;
    assert!(words.contains("precompiled artifact"), "whatever its name: {words}");
}

/// S10, H36: bytes that have another digest than the pinned one are refused, with both; those that have it are loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h36_a_pinned_digest_is_kept() {
    let actual = digest_of(&built("probe"));
    let pinned = digest_of(&built("hostile"));
    let (error, words) = refused(spec("probe").name("pinned").digest(&*pinned)).await;
    assert!(matches!(error, LoadError::Digest { .. }), "{words}");
    assert!(
        words.contains(&actual) && words.contains(&pinned) && words.contains("plugin.digest"),
        "{words}"
    );
    let runtime = runtime();
    let loaded = runtime
        .load(spec("probe").digest(actual.to_uppercase().replace("SHA256", "sha256")))
        .await
        .unwrap();
    assert_eq!(loaded.digest, actual);
}

/// S10, H36: the bytes that were hashed are the bytes that run: a file that is replaced after the load changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h36_a_file_replaced_after_the_load_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.wasm");
    fs::copy(plugin("probe"), &path).unwrap();
    let runtime = runtime();
    let pinned = digest_of(&built("probe"));
    runtime
        .load(PluginSpec::from_file(&path).name("pinned").digest(&*pinned))
        .await
        .unwrap();
    fs::copy(plugin("hostile"), &path).unwrap();
    runtime.start("pinned").await.unwrap();
    let report = runtime.publish(sin_event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("pinned/all").is_some(), "{report:?}");
    assert_eq!(runtime.plugin("pinned").unwrap().digest, pinned);
}

/// S10, H36: a file is read once, so that nothing can be put in its place between hash and compiler: it may be a pipe of the process, which
/// gives its bytes to the first reader only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h36_a_file_is_read_only_once() {
    let (reader, mut pipe) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let writer = std::thread::spawn(move || pipe.write_all(&built("probe")));
    let runtime = runtime();
    let pinned = digest_of(&built("probe"));
    runtime
        .launch(vec![PluginSpec::from_file(&path).name("piped").digest(&*pinned)])
        .await
        .unwrap();
    writer.join().unwrap().unwrap();
    let report = runtime.publish(sin_event("any.event", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("piped/all").is_some(), "{report:?}");
}

/// S10: a component larger than the operator lets compile is refused unread, from a file and from memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_max_component_violated() {
    // The neighbour has to fit.
    let limit = built("probe").len() as u64;
    for spec in [hostile(), PluginSpec::from_bytes(built("hostile"))] {
        let (error, words) = refused_by(Runtime::builder().max_component(limit), spec).await;
        let too_large = ComponentError::FileTooLarge { limit };
        assert!(
            matches!(error, LoadError::Component { source, .. } if source == too_large),
            "{words}"
        );
        assert!(words.contains("engine.max-component"), "{words}");
    }
}

/// S10: a file that is not there, and a directory, are told as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_unreadable_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing.wasm")] {
        let (error, words) = refused(PluginSpec::from_file(&path)).await;
        assert!(matches!(error, LoadError::Read { .. }), "{words}");
        assert!(words.contains(path.to_str().unwrap()), "{words}");
    }
}

/// S10, H35: a plugin built for another version of the contract is refused by name and both versions; also one that
/// wasmtime would link silently, since for it 0.1.9 is as good as 0.1.0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h35_other_versions_of_the_contract_are_refused() {
    for version in ["0.2.0", "0.1.9", "0.0.9", "1.0.0"] {
        let words = words_about(built_for("hostile", version)).await;
        let expected = format!("built for palisade:plugin@{version} (palisade:plugin/");
        assert!(
            words.contains(&expected) && words.contains("this runtime offers 0.1.0"),
            "{words}"
        );
    }
}

/// S10, S8, H35: an import that nobody offers is named, also where a grant gives others of its package.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_s8_h35_unknown_imports_are_refused_by_name() {
    let logging = "wasi:logging/logging@0.1.0-draft";
    for (import, expected) in [
        ("wasi:loggins/logging@0.1.0-draft", "which Palisade does not offer"),
        ("wasi:http/outgoing-x@0.1.0-draft", "which Palisade does not offer"),
        (
            "wasi:keyvalue/atoms@0.2.0-draft2",
            "Palisade offers only wasi:keyvalue/store@0.2.0-draft2",
        ),
        (
            "wasi:keyvalue/stores@0.1.0-draft",
            "Palisade offers only wasi:keyvalue/store@0.2.0-draft2",
        ),
        (
            "wasi:config/runtimes@0.2.0-draft",
            "Palisade offers only wasi:config/store@0.2.0-rc.1",
        ),
    ] {
        let words = words_about(replaced(&built("hostile"), logging, import)).await;
        assert!(
            words.contains(&format!("it imports {import}")) && words.contains(expected),
            "{words}"
        );
    }
}

/// S10, H35: an import of a known name with another type can't be linked, and is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h35_an_import_of_another_type_is_refused() {
    let words = words_about(replaced(&built("hostile"), "critical", "cryptical".get(..8).unwrap())).await;
    assert!(
        words.contains("can't be linked") && words.contains("wasi:logging/logging"),
        "{words}"
    );
}

/// S10, H34, H35, H37: what is right is loaded, and told apart by its world.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_whole_plugins_of_both_worlds_are_loaded() {
    let runtime = runtime();
    assert_eq!(runtime.load(spec("probe")).await.unwrap().kind, PluginKind::Event);
    assert_eq!(runtime.load(spec("no-secrets")).await.unwrap().kind, PluginKind::Filter);
    let inspected = runtime.inspect(hostile()).await.unwrap();
    assert!(
        inspected
            .imports
            .iter()
            .any(|import| import == "palisade:plugin/bus@0.1.0"),
        "{:?}",
        inspected.imports
    );
    assert!(
        inspected.info.description.contains("describe may not publish"),
        "{}",
        inspected.info.description
    );
}
