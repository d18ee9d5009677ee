//! `palisade inspect`: what a component is, what it asks for, and what it gets.

use std::path::Path;

use anyhow::Result;
use palisade::{Inspection, PluginKind, PluginSpec};
use serde_json::json;

use crate::arguments::InspectArguments;
use crate::console::with_causes;
use crate::exit::Exit;
use crate::limits::Effective;
use crate::{show, start, text};

/// A component, and how it is run.
struct Inspected<'a> {
    inspection: Inspection,
    spec: PluginSpec,
    /// The config that says so; none: the defaults.
    config: Option<&'a Path>,
}

pub(crate) fn run(arguments: &InspectArguments) -> Result<Exit> {
    let inspected = inspect(arguments);
    let shown = match &inspected {
        Ok(inspected) if arguments.json => text::json(&inspected.in_json()),
        Ok(inspected) => inspected.in_words(),
        Err(error) if arguments.json => text::json(&format!("{}\n", json!({ "error": with_causes(error) }))),
        Err(_) => String::new(),
    };
    show::print(&shown)?;
    inspected.map(|_| Exit::Ok)
}

fn inspect(arguments: &InspectArguments) -> Result<Inspected<'_>> {
    let (spec, builder) = arguments.table.of(&arguments.file)?;
    let inspection = start::tokio()?.block_on(async {
        let runtime = builder.build()?;
        // Whatever it asks for is shown, not refused: `inspect` wants no grants.
        Ok::<_, anyhow::Error>(runtime.inspect(spec.clone()).await?)
    })?;
    Ok(Inspected {
        inspection,
        spec,
        config: arguments.table.config(),
    })
}

impl Inspected<'_> {
    fn limits(&self) -> Effective<'_> {
        Effective {
            limits: &self.inspection.limits,
            asked: &self.spec.limits,
        }
    }

    fn in_words(&self) -> String {
        let Inspection {
            name,
            kind,
            info,
            digest,
            size,
            imports,
            ..
        } = &self.inspection;
        let depends = if info.dependencies.is_empty() {
            String::new()
        } else {
            format!("  needs {}\n", info.dependencies.join(", "))
        };
        let imports: String = imports
            .iter()
            .map(|import| format!("    {}\n", text::printable(import)))
            .collect();
        let by = self
            .config
            .map_or_else(|| "default".to_owned(), |path| path.display().to_string());
        format!(
            "{name} {version}  {kind}\n  {description}\n  {digest}\n  {size}\n{depends}{manner}{handlers}  imports\n{imports}  \
             asks for: {asks}\n  limits by {by}\n{limits}",
            version = text::printable(&info.version),
            description = text::printable(&info.description),
            size = text::bytes(*size),
            manner = show::manner(&self.inspection, &self.spec),
            handlers = show::handlers(&self.inspection, &self.spec),
            asks = self.asks(),
            limits = self.limits().in_words(),
        )
    }

    /// The grants without which it is not loaded; with a config, whether that gives them.
    fn asks(&self) -> String {
        let needs = self
            .inspection
            .needs
            .iter()
            .map(|grant| match (self.config, grant.is_in(&self.spec.grants)) {
                (None, _) => grant.to_string(),
                (Some(_), true) => format!("{grant} (granted)"),
                (Some(_), false) => format!("{grant} (not granted: {})", grant.key()),
            });
        let needs: Vec<_> = needs.collect();
        if needs.is_empty() {
            "no grants".to_owned()
        } else {
            needs.join(", ")
        }
    }

    fn in_json(&self) -> String {
        let Inspection {
            name,
            kind,
            info,
            digest,
            size,
            imports,
            needs,
            ..
        } = &self.inspection;
        let verdict = (*kind == PluginKind::Filter).then(|| show::milliseconds(self.spec.filter.timeout));
        let isolation = (*kind == PluginKind::Event).then(|| show::isolation(&self.spec));
        let missing = self.config.map(|_| {
            let missing = needs.iter().filter(|grant| !grant.is_in(&self.spec.grants));
            missing.map(ToString::to_string).collect::<Vec<_>>()
        });
        let object = json!({
            "name": name,
            "version": info.version,
            "description": info.description,
            "kind": kind.to_string(),
            "dependencies": info.dependencies,
            "handlers": show::handlers_json(&self.inspection, &self.spec),
            "verdict_timeout_ms": verdict,
            "isolation": isolation,
            "concurrency": self.spec.concurrency,
            "imports": imports,
            "asks_for": needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "not_granted": missing,
            "size": size,
            "digest": digest,
            "limits": self.limits().in_json(),
            "changed_limits": self.limits().others_in_json(),
        });
        format!("{object}\n")
    }
}
