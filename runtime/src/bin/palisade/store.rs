//! The store of a data directory, opened or only looked at.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use palisade::config::Config;
use palisade::{DurableStore, StoreError, StoreOptions};

use crate::text;

/// The store of a config's data-dir, which is made if it is not there; none where it names none. Blocks.
pub(crate) fn open(config: &Config) -> Result<Option<DurableStore>> {
    let Some(directory) = &config.data_dir else {
        return Ok(None);
    };
    opened(directory, config.store_options()).map(Some)
}

/// The store of a directory that has one. Blocks.
pub(crate) fn open_existing(directory: &Path, options: StoreOptions) -> Result<DurableStore> {
    if !DurableStore::is_in(directory) {
        let shown = text::printable(&directory.display().to_string());
        match std::fs::read_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{shown} can't be read"));
            }
            _ => bail!("{shown}: {NONE}"),
        }
    }
    opened(directory, options)
}

const NONE: &str =
    "there is no store in it; it is the directory that data-dir in a config names, once a run has made it";

fn opened(directory: &Path, options: StoreOptions) -> Result<DurableStore> {
    DurableStore::open(directory, options)
        .with_context(|| format!("the data directory {} can't be opened", directory.display()))
}

/// What a start would find in the data directory, in words for `check`; an error is what would stop it. Nothing is made, and
/// nothing locked but for the moment of the look.
pub(crate) fn look(config: &Config) -> Result<Option<String>> {
    let Some(directory) = &config.data_dir else {
        return Ok(None);
    };
    let shown = text::printable(&directory.display().to_string());
    if !DurableStore::is_in(directory) {
        can_be_made(directory)
            .with_context(|| format!("the data directory {shown} can't be made; see to it that it can (data-dir)"))?;
        return Ok(Some(format!("data-dir {shown}: no store yet; `run` makes it")));
    }
    match DurableStore::open(directory, config.store_options()) {
        Ok(_) => Ok(Some(format!("data-dir {shown}: the store can be opened"))),
        Err(StoreError::Locked(_)) => Ok(Some(format!(
            "data-dir {shown}: in use by another process, so it was not looked at; a start while that runs would fail"
        ))),
        Err(error) => Err(error).with_context(|| format!("the data directory {shown} can't be opened")),
    }
}

/// Whether files can be made in this directory, or it in the nearest one above that is there.
fn can_be_made(directory: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    let there = directory
        .ancestors()
        .find(|path| path.exists() || path.as_os_str().is_empty());
    let there = there
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is a file, not a directory", there.display()),
        ));
    }
    Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?)
}
