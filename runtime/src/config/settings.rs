//! A plugin's own table: `config`, and `config-file` with a whole table that is secret.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;
use toml::{Spanned, Value as Toml};

use super::document::{Document, Span, read_text};
use super::error::ConfigProblem;
use crate::plugin::PluginConfig;

/// `config = { ... }` or `[plugin.config]`, with the places of its keys and values.
pub(super) type SettingsTable = BTreeMap<Spanned<String>, Spanned<Toml>>;

/// Reads `config` and `config-file` of a plugin. `owner` is `plugin` or `filter`.
pub(super) fn read(
    table: &SettingsTable,
    file: Option<&Spanned<String>>,
    owner: &str,
    document: &Document,
    problems: &mut Vec<ConfigProblem>,
) -> PluginConfig {
    let mut config = PluginConfig::default();
    for (key, value) in table {
        let (name, place) = (key.get_ref(), value.span());
        match Setting::of(value.get_ref(), Some(document)) {
            Ok(Setting { value, secret: true }) => config = config.with_secret(name, value),
            Ok(Setting { value, secret: false }) => config = config.with(name, value),
            Err(why) => problems.push(document.problem(&place, format!("{owner}.config.{name}"), why)),
        }
    }
    let Some(file) = file else { return config };
    let wrong = |place: &Span, why| document.problem(place, format!("{owner}.config-file"), why);
    match secret_table(&document.path(file.get_ref())) {
        Ok(secrets) => {
            for (name, value) in secrets {
                if let Some((key, _)) = table.iter().find(|(key, _)| *key.get_ref() == name) {
                    problems.push(wrong(
                        &key.span(),
                        format!("`{name}` is in that file and in `config`; set it once"),
                    ));
                }
                config = config.with_secret(name, value);
            }
        }
        Err(why) => problems.push(wrong(&file.span(), why)),
    }
    config
}

/// One value, and whether a part of it came from a file.
struct Setting {
    value: Json,
    secret: bool,
}

impl Setting {
    /// Where there is a document, `{ file = "..." }` in it stands for what that file holds.
    fn of(value: &Toml, document: Option<&Document>) -> Result<Self, String> {
        let shown = |value: Json| Ok(Self { value, secret: false });
        match value {
            Toml::String(text) => shown(text.as_str().into()),
            Toml::Integer(number) => shown((*number).into()),
            Toml::Float(number) => shown(finite(*number)?),
            Toml::Boolean(flag) => shown((*flag).into()),
            Toml::Datetime(time) => shown(time.to_string().into()),
            Toml::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| Self::of(item, document))
                    .collect::<Result<Vec<_>, _>>()?;
                let secret = items.iter().any(|item| item.secret);
                Ok(Self {
                    value: items.into_iter().map(|item| item.value).collect(),
                    secret,
                })
            }
            Toml::Table(table) => match (document, secret_file(table)) {
                (Some(document), Some(path)) => Self::from_file(&document.path(path)),
                _ => Self::of_table(table, document),
            },
        }
    }

    fn of_table(table: &toml::Table, document: Option<&Document>) -> Result<Self, String> {
        let (mut object, mut secret) = (serde_json::Map::new(), false);
        for (name, value) in table {
            let setting = Self::of(value, document)?;
            secret |= setting.secret;
            object.insert(name.clone(), setting.value);
        }
        Ok(Self {
            value: Json::Object(object),
            secret,
        })
    }

    /// The contents of a file, without the newline that editors put at its end.
    fn from_file(path: &Path) -> Result<Self, String> {
        let text = read_text(path).map_err(|error| unreadable(path, &error))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(Self {
            value: text.into(),
            secret: true,
        })
    }
}

/// `{ file = "..." }`: a table of this one key and a text.
fn secret_file(table: &toml::Table) -> Option<&str> {
    table.get("file").filter(|_| table.len() == 1)?.as_str()
}

fn finite(number: f64) -> Result<Json, String> {
    serde_json::Number::from_f64(number).map(Json::Number).ok_or_else(|| {
        format!("{number} has no form in JSON, as which the plugin gets its config; give a text or another number")
    })
}

/// A file whose whole table is secret. What is wrong with its syntax is told without the text that is there.
fn secret_table(path: &Path) -> Result<serde_json::Map<String, Json>, String> {
    let read = || read_text(path).map_err(|error| unreadable(path, &error));
    let broken = |why: String| format!("{} can't be used: {why}", path.display());
    let table = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&read()?).map_err(|error| broken(error.to_string()))?,
        Some("toml") => {
            let table = toml::from_str(&read()?).map_err(|error| broken(error.message().to_owned()))?;
            Setting::of_table(&table, None).map_err(broken)?.value
        }
        _ => {
            return Err(broken(
                "its name has to end in .toml or .json, which says what it is".to_owned(),
            ));
        }
    };
    match table {
        Json::Object(table) => Ok(table),
        _ => Err(broken("a plugin's config is a table".to_owned())),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}
