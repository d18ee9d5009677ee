/// What a plugin says about itself. The host asks once, at load, and keeps the answer with the compiled artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) dependencies: Vec<String>,
}

impl Info {
    /// `name` is unique in a runtime unless the operator gives another: letters, digits, `-` and `_`, at most 64 bytes.
    /// `version` is free in form; `env!("CARGO_PKG_VERSION")` is the usual one.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            dependencies: Vec::new(),
        }
    }

    /// One line for people.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Names another plugin that must be started before this one.
    pub fn depends_on(mut self, plugin: impl Into<String>) -> Self {
        self.dependencies.push(plugin.into());
        self
    }
}
