//! `[ceilings]` as limits: what is absent there limits nothing.

use std::time::Duration;

use super::limits::LimitsTable;
use crate::limits::Limits;

pub(super) fn limits(table: &LimitsTable) -> Limits {
    let mut limits = Limits {
        timeout: Duration::MAX,
        fuel: None,
        memory: usize::MAX,
        table_elements: usize::MAX,
        tables: usize::MAX,
        memories: usize::MAX,
        instances: usize::MAX,
        hostcall_bytes: usize::MAX,
        handles: usize::MAX,
        random_bytes: u64::MAX,
        log_bytes: u64::MAX,
        publish_events: u32::MAX,
        publish_bytes: usize::MAX,
        subscriptions: usize::MAX,
        directory_bytes: u64::MAX,
        directory_entries: usize::MAX,
        key_value_keys: usize::MAX,
        key_value_bytes: usize::MAX,
        key_value_value_bytes: usize::MAX,
        http_requests: usize::MAX,
        http_request_bytes: u64::MAX,
        http_response_bytes: u64::MAX,
    };
    table.apply(&mut limits);
    limits
}
