//! T7: the start of a hundred plugins whose machine code is there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use palisade::PluginSpec;
use palisade_tests::plugin;
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::arguments::Arguments;
use crate::ours;
use crate::raw::RawHost;
use crate::raw_artifact;
use crate::raw_engine::engine;
use crate::report::Row;
use crate::turns::{nanos, turns};

const WHAT: &str = "start of 100 plugins, each another component, warm cache";
const PLUGINS: u32 = 100;

pub(crate) async fn row(arguments: &Arguments) -> Result<Row> {
    let components = Components::new(PLUGINS)?;
    let artifacts = components.compiled()?;
    start(&components, PLUGINS).await?;
    let turns = turns(
        arguments.rounds(51, 15),
        async || start(&components, PLUGINS).await,
        async || raw_start(&artifacts).await,
    )
    .await?;
    Ok(Row::ratio("T7", WHAT, "ms", turns, 1.5))
}

/// Components that do the same and are not the same: each has a section of its own, which nobody reads.
pub(crate) struct Components {
    directory: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Components {
    pub(crate) fn new(count: u32) -> Result<Self> {
        let directory = tempfile::tempdir().context("no directory")?;
        let probe = fs::read(plugin("probe"))?;
        let mut files = Vec::new();
        for number in 0..count {
            let mut bytes = probe.clone();
            let data = number.to_le_bytes();
            let section = CustomSection {
                name: "number".into(),
                data: data.as_slice().into(),
            };
            section.append_to_component(&mut bytes);
            let file = directory.path().join(format!("probe-{number}.wasm"));
            fs::write(&file, bytes)?;
            files.push(file);
        }
        Ok(Self { directory, files })
    }

    /// Where they are, and what is made of them.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Those that another process has made there.
    pub(crate) fn files_in(directory: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
        files.sort();
        Ok(files)
    }

    /// Where compiled code is kept.
    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Forgets what was compiled.
    pub(crate) fn cool(&self) -> Result<()> {
        match fs::remove_dir_all(self.cache()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn specs(&self, count: u32) -> Vec<PluginSpec> {
        let files = self.files.iter().take(count as usize).enumerate();
        files
            .map(|(number, file)| ours::granted(PluginSpec::from_file(file)).name(format!("probe-{number}")))
            .collect()
    }

    /// Beside each file its code for a raw engine: all the same, but for where it is.
    fn compiled(&self) -> Result<Vec<PathBuf>> {
        let code = self.directory.path().join("probe.cwasm");
        raw_artifact::write_probe(&engine(1)?, &code)?;
        let mut artifacts = Vec::new();
        for file in &self.files {
            let file = file.with_extension("cwasm");
            fs::copy(&code, &file)?;
            artifacts.push(file);
        }
        Ok(artifacts)
    }
}

/// The milliseconds until so many of them run, in a runtime that was there before.
pub(crate) async fn start(components: &Components, count: u32) -> Result<f64> {
    let runtime = ours::crowded(components.directory.path(), PLUGINS + 50)?;
    let specs = components.specs(count);
    let begin = Instant::now();
    runtime.launch(specs).await?;
    Ok(nanos(begin) / 1e6)
}

/// The same with engine and linker that were there before, too.
async fn raw_start(artifacts: &[PathBuf]) -> Result<f64> {
    let host = RawHost::new(PLUGINS + 50)?;
    let mut instances = Vec::new();
    let begin = Instant::now();
    for artifact in artifacts {
        let component = raw_artifact::read(host.engine(), artifact)?;
        instances.push(host.plugin(&component)?.instance().await?);
    }
    let took = nanos(begin) / 1e6;
    drop(instances);
    Ok(took)
}
