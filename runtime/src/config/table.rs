//! The file as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::cache::{CacheDir, CacheSettings};
use super::delivery::DeliveryTable;
use super::document::Document;
use super::engine::EngineTable;
use super::error::{ConfigError, all_or};
use super::events::EventsTable;
use super::limits::LimitsTable;
use super::mode::Kept;
use super::ordering::Ordering;
use super::plugin::{FilterTable, PluginTable, Reader, over};
use super::quarantine::Quarantine;
use super::store::{self, StoreTable};
use super::value::{HostPath, Parsed, Size, Time, Value};
use super::{Config, ceilings};
use crate::delivery::{BreakerPolicy, RetryPolicy};
use crate::limits::Limits;
use crate::quarantine::QuarantinePolicy;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct FileTable {
    data_dir: Option<Parsed<HostPath>>,
    drain: Option<Time>,
    cache_dir: Option<CacheDir>,
    cache_size: Option<Size<u64>>,
    engine: EngineTable,
    events: EventsTable,
    store: Option<Spanned<StoreTable>>,
    defaults: DefaultsTable,
    ceilings: LimitsTable,
    filter: Vec<FilterTable>,
    plugin: Vec<PluginTable>,
}

/// What plugins have unless they say otherwise.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DefaultsTable {
    quarantine: Option<Quarantine>,
    limits: LimitsTable,
    delivery: DeliveryTable,
}

/// Reads a whole file: its shape, and then what its parts say together.
pub(super) fn read(document: &Document) -> Result<Config, ConfigError> {
    let file: FileTable =
        toml::from_str(document.text()).map_err(|error| ConfigError::Invalid(vec![document.parse_problem(error)]))?;
    let FileTable {
        data_dir,
        drain,
        cache_dir,
        cache_size,
        engine,
        events,
        store,
        defaults,
        ceilings,
        filter,
        plugin,
    } = file;
    let mut reader = reader(document, &defaults, &ceilings, data_dir.is_some());
    let config = Config {
        data_dir: store::data_dir(
            data_dir.as_ref(),
            store.as_ref(),
            &events,
            document,
            &mut reader.problems,
        ),
        drain: drain.map_or(Duration::from_secs(30), |drain| drain.get()),
        filters: filter.into_iter().map(|table| reader.filter(table)).collect(),
        plugins: plugin.into_iter().map(|table| reader.plugin(table)).collect(),
        cache: CacheSettings::new(cache_dir, cache_size, document),
        engine,
        events,
        store: store.map(Spanned::into_inner).unwrap_or_default(),
        ceilings: ceilings::limits(&ceilings),
        directories: std::mem::take(&mut reader.directories),
    };
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    all_or(reader.problems, config)
}

fn quarantine(defaults: &DefaultsTable) -> Option<QuarantinePolicy> {
    let policy = Some(QuarantinePolicy::default());
    defaults.quarantine.as_ref().map_or(policy, |own| own.over(policy))
}

fn reader<'a>(
    document: &'a Document,
    defaults: &DefaultsTable,
    ceilings: &'a LimitsTable,
    has_store: bool,
) -> Reader<'a> {
    let mut limits = Limits::default();
    defaults.limits.apply(&mut limits);
    let mut reader = Reader {
        document,
        limits,
        ceilings,
        has_store,
        kept: Kept::default(),
        retry: RetryPolicy::default(),
        breaker: over(defaults.delivery.breaker.as_ref(), Some(BreakerPolicy::default())),
        ordering: Ordering::default().under(defaults.delivery.ordering, defaults.delivery.ordering_key.as_ref()),
        quarantine: quarantine(defaults),
        problems: defaults.limits.check("defaults.limits", ceilings, document),
        directories: Vec::new(),
        names: BTreeMap::new(),
    };
    reader.kept = reader.kept("defaults.delivery", defaults.delivery.kept(), Kept::default());
    reader.retry = reader.retry(
        "defaults.delivery.retry",
        defaults.delivery.retry.as_ref(),
        reader.retry,
    );
    reader
}
