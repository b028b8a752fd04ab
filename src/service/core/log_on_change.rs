//! Log on change: when a background task stops, and what it logs about a lasting failure.
//!
//! Owns one line when something begins to fail, and one when it works again. Must never log the same twice.

use std::time::Duration;

use tokio::sync::watch;

/// Waits; true when it is time to stop.
pub(in crate::service) async fn stopped(stop: &mut watch::Receiver<bool>, wait: Duration) -> bool {
    let _elapsed = tokio::time::timeout(wait, stop.changed()).await;
    *stop.borrow()
}

/// Logs once that something fails, and once that it works again.
#[derive(Default)]
pub(in crate::service) struct LogOnChange {
    failing: bool,
}

impl LogOnChange {
    pub(in crate::service) fn about(&mut self, what: &str, error: Option<impl std::fmt::Display>) {
        let failed = error.is_some();
        match error {
            Some(error) if !self.failing => log::warn!("{what} fails and is tried again: {error}"),
            None if self.failing => log::info!("{what} works again"),
            _ => {}
        }
        self.failing = failed;
    }
}
