//! `palisade check`: what would stop a start, as far as that shows before the plugins' own `start` is run.

use anyhow::{Result, bail};
use palisade::config::Config;
use palisade::{Inspection, PluginSpec};

use crate::arguments::CheckArguments;
use crate::console::with_causes;
use crate::exit::Exit;
use crate::limits::Effective;
use crate::{overlap, show, start, store, text};

pub(crate) fn run(arguments: &CheckArguments) -> Result<Exit> {
    let config = Config::from_file(&arguments.config)?;
    start::nothing_to_run(&config)?;
    overlap::warn(&config);
    // Here, where it may block: a large one is looked through.
    let data = store::look(&config);
    let inspections = start::tokio()?.block_on(async {
        let runtime = start::build(&config)?;
        start::check(&config, &runtime).await
    });
    let (inspections, data) = match (inspections, data) {
        (Ok(inspections), Ok(data)) => (inspections, data),
        (Err(plugins), Err(store)) => bail!("{}\n{}", with_causes(&plugins), with_causes(&store)),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let data = data.map_or_else(String::new, |line| format!("{line}\n"));
    let specs = config.specs();
    let shown: String = inspections
        .iter()
        .zip(&specs)
        .map(|(inspection, spec)| one(inspection, spec))
        .collect();
    let (plugins, filters) = (config.plugins.len(), config.filters.len());
    show::print(&format!(
        "{shown}{data}ok: nothing found that would stop a start; the plugins' own `start` was not run (plugins: {plugins}, \
         filters: {filters})\n"
    ))?;
    Ok(Exit::Ok)
}

/// What one plugin is, and what it may use and do here.
fn one(inspection: &Inspection, spec: &PluginSpec) -> String {
    let Inspection {
        name,
        kind,
        info,
        digest,
        ..
    } = inspection;
    let limits = Effective {
        limits: &inspection.limits,
        asked: &spec.limits,
    };
    format!(
        "{name}  {kind}  {version}\n  {digest}\n{manner}{handlers}  config\n    {config}\n  \
         grants\n{grants}{limits}\n",
        version = text::printable(&info.version),
        manner = show::manner(inspection, spec),
        handlers = show::handlers(inspection, spec),
        config = text::json(&spec.config.shown().to_string()),
        grants = show::grants(&spec.grants),
        limits = limits.others_in_words(),
    )
}
