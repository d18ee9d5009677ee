//! From a config file to plugins that run, or all that is in the way.

use anyhow::{Context, Result, anyhow, bail};
use palisade::config::{Config, user_cache_dir};
use palisade::{
    CompilerChild, EngineOptions, Inspection, LaunchError, LaunchFailure, LoadError, Runtime, RuntimeBuilder, Source,
};

use crate::placement::{Found, misplaced};

/// The tokio runtime of all commands.
pub(crate) fn tokio() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads to run on")
}

/// A runtime as the config says.
pub(crate) fn build(config: &Config) -> Result<Runtime> {
    Ok(by_config(config)?.build()?)
}

/// The settings of a config.
pub(crate) fn by_config(config: &Config) -> Result<RuntimeBuilder> {
    Ok(config.runtime().compiler(config.compiler(compiler()?)))
}

/// The settings for one plugin without a config. Room for few instances is ready sooner than room for thousands; one with as
/// many memories and tables as it may have by default takes that of thirty-two.
pub(crate) fn by_default() -> Result<RuntimeBuilder> {
    let mut few_instances = EngineOptions::default();
    few_instances.max_instances = Some(32);
    let builder = Runtime::builder().engine(few_instances).compiler(compiler()?);
    Ok(match user_cache_dir() {
        Some(directory) => builder.cache_dir(directory),
        None => builder,
    })
}

/// This very program, in a process of its own.
fn compiler() -> Result<CompilerChild> {
    let program = CompilerChild::this_program().context("this program can't be found, to compile with it")?;
    Ok(program.args(["compile-child"]))
}

/// Starts all plugins, the filters first; none runs when this fails.
pub(crate) async fn launch(config: &Config, runtime: &Runtime) -> Result<()> {
    if config.check_directories().is_err() {
        // They are in the way of a start; whatever else is will be named along with them.
        check(config, runtime).await?;
    }
    if let Err(error) = runtime.launch(config.specs()).await {
        return Err(failed(&lines(&error, config, runtime).await));
    }
    let found: Vec<_> = runtime.plugins().iter().map(Found::from).collect();
    let misplaced = misplaced(config, &found);
    if misplaced.is_empty() {
        return Ok(());
    }
    runtime.shutdown(config.drain).await;
    Err(failed(&misplaced))
}

/// All that would stop a launch before the first plugin starts.
pub(crate) async fn check(config: &Config, runtime: &Runtime) -> Result<Vec<Inspection>> {
    let mut problems = Vec::new();
    if let Err(error) = config.check_directories() {
        problems.push(error.to_string());
    }
    let inspections = match runtime.check(config.specs()).await {
        Ok(inspections) => inspections,
        Err(error) => {
            problems.extend(lines(&error, config, runtime).await);
            Vec::new()
        }
    };
    problems.extend(misplaced(
        config,
        &inspections.iter().map(Found::from).collect::<Vec<_>>(),
    ));
    if problems.is_empty() {
        return Ok(inspections);
    }
    Err(failed(&problems))
}

async fn lines(error: &LaunchError, config: &Config, runtime: &Runtime) -> Vec<String> {
    let mut lines = Vec::new();
    for failure in &error.0 {
        let line = match failure {
            LaunchFailure::Load(LoadError::AlreadyLoaded { plugin }) => {
                let files = files_of(plugin, config, runtime).await;
                format!("{failure}: {}", files.join(" and "))
            }
            _ => failure.to_string(),
        };
        // A third one of the same name says the same.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The files whose plugins have this name. What one calls itself shows only when it is looked at again, which nobody waits
/// for but who has two of them.
async fn files_of(name: &str, config: &Config, runtime: &Runtime) -> Vec<String> {
    let mut files = Vec::new();
    for spec in config.specs() {
        let Source::File(path) = &spec.source else { continue };
        let file = path.display().to_string();
        if runtime.inspect(spec).await.is_ok_and(|found| found.name == name) {
            files.push(file);
        }
    }
    files
}

fn failed(problems: &[String]) -> anyhow::Error {
    let many = if problems.len() == 1 {
        "a plugin"
    } else {
        "some plugins"
    };
    anyhow!("{many} can't be started:\n{}", indent(problems))
}

fn indent(problems: &[String]) -> String {
    let lines = problems.iter().flat_map(|problem| problem.lines());
    lines.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Refuses a config without plugins: more likely it is the wrong file than meant so.
pub(crate) fn nothing_to_run(config: &Config) -> Result<()> {
    if config.plugins.is_empty() && config.filters.is_empty() {
        bail!("the config has no [[plugin]] and no [[filter]], so there is nothing to run");
    }
    Ok(())
}
