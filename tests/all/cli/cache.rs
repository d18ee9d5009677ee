//! The cache of the binary.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// How many entries a directory has; 0 if it is not there.
fn entries(directory: &Path) -> usize {
    let files = fs::read_dir(directory).into_iter().flatten();
    files
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|name| name == "aot")
        })
        .count()
}

impl Dir {
    /// With a user's cache directory in here.
    fn with_home(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command
            .env("XDG_CACHE_HOME", self.path("home"))
            .output()
            .unwrap()
            .into()
    }
}

/// S10: by default it is in the user's cache directory, for every command; the second of them has nothing to compile.
#[test]
fn s10_the_users_cache_directory_is_used() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n[engine]\ncompile-time = \"1ms\"");
    dir.file("event.json", line("1", "a.b", ""));
    let check = ["check", "--config", "palisade.toml"];
    dir.with_home(&check).expect(1).says(&["engine.compile-time"]);
    dir.with_home(&["inspect", &component("probe")]).expect(0);
    assert_eq!(entries(&dir.path("home/palisade")), 1);
    dir.with_home(&check).expect(0);
    dir.with_home(&["call", &component("probe"), "event.json", "--config", "palisade.toml"])
        .expect(0);
    dir.with_home(&["call", &component("probe"), "event.json"]).expect(0);
    assert_eq!(entries(&dir.path("home/palisade")), 1);
}

/// S10: `cache-dir` names another directory, relative to the config, or none; `cache-size` bounds it.
#[test]
fn s10_cache_dir_and_cache_size_are_kept() {
    for (keys, here) in [
        ("cache-dir = \"here/of/mine\"", 1),
        ("cache-dir = \"here/of/mine\"\ncache-size = 1000", 0),
        ("cache-dir = false", 0),
    ] {
        let dir = Dir::new();
        let plugin = format!("[[plugin]]\npath = \"{}\"", component("probe"));
        dir.file("etc/palisade.toml", format!("{keys}\n{plugin}"));
        dir.with_home(&["check", "--config", "etc/palisade.toml"]).expect(0);
        assert_eq!(entries(&dir.path("etc/here/of/mine")), here, "{keys}");
        assert!(!dir.path("home").exists(), "{keys}");
    }
}

/// S10: a directory that others may enter is told with the remedy, and stops nobody.
#[test]
fn s10_a_shared_cache_directory_is_warned_about() {
    let dir = Dir::with("cache-dir = \"shared\"\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"");
    fs::create_dir(dir.path("shared")).unwrap();
    fs::set_permissions(dir.path("shared"), fs::Permissions::from_mode(0o755)).unwrap();
    let ended = dir.palisade(&["check", "--config", "palisade.toml"]).expect(0);
    ended.says(&["WARN", "others may enter it (mode 755)", "`chmod 700 ", "cache-dir"]);
    assert_eq!(entries(&dir.path("shared")), 0);
}

/// H38: an entry that was tampered with is told, and compiled anew.
#[test]
fn h38_a_damaged_entry_is_warned_about() {
    let dir = Dir::with("cache-dir = \"cache\"\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"");
    let check = ["check", "--config", "palisade.toml"];
    dir.palisade(&check).expect(0);
    for file in fs::read_dir(dir.path("cache")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some() {
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let ended = dir.palisade(&check).expect(0);
    ended.says(&["WARN", "compiled anew", "its authentication code is wrong"]);
    let ended = dir.palisade(&check).expect(0);
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
}
