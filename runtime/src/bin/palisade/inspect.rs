//! `palisade inspect`: what a component is.

use anyhow::Result;
use palisade::{Grants, Inspection, PluginSpec};
use serde_json::json;

use crate::arguments::InspectArguments;
use crate::exit::Exit;
use crate::{show, start, text};

pub(crate) fn run(arguments: &InspectArguments) -> Result<Exit> {
    // Whatever it asks for is to be shown, not refused.
    let spec = PluginSpec::from_file(&arguments.file).grants(Grants::default().key_value());
    let inspection = start::tokio()?.block_on(async {
        let runtime = start::by_default()?.build()?;
        Ok::<_, anyhow::Error>(runtime.inspect(spec).await?)
    })?;
    let shown = if arguments.json {
        in_json(&inspection)
    } else {
        in_words(&inspection)
    };
    show::print(&shown)?;
    Ok(Exit::Ok)
}

fn in_words(inspection: &Inspection) -> String {
    let Inspection {
        kind,
        info,
        digest,
        size,
        imports,
        limits,
        ..
    } = inspection;
    let depends = if info.dependencies.is_empty() {
        String::new()
    } else {
        format!("  needs {}\n", info.dependencies.join(", "))
    };
    let imports: String = imports
        .iter()
        .map(|import| format!("    {}\n", text::printable(import)))
        .collect();
    format!(
        "{name} {version}  {kind}\n  {description}\n  {digest}\n  {size}\n{depends}{handlers}  imports\n{imports}  limits by \
         default\n{limits}",
        name = info.name,
        version = text::printable(&info.version),
        description = text::printable(&info.description),
        size = text::bytes(*size),
        handlers = show::handlers(info),
        limits = show::limits(limits),
    )
}

fn in_json(inspection: &Inspection) -> String {
    let Inspection {
        kind,
        info,
        digest,
        size,
        imports,
        limits,
        ..
    } = inspection;
    let object = json!({
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "kind": kind.to_string(),
        "dependencies": info.dependencies,
        "handlers": show::handlers_json(info),
        "imports": imports,
        "size": size,
        "digest": digest,
        "limits": show::limits_json(limits),
    });
    format!("{object}\n")
}
