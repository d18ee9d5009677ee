//! A component that can be instantiated: checked and linked. Shared by all plugins of the same bytes; lives as long as the
//! last of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use crate::plugin::NeededGrant;
use crate::plugin::grants::{Ask, Grants};
use crate::sandbox::bindings::{filter, handler, plugin};
use crate::sandbox::error::ComponentError;
use crate::sandbox::interface::{Interface, check_family, check_offered, check_version};
use crate::sandbox::log::printable;
use crate::sandbox::needs::{ComponentNeeds, ModuleNeeds};
use crate::sandbox::state::HostState;

/// A component, ready to be instantiated.
pub(crate) struct Compiled {
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) exports: Exports,
    /// One of them, whichever.
    pub(crate) an_export: Option<ComponentExportIndex>,
    /// What its modules ask for, each for itself.
    pub(super) modules: ModuleNeeds,
    /// What each instance takes of the engine's pool.
    pub(crate) room: ComponentNeeds,
    pub(crate) digest: String,
    pub(crate) size: usize,
    pub(crate) imports: Vec<String>,
    /// What its imports need.
    pub(crate) needs: Vec<NeededGrant>,
}

/// Where the functions are that we call; which ones there are tells the world.
#[derive(Clone)]
pub(crate) enum Exports {
    Event {
        plugin: Arc<plugin::GuestIndices>,
        handler: Arc<handler::GuestIndices>,
    },
    Filter {
        plugin: Arc<plugin::GuestIndices>,
        filter: Arc<filter::GuestIndices>,
    },
}

/// What a plugin is for, by the world it was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// It handles events: `event-plugin`.
    Event,
    /// It decides which events go on: `filter-plugin`.
    Filter,
}

impl std::fmt::Display for PluginKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PluginKind::Event => "event-plugin",
            PluginKind::Filter => "filter-plugin",
        })
    }
}

impl Exports {
    pub(crate) fn kind(&self) -> PluginKind {
        match self {
            Exports::Event { .. } => PluginKind::Event,
            Exports::Filter { .. } => PluginKind::Filter,
        }
    }
}

/// The SHA-256 of a component's bytes as `sha256:` and hex digits, as in `digest = "sha256:..."`.
pub fn digest_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter()
        .fold(String::from("sha256:"), |text, byte| format!("{text}{byte:02x}"))
}

impl Compiled {
    /// Checks and links a component, wherever its code comes from, and whatever is granted or allowed to the plugin that
    /// asks. `digest` and `size` are those of its bytes.
    pub(super) fn new(
        component: &Component,
        linker: &Linker<HostState>,
        (digest, size): (String, usize),
        modules: ModuleNeeds,
    ) -> Result<Self, ComponentError> {
        let engine = component.engine();
        let imports = check_imports(component, engine)?;
        let needs: BTreeSet<_> = imports.iter().filter_map(|import| NeededGrant::of(import)).collect();
        let kind = world_of(component, engine)?;
        let room = ComponentNeeds::of(component, modules.has_heap);
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| ComponentError::Unlinkable(shown(&format!("{error:#}"))))?;
        let exports = exports(&pre, kind).map_err(|error| ComponentError::WrongWorld(format!("{error:#}")))?;
        Ok(Self {
            pre,
            exports,
            an_export: component
                .component_type()
                .exports(engine)
                .find_map(|(name, _)| component.get_export_index(None, name)),
            modules,
            room,
            digest,
            size,
            imports,
            needs: needs.into_iter().collect(),
        })
    }

    /// Refuses what it imports and is not granted, by name.
    pub(crate) fn check_granted(&self, grants: &Grants) -> Result<(), ComponentError> {
        for interface in &self.imports {
            let Some(grant) = NeededGrant::of(interface) else {
                continue;
            };
            grants
                .allows(Ask::Import(grant))
                .map_err(|why| ComponentError::NotGranted {
                    interface: interface.clone(),
                    grant,
                    why,
                })?;
        }
        Ok(())
    }
}

/// Names what is imported, and refuses by name what can't be given.
fn check_imports(component: &Component, engine: &Engine) -> Result<Vec<String>, ComponentError> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, _) in ty.imports(engine) {
        check_version(name)?;
        check_family(name)?;
        check_offered(name)?;
        imports.push(shown(name));
    }
    Ok(imports)
}

fn world_of(component: &Component, engine: &Engine) -> Result<PluginKind, ComponentError> {
    let ty = component.component_type();
    let mut exported = Vec::new();
    for (name, item) in ty.exports(engine) {
        check_version(name)?;
        if matches!(item.ty, ComponentItem::ComponentInstance(_)) {
            exported.push(shown(name));
        }
    }
    let has = |interface| exported.iter().any(|name| Interface::is_ours(name, interface));
    match (has("plugin"), has("handler"), has("filter")) {
        (true, true, _) => Ok(PluginKind::Event),
        (true, false, true) => Ok(PluginKind::Filter),
        (false, false, false) => Err(ComponentError::WrongWorld(match exported.as_slice() {
            [] => "it exports no interface".to_owned(),
            names => format!("it exports {}", names.join(", ")),
        })),
        (true, false, false) => Err(ComponentError::WrongWorld(
            "it exports `plugin`, but no `handler` or `filter`".into(),
        )),
        (false, _, _) => Err(ComponentError::WrongWorld("it exports no `plugin`".into())),
    }
}

fn exports(pre: &InstancePre<HostState>, kind: PluginKind) -> wasmtime::Result<Exports> {
    let plugin = Arc::new(plugin::GuestIndices::new(pre)?);
    Ok(match kind {
        PluginKind::Event => Exports::Event {
            plugin,
            handler: Arc::new(handler::GuestIndices::new(pre)?),
        },
        PluginKind::Filter => Exports::Filter {
            plugin,
            filter: Arc::new(filter::GuestIndices::new(pre)?),
        },
    })
}

/// A name or text of the component's own, safe to show and not longer than is useful.
fn shown(text: &str) -> String {
    printable(text, 256)
}
