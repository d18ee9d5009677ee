//! `[defaults.limits]`, `[plugin.limits]`, `[filter.limits]` and `[ceilings]`: the same keys.

use serde::Deserialize;
use toml::Spanned;

use super::document::{Document, Span};
use super::error::ConfigProblem;
use super::value::{Count, Size, Time, Value};
use crate::limits::Limits;

/// One key for each field of [`Limits`]; the macro keeps reading, applying and comparing them together.
macro_rules! limits {
    ($($field:ident: $value:ty, $key:literal;)*) => {
        /// A table of limits, as far as it says something.
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct LimitsTable {
            $(pub(super) $field: Option<Spanned<$value>>,)*
        }

        impl LimitsTable {
            /// Replaces what the table sets.
            pub(super) fn apply(&self, limits: &mut Limits) {
                $(if let Some(value) = &self.$field {
                    limits.$field = value.get_ref().get().into();
                })*
            }

            /// What is above the ceiling: the key, and where this table and the ceilings set it.
            pub(super) fn above(&self, ceilings: &Self) -> Vec<(&'static str, Span, Span)> {
                let mut above = Vec::new();
                $(if let (Some(value), Some(ceiling)) = (&self.$field, &ceilings.$field)
                    && value.get_ref().get() > ceiling.get_ref().get()
                {
                    above.push(($key, value.span(), ceiling.span()));
                })*
                above
            }
        }
    };
}

limits! {
    timeout: Time, "timeout";
    fuel: Count<u64, { i64::MAX as u64 }>, "fuel";
    memory: Size<usize>, "memory";
    table_elements: Count<usize, 1_000_000_000>, "table-elements";
    tables: Count<usize, 10_000>, "tables";
    memories: Count<usize, 10_000>, "memories";
    instances: Count<usize, 10_000>, "instances";
    hostcall_bytes: Size<usize>, "hostcall-bytes";
    handles: Count<usize, 1_000_000>, "handles";
    random_bytes: Size<u64>, "random-bytes";
    log_bytes: Size<u64>, "log-bytes";
    publish_events: Count<u32, 1_000_000>, "publish-events";
    publish_bytes: Size<usize>, "publish-bytes";
    subscriptions: Count<usize, 1_000_000>, "subscriptions";
    directory_bytes: Size<u64>, "directory-bytes";
    directory_entries: Count<usize, 1_000_000>, "directory-entries";
    key_value_keys: Count<usize, 100_000_000>, "key-value-keys";
    key_value_bytes: Size<usize>, "key-value-bytes";
    key_value_value_bytes: Size<usize>, "key-value-value-bytes";
    http_requests: Count<usize, 10_000>, "http-requests";
    http_request_bytes: Size<u64>, "http-request-bytes";
    http_response_bytes: Size<u64>, "http-response-bytes";
}

impl LimitsTable {
    /// One problem for each key that is above its ceiling. `table` is the name of this one.
    pub(super) fn check(&self, table: &str, ceilings: &Self, document: &Document) -> Vec<ConfigProblem> {
        let above = self.above(ceilings).into_iter();
        let problem = |(key, span, ceiling): (&str, Span, Span)| {
            let (value, line) = (document.written(&span), document.line(&ceiling));
            let ceiling = document.written(&ceiling);
            let message = format!(
                "{value} is above ceilings.{key}, which is {ceiling} (line {line}): lower one or raise the other"
            );
            document.problem(&span, format!("{table}.{key}"), message)
        };
        above.map(problem).collect()
    }
}
