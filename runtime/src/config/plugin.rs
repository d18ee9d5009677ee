//! `[[plugin]]` and `[[filter]]`: from tables to specs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::breaker::Breaker;
use super::delivery::{DeliveryTable, QueueTable, RetryTable, retry};
use super::document::Document;
use super::error::ConfigProblem;
use super::grants::{FilterGrantsTable, Found, GrantsTable};
use super::limits::LimitsTable;
use super::mode::{BacklogTable, Kept, ModeName, Said};
use super::ordering::{MetadataKey, Ordering, OrderingName};
use super::quarantine::Quarantine;
use super::settings::{self, SettingsTable};
use super::value::{Count, Digest, HostPath, Name, Parsed, Time, Value};
use crate::bus::{FilterOptions, OnFault};
use crate::delivery::{BreakerPolicy, RetryPolicy};
use crate::limits::Limits;
use crate::plugin::{HandlerSpec, PluginSpec};
use crate::quarantine::QuarantinePolicy;
use crate::sandbox::Isolation;

/// `[[plugin]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PluginTable {
    path: Parsed<HostPath>,
    name: Option<Spanned<Parsed<Name>>>,
    digest: Option<Parsed<Digest>>,
    isolation: Option<IsolationName>,
    concurrency: Option<Count<usize, 10_000>>,
    quarantine: Option<Quarantine>,
    #[serde(default)]
    config: SettingsTable,
    config_file: Option<Spanned<String>>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    grants: GrantsTable,
    #[serde(default)]
    delivery: DeliveryTable,
    #[serde(default)]
    handler: BTreeMap<String, HandlerTable>,
}

/// `[plugin.handler.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HandlerTable {
    timeout: Option<Spanned<Time>>,
    mode: Option<Spanned<ModeName>>,
    queue: Option<QueueTable>,
    backlog: Option<Spanned<BacklogTable>>,
    retry: Option<Spanned<RetryTable>>,
    breaker: Option<Breaker>,
    ordering: Option<OrderingName>,
    ordering_key: Option<Spanned<Parsed<MetadataKey>>>,
}

impl HandlerTable {
    fn kept(&self) -> Said<'_> {
        Said {
            mode: self.mode.as_ref(),
            queue: self.queue.as_ref(),
            backlog: self.backlog.as_ref(),
        }
    }
}

/// `[[filter]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FilterTable {
    path: Parsed<HostPath>,
    name: Option<Spanned<Parsed<Name>>>,
    digest: Option<Parsed<Digest>>,
    instances: Option<Count<usize, 10_000>>,
    timeout: Option<Spanned<Time>>,
    on_fault: Option<OnFaultName>,
    quarantine: Option<Quarantine>,
    #[serde(default)]
    config: SettingsTable,
    config_file: Option<Spanned<String>>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    grants: FilterGrantsTable,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IsolationName {
    Persistent,
    PerEvent,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnFaultName {
    Reject,
    Pass,
}

/// What the tables of plugins are read with, and what they leave.
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document,
    pub(super) limits: Limits,
    pub(super) ceilings: &'a LimitsTable,
    pub(super) has_store: bool,
    pub(super) kept: Kept,
    pub(super) retry: RetryPolicy,
    pub(super) breaker: Option<BreakerPolicy>,
    pub(super) ordering: Ordering,
    pub(super) quarantine: Option<QuarantinePolicy>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) directories: Vec<(PathBuf, ConfigProblem)>,
    /// The names that the file gives, with their lines.
    pub(super) names: BTreeMap<String, usize>,
}

