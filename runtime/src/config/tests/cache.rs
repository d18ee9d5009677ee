//! `cache-dir`, `cache-size`, `engine.compile-time` and `engine.compile-memory`.

use super::*;

/// S10: a directory is relative to the file; `false` is none; absent is the user's.
#[test]
fn s10_the_cache_directory_is_as_the_file_says() {
    let dir = Dir::with("cache-dir = \"a/b\"");
    let expected = dir.0.path().join("a/b");
    assert_eq!(dir.read().unwrap().cache.directory, Some(expected));
    assert_eq!(read("cache-dir = false").cache.directory, None);
    assert_eq!(read("").cache.directory, user_cache_dir());
}

/// S10, H47: what makes no sense is named.
#[test]
fn s10_h47_a_wrong_cache_or_compiler_is_named() {
    for (config, words) in [
        ("cache-dir = true", "1:13: cache-dir: true names no directory"),
        ("cache-dir = \"\"", "1:13: cache-dir: a path has at least one character"),
        (
            "cache-dir = 7",
            "1:13: cache-dir: invalid type: integer `7`, expected a path, or false for no cache",
        ),
        ("cache-size = 0", "1:14: cache-size: 0 would allow nothing"),
        (
            "[engine]\ncompile-time = \"0s\"",
            "2:16: engine.compile-time: a time of zero",
        ),
        (
            "[engine]\ncompile-memory = 0",
            "2:18: engine.compile-memory: 0 would allow nothing",
        ),
    ] {
        let problem = wrong(config).remove(0);
        assert!(problem.starts_with(words), "{problem}");
    }
}

/// S10: the limits of the compiler are those of the file.
#[test]
fn s10_the_compiler_has_the_limits_of_the_file() {
    let config = read("[engine]\ncompile-time = \"7s\"\ncompile-memory = \"3MiB\"");
    let compiler = format!("{:?}", config.compiler(CompilerChild::new("p")));
    assert!(compiler.contains("time: 7s, memory: 3145728"), "{compiler}");
}
