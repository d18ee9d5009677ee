//! How many files the process may have open: as many as the system lets it, since each plugin may hold some.

/// Raises the soft limit to the hard one. Where that fails all works as before, with fewer files.
pub(crate) fn raise() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files that the process may have"),
        Err(error) => tracing::debug!(%error, "the limit of open files stays as it is"),
    }
}