impl Reader<'_> {
    pub(super) fn plugin(&mut self, table: PluginTable) -> PluginSpec {
        let mut spec = self.spec("plugin", &table.path, table.name.as_ref(), table.digest.as_ref());
        spec.isolation = table.isolation.map_or(Isolation::default(), |name| match name {
            IsolationName::Persistent => Isolation::Persistent,
            IsolationName::PerEvent => Isolation::PerEvent,
        });
        spec.concurrency = table.concurrency.as_ref().map_or(spec.concurrency, Value::get);
        let file = table.config_file.as_ref();
        spec.config = settings::read(&table.config, file, "plugin", self.document, &mut self.problems);
        spec.quarantine = self.quarantine(table.quarantine.as_ref());
        spec.limits = self.limits("plugin.limits", &table.limits);
        spec.grants = self.grants("plugin", &table.grants);
        let said = table.delivery.kept();
        let kept = self.kept("plugin.delivery", said, self.kept);
        if !kept.is_durable() && !table.handler.values().any(|own| kept.under(own.kept()).is_durable()) {
            self.problems.extend(said.no_backlog("plugin.delivery", self.document));
        }
        (spec.mode, spec.queue, spec.backlog) = (kept.mode, kept.queue, kept.backlog);
        spec.retry = self.retry("plugin.delivery.retry", table.delivery.retry.as_ref(), self.retry);
        spec.breaker = over(table.delivery.breaker.as_ref(), self.breaker);
        let key = table.delivery.ordering_key.as_ref();
        let ordering = self.ordering.under(table.delivery.ordering, key);
        spec.ordering = ordering.order();
        let by_key = |handler: &HandlerTable| ordering.under(handler.ordering, None).is_by_key();
        if !ordering.is_by_key() && !table.handler.values().any(by_key) {
            self.no_key_needed("plugin.delivery", key);
        }
        for (name, handler) in table.handler {
            let handler = self.handler(&name, &handler, &spec, &ordering);
            spec.handlers.insert(name, handler);
        }
        spec
    }

    pub(super) fn filter(&mut self, table: FilterTable) -> PluginSpec {
        let mut spec = self.spec("filter", &table.path, table.name.as_ref(), table.digest.as_ref());
        spec.concurrency = table.instances.as_ref().map_or(spec.concurrency, Value::get);
        let file = table.config_file.as_ref();
        spec.config = settings::read(&table.config, file, "filter", self.document, &mut self.problems);
        spec.quarantine = self.quarantine(table.quarantine.as_ref());
        self.refuse_bus_limits(&table.limits);
        spec.limits = self.limits("filter.limits", &table.limits);
        spec.grants = self.grants("filter", &table.grants.into());
        spec.filter.on_fault = table.on_fault.map_or(OnFault::default(), |name| match name {
            OnFaultName::Reject => OnFault::Reject,
            OnFaultName::Pass => OnFault::Pass,
        });
        let timeout = self.timeout("filter", table.timeout.as_ref(), &spec.limits);
        let default = FilterOptions::default().timeout.min(self.longest(&spec.limits));
        spec.filter.timeout = timeout.unwrap_or(default);
        spec
    }

    fn spec(
        &mut self,
        owner: &str,
        path: &Parsed<HostPath>,
        name: Option<&Spanned<Parsed<Name>>>,
        digest: Option<&Parsed<Digest>>,
    ) -> PluginSpec {
        let mut spec = PluginSpec::from_file(self.document.path(&path.get().0));
        spec.name = name.map(|name| self.unique(owner, name));
        spec.digest = digest.map(|digest| digest.get().0);
        spec
    }

    /// Plugins and filters share their names, as lifecycle events and dependencies go by them.
    fn unique(&mut self, owner: &str, name: &Spanned<Parsed<Name>>) -> String {
        let (Name(text), line) = (name.get_ref().get(), self.document.line(&name.span()));
        match self.names.get(&text) {
            Some(first) => {
                let message = format!("`{text}` is the name in line {first} already; give one of them another");
                self.problems
                    .push(self.document.problem(&name.span(), format!("{owner}.name"), message));
            }
            None => drop(self.names.insert(text.clone(), line)),
        }
        text
    }

    fn limits(&mut self, key: &str, table: &LimitsTable) -> Limits {
        self.problems.extend(table.check(key, self.ceilings, self.document));
        let mut limits = self.limits.clone();
        table.apply(&mut limits);
        limits
    }

    /// A filter has no bus, so that limits on what it does there would limit nothing.
    fn refuse_bus_limits(&mut self, table: &LimitsTable) {
        let places = [
            ("publish-events", table.publish_events.as_ref().map(Spanned::span)),
            ("publish-bytes", table.publish_bytes.as_ref().map(Spanned::span)),
            ("subscriptions", table.subscriptions.as_ref().map(Spanned::span)),
        ];
        for (key, place) in places {
            if let Some(place) = place {
                let message = "unknown key: a filter neither publishes nor subscribes; leave it out";
                self.problems
                    .push(self.document.problem(&place, format!("filter.limits.{key}"), message));
            }
        }
    }

    fn grants(&mut self, owner: &str, table: &GrantsTable) -> crate::plugin::Grants {
        let found = Found {
            problems: &mut self.problems,
            directories: &mut self.directories,
        };
        table.grants(owner, self.document, found)
    }

    /// What becomes of the events of handlers, by a table and what it inherits.
    pub(super) fn kept(&mut self, owner: &str, said: Said<'_>, before: Kept) -> Kept {
        let kept = before.under(said);
        self.problems
            .extend(said.check(owner, self.has_store, &kept, self.document));
        kept
    }

    fn quarantine(&self, own: Option<&Quarantine>) -> Option<QuarantinePolicy> {
        own.map_or(self.quarantine, |own| own.over(self.quarantine))
    }

    pub(super) fn retry(&mut self, key: &str, table: Option<&Spanned<RetryTable>>, before: RetryPolicy) -> RetryPolicy {
        table.map_or(before, |table| {
            retry(table, before, key, self.document, &mut self.problems)
        })
    }

    /// A key that nobody orders by would do nothing.
    fn no_key_needed(&mut self, owner: &str, key: Option<&Spanned<Parsed<MetadataKey>>>) {
        if let Some(key) = key {
            let message = "it is for ordering = \"key\", which is not set here".to_owned();
            let key = self
                .document
                .problem(&key.span(), format!("{owner}.ordering-key"), message);
            self.problems.push(key);
        }
    }

    fn handler(&mut self, name: &str, table: &HandlerTable, plugin: &PluginSpec, before: &Ordering) -> HandlerSpec {
        let key = format!("plugin.handler.{name}");
        let said = table.kept();
        let kept = self.kept(&key, said, Kept::of(plugin));
        if !kept.is_durable() {
            self.problems.extend(said.no_backlog(&key, self.document));
        }
        let ordering = before.under(table.ordering, table.ordering_key.as_ref());
        if !ordering.is_by_key() {
            self.no_key_needed(&key, table.ordering_key.as_ref());
        }
        HandlerSpec {
            timeout: self.timeout(&key, table.timeout.as_ref(), &plugin.limits),
            mode: table.mode.as_ref().map(|_| kept.mode),
            queue: table.queue.as_ref().map(|_| kept.queue),
            backlog: table.backlog.as_ref().map(|_| kept.backlog),
            retry: table
                .retry
                .as_ref()
                .map(|_| self.retry(&format!("{key}.retry"), table.retry.as_ref(), plugin.retry)),
            breaker: table.breaker.as_ref().map(|own| own.over(plugin.breaker)),
            ordering: Some(ordering.order()),
        }
    }

    /// A timeout of its own, which the plugin's limit would cut without a word if it were longer.
    fn timeout(&mut self, owner: &str, own: Option<&Spanned<Time>>, limits: &Limits) -> Option<Duration> {
        let own = own?;
        let (time, longest) = (own.get_ref().get(), self.longest(limits));
        if time > longest {
            let (written, longest) = (self.document.written(&own.span()), humantime::format_duration(longest));
            let message = format!("{written} is above the plugin's limits.timeout, which is {longest}: raise that too");
            self.problems
                .push(self.document.problem(&own.span(), format!("{owner}.timeout"), message));
        }
        Some(time)
    }

    /// How long a call with these limits may take.
    fn longest(&self, limits: &Limits) -> Duration {
        let ceiling = self.ceilings.timeout.as_ref().map(|time| time.get_ref().get());
        limits.timeout.min(ceiling.unwrap_or(limits.timeout))
    }
}

/// What a table says over what was said before it.
pub(super) fn over(own: Option<&Breaker>, before: Option<BreakerPolicy>) -> Option<BreakerPolicy> {
    own.map_or(before, |own| own.over(before))
}
