//! `cache-dir` and `cache-size`.

use std::fmt;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::document::Document;
use super::value::{HostPath, Size, Value};
use crate::builder::RuntimeBuilder;

/// The directory `palisade` in the user's cache directory: what `cache-dir` is if a config does not say; `None` for a user
/// who has no such directory. On Linux and macOS it is `$XDG_CACHE_HOME`, or else `~/.cache`.
pub fn user_cache_dir() -> Option<PathBuf> {
    let user = etcetera::choose_base_strategy().ok()?;
    Some(user.cache_dir().join("palisade"))
}

/// What a config says of the cache.
#[derive(Clone, Debug)]
pub(super) struct CacheSettings {
    pub(super) directory: Option<PathBuf>,
    pub(super) size: Option<Size<u64>>,
}

impl CacheSettings {
    pub(super) fn new(directory: Option<CacheDir>, size: Option<Size<u64>>, document: &Document) -> Self {
        let directory = match directory {
            None => user_cache_dir(),
            Some(CacheDir::Off) => None,
            Some(CacheDir::At(HostPath(path))) => Some(document.path(&path)),
        };
        Self { directory, size }
    }

    pub(super) fn apply(&self, mut builder: RuntimeBuilder) -> RuntimeBuilder {
        if let Some(directory) = &self.directory {
            builder = builder.cache_dir(directory);
        }
        if let Some(size) = &self.size {
            builder = builder.cache_size(size.get());
        }
        builder
    }
}

/// A path, or `false` for no cache.
pub(super) enum CacheDir {
    Off,
    At(HostPath),
}

impl<'de> Deserialize<'de> for CacheDir {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CacheDirVisitor)
    }
}

struct CacheDirVisitor;

impl Visitor<'_> for CacheDirVisitor {
    type Value = CacheDir;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or false for no cache")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<CacheDir, E> {
        if on {
            return Err(E::custom(
                "true names no directory: give a path, false for no cache, or leave the key out for the user's cache directory",
            ));
        }
        Ok(CacheDir::Off)
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<CacheDir, E> {
        path.parse().map(CacheDir::At).map_err(E::custom)
    }
}
