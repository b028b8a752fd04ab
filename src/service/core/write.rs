//! Write: the path of every change into the ledger.
//!
//! Owns the wait before a transaction begins, and the wake-up of the webhook when it has ended. Must never start one
//! while last-seen times are overdue.

use std::time::Duration;

use super::Core;
use crate::ledger::{Asked, Db, LedgerError};

/// How long other writes wait for last-seen times that are overdue.
const OVERDUE_WAIT: Duration = Duration::from_secs(2);
/// The error for other writes meanwhile.
const OVERDUE_FIRST: LedgerError = LedgerError::Silent("overdue last-seen times are not written yet");

impl Core {
    /// Runs one transaction in the ledger, but not before overdue last-seen times are written. They are overdue when
    /// the ledger was down; until they are written, another node that has lost Redis would take a session in use for an
    /// idle one.
    pub(in crate::service) fn write<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let room = self.clone();
        // Check again when the turn comes: the write may have waited since before the ledger went down.
        let in_turn = move |db: &mut Db| if room.last_seen.overdue() { Err(OVERDUE_FIRST) } else { body(db) };
        let written = self.ledger.write(in_turn);
        Box::pin(async move {
            if !self.last_seen.until_told(OVERDUE_WAIT).await {
                return Err(OVERDUE_FIRST);
            }
            let written = written.await;
            if let Some(webhook_client) = &self.webhook_client {
                webhook_client.committed();
            }
            written
        })
    }
}
