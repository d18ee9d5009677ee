//! In which order plugins start (L2).

use std::collections::{BTreeMap, HashSet};

use crate::plugin::PluginError;

/// Sorts plugins so that each comes after those it depends on, and otherwise in the order given. Names a missing
/// dependency, and the members of a circle.
pub(crate) fn start_order(plugins: &[(String, Vec<String>)]) -> Result<Vec<String>, PluginError> {
    order_from(plugins.iter(), plugins)
}

/// The same for what one plugin needs: whatever is wrong with the others stops it only where it depends on them.
pub(crate) fn check_reachable(plugin: &str, plugins: &[(String, Vec<String>)]) -> Result<(), PluginError> {
    let from = plugins.iter().filter(|(name, _)| name == plugin);
    order_from(from, plugins).map(drop)
}

fn order_from<'a>(
    mut from: impl Iterator<Item = &'a (String, Vec<String>)>,
    plugins: &'a [(String, Vec<String>)],
) -> Result<Vec<String>, PluginError> {
    let by_name: BTreeMap<&str, &[String]> = plugins
        .iter()
        .map(|(name, dependencies)| (name.as_str(), dependencies.as_slice()))
        .collect();
    let mut order = Order {
        by_name,
        done: Vec::new(),
        visited: HashSet::new(),
        path: Vec::new(),
    };
    from.try_for_each(|(name, _)| order.visit(name))?;
    Ok(order.done)
}

struct Order<'a> {
    by_name: BTreeMap<&'a str, &'a [String]>,
    done: Vec<String>,
    /// The same, to be looked up.
    visited: HashSet<&'a str>,
    /// From the plugin that is visited to the one it was reached from.
    path: Vec<&'a str>,
}

impl<'a> Order<'a> {
    fn visit(&mut self, name: &'a str) -> Result<(), PluginError> {
        if self.visited.contains(name) {
            return Ok(());
        }
        if let Some(first) = self.path.iter().position(|on_path| *on_path == name) {
            let circle = self.path.iter().skip(first).copied().chain([name]);
            return Err(PluginError::Cycle(circle.map(str::to_owned).collect()));
        }
        self.path.push(name);
        let dependencies = self.by_name.get(name).copied().unwrap_or_default();
        for dependency in dependencies {
            if !self.by_name.contains_key(dependency.as_str()) {
                let (plugin, dependency) = (name.to_owned(), dependency.clone());
                return Err(PluginError::MissingDependency { plugin, dependency });
            }
            self.visit(dependency)?;
        }
        self.path.pop();
        self.visited.insert(name);
        self.done.push(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn plugins(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        all.iter()
            .map(|(name, of)| ((*name).to_owned(), of.iter().map(|d| (*d).to_owned()).collect()))
            .collect()
    }

    /// L2: dependencies come first, whatever the order in the config; the rest keeps its order.
    #[test]
    fn l2_dependencies_start_first() {
        let order = start_order(&plugins(&[("a", &["c"]), ("b", &[]), ("c", &["d"]), ("d", &[])])).unwrap();
        assert_eq!(order, ["d", "c", "a", "b"]);
    }

    /// L2: a circle elsewhere is no reason not to start a plugin; one that it needs is.
    #[test]
    fn l2_only_what_a_plugin_needs_can_stop_it() {
        let all = plugins(&[("a", &["b"]), ("b", &["a"]), ("c", &["d"]), ("d", &[]), ("e", &["a"])]);
        assert!(check_reachable("c", &all).is_ok());
        let circle = check_reachable("e", &all).unwrap_err();
        assert!(circle.to_string().ends_with("a -> b -> a"), "{circle}");
    }

    /// L2, H51: a circle is named member by member, a missing dependency by both names.
    #[test]
    fn l2_h51_circles_and_missing_dependencies_are_named() {
        let circle = start_order(&plugins(&[("x", &["a"]), ("a", &["b"]), ("b", &["a"])])).unwrap_err();
        assert!(circle.to_string().ends_with("a -> b -> a"), "{circle}");
        let missing = start_order(&plugins(&[("a", &["ghost"])])).unwrap_err();
        assert_eq!(missing.to_string(), "a depends on ghost, which is not loaded");
    }
}
