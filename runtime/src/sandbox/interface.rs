//! Names of interfaces, and which versions of ours we offer.

use crate::sandbox::error::ComponentError;
use crate::sandbox::log::printable;

/// The version of `palisade:plugin` that this host implements.
pub const INTERFACE_VERSION: &str = "0.1.0";

/// What a component may import besides `palisade:plugin`: WASI 0.2 and the log, by prefix.
const OFFERED: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    #[cfg(feature = "wasi-http")]
    "wasi:http/outgoing-handler@",
    #[cfg(feature = "wasi-http")]
    "wasi:http/types@",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "wasi:logging/logging",
    KEY_VALUE,
    CONFIG,
];
const KEY_VALUE: &str = "wasi:keyvalue/store@0.2.0-draft2";
const CONFIG: &str = "wasi:config/store@0.2.0-rc.1";

/// Packages of which we offer one interface, in one version: drafts differ in what the same name means.
const FAMILIES: [(&str, &str); 2] = [("wasi:keyvalue/", KEY_VALUE), ("wasi:config/", CONFIG)];
const OURS_OFFERED: [&str; 3] = ["types", "context", "bus"];

/// Questions about names such as `palisade:plugin/handler@0.1.0`.
pub(super) struct Interface;

impl Interface {
    /// Whether a name is this interface of our package, in whatever version.
    pub(super) fn is_ours(name: &str, interface: &str) -> bool {
        let (path, _) = split(name);
        path.strip_prefix("palisade:plugin/") == Some(interface)
    }
}

/// Refuses what no component may import, whatever it is granted; the linker checks the types.
pub(super) fn check_offered(name: &str) -> Result<(), ComponentError> {
    let is_offered = OFFERED.iter().any(|offered| name.starts_with(offered))
        || OURS_OFFERED.iter().any(|interface| Interface::is_ours(name, interface));
    if is_offered {
        return Ok(());
    }
    let interface = printable(name, 256);
    if cfg!(not(feature = "wasi-http")) && name.starts_with("wasi:http/") {
        return Err(ComponentError::WithoutFeature {
            interface,
            feature: "wasi-http",
        });
    }
    Err(ComponentError::UnknownImport(interface))
}

/// Refuses interfaces of ours in a version we don't offer. wasmtime alone would link some newer ones silently: for it
/// 0.1.9 is as good as 0.1.0, whatever it has more.
pub(super) fn check_version(name: &str) -> Result<(), ComponentError> {
    let (path, version) = split(name);
    if !path.starts_with("palisade:plugin/") || version == Some(INTERFACE_VERSION) {
        return Ok(());
    }
    Err(ComponentError::Version {
        interface: printable(path, 256),
        wanted: printable(version.unwrap_or("no version"), 64),
        offered: INTERFACE_VERSION,
    })
}

/// Refuses the other interfaces of a package of which we offer one.
pub(super) fn check_family(name: &str) -> Result<(), ComponentError> {
    match FAMILIES.iter().find(|(package, _)| name.starts_with(package)) {
        Some((_, offered)) if name != *offered => Err(ComponentError::OtherInterface {
            interface: printable(name, 256),
            offered,
        }),
        _ => Ok(()),
    }
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('@')
        .map_or((name, None), |(path, version)| (path, Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S8: what this runtime was built without is refused whatever is granted, and says so.
    #[test]
    fn s8_http_is_offered_where_it_is_built_in() {
        let http = "wasi:http/types@0.2.6";
        let expected = if cfg!(feature = "wasi-http") {
            Ok(())
        } else {
            Err(ComponentError::WithoutFeature {
                interface: http.to_owned(),
                feature: "wasi-http",
            })
        };
        assert_eq!(check_offered(http), expected);
        let other = "wasi:nothing/at-all";
        assert_eq!(
            check_offered(other),
            Err(ComponentError::UnknownImport(other.to_owned()))
        );
    }
}
