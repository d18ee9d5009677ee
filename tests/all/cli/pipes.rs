//! What is no plain file is not waited for.

use super::*;

/// A named pipe. Whoever opens it all the same finds it empty, rather than waiting for ever.
fn pipe(dir: &Dir, name: &str) -> PathBuf {
    let path = dir.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let other_end = path.clone();
    std::thread::spawn(move || while fs::File::options().write(true).open(&other_end).is_ok() {});
    path
}

const REFUSED: &str = "it is a named pipe, not a plain file";

/// S10, H34: a component, the event of a call, a config.
#[test]
fn s10_h34_a_pipe_is_no_file_to_be_read() {
    let dir = Dir::new();
    pipe(&dir, "pipe");
    let probe = component("probe");
    for arguments in [
        &["inspect", "pipe"][..],
        &["call", &probe, "pipe"],
        &["check", "--config", "pipe"],
        &["run", "--config", "pipe", "--stdin"],
    ] {
        dir.palisade(arguments).expect(1).says(&["error: pipe: ", REFUSED]);
    }
    dir.palisade(&["check", "--config", "/dev/zero"])
        .expect(1)
        .says(&["/dev/zero: can't be read: it is a device, not a plain file"]);
}

/// S10, H34, L4: what a config names: a component, a file of settings, a secret.
#[test]
fn s10_h34_a_config_that_names_a_pipe_is_refused() {
    for table in [
        "path = \"pipe.toml\"",
        "path = \"PLUGINS/probe.wasm\"\nconfig-file = \"pipe.toml\"",
        "path = \"PLUGINS/probe.wasm\"\nconfig = { token = { file = \"pipe.toml\" } }",
    ] {
        let dir = Dir::with(&format!("[[plugin]]\n{table}"));
        pipe(&dir, "pipe.toml");
        for arguments in [
            &["check", "--config", "palisade.toml"][..],
            &["run", "--config", "palisade.toml", "--stdin"],
        ] {
            dir.palisade(arguments).expect(1).says(&["pipe.toml", REFUSED]);
        }
    }
}

/// What the process was given open is read, whatever it is: a shell's `<(command)` is such a one.
#[test]
fn a_descriptor_of_the_process_is_read() {
    let (dir, probe) = (Dir::new(), component("probe"));
    for event in ["-", "/dev/stdin", "/dev/fd/0"] {
        dir.piped(&["call", &probe, event], line("e-1", "user.login", "1"))
            .expect(0);
    }
}
