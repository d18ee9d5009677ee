//! Where the repository's things are.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process;

/// The repository this command belongs to, wherever it is started from.
pub(crate) struct Repo {
    root: PathBuf,
}

impl Repo {
    pub(crate) fn find() -> Self {
        // Cargo sets the variable when it runs us; the compiled-in value serves a binary that is started by hand.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        Self {
            root: xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The guests' own workspace.
    pub(crate) fn guest_plugins(&self) -> PathBuf {
        self.path("guest-plugins")
    }

    /// Where `guests` puts the components and everyone else looks for them, whatever `CARGO_TARGET_DIR` says.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.path("target/plugins")
    }

    /// Every file that is tracked, or not yet tracked and not ignored; relative to the root, with slashes.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut git = process::command(self.root(), "git", &["ls-files", "-co", "--exclude-standard", "-z"]);
        let listed = process::output(&mut git)?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect();
        // A file that is deleted but still in the index is listed, too.
        files.retain(|file| self.path(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }
}
