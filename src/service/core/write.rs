//! The way of every change into the ledger.
//!
//! Owns what a transaction waits for before it begins, and the call to the webhook when it has ended. Must never run one
//! while last-seen times are overdue.

use std::time::Duration;

use super::Core;
use crate::ledger::{Db, LedgerError};

/// How long other writes wait for last-seen times that are overdue.
const OVERDUE_WAIT: Duration = Duration::from_secs(2);
/// What other writes are told meanwhile.
const OVERDUE_FIRST: LedgerError = LedgerError::Silent("last-seen times that are overdue are not written yet");

impl Core {
    /// Runs one transaction in the ledger, but none before last-seen times that are overdue because the ledger was
    /// away: until they are written, another node that has lost Redis would take a session in use for one that rested.
    pub(in crate::service) async fn write<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        if !self.last_seen.until_told(OVERDUE_WAIT).await {
            return Err(OVERDUE_FIRST);
        }
        let room = self.clone();
        // Once more when its turn has come: it may have waited since before the ledger went away.
        let in_turn = move |db: &mut Db| if room.last_seen.overdue() { Err(OVERDUE_FIRST) } else { body(db) };
        let written = self.ledger.write(in_turn).await;
        if let Some(webhook_client) = &self.webhook_client {
            webhook_client.committed();
        }
        written
    }
}
