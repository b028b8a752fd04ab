//! What is kept for how long: lines of the audit log, and the rows of sessions that are over.
//!
//! Owns the order of the housekeeping, a bounded number of rows at a time. Several nodes do it side by side: each deletes
//! what is still there. A session's row stays until its absolute deadline at the least (P1 needs it).

use std::time::Duration;

use super::App;
use crate::domain::Timestamp;
use crate::ledger::{Db, LedgerError, retention};

/// Rows that one transaction deletes.
const BATCH: i64 = 500;
/// Between two transactions, so that others get their turn.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is looked for what is old enough.
pub(super) const EVERY: Duration = Duration::from_secs(600);

impl App {
    /// Finishes what was begun and purges what is old enough.
    pub(super) async fn keep_house(&self) -> Result<(), LedgerError> {
        self.name_accounts().await?;
        self.finish_deletions().await?;
        let (policy, now) = (&self.shared.policy, self.clock().now());
        let (lines, sessions) = (now.minus(policy.audit_retention), now.minus(policy.session_retention));
        self.purge(lines, retention::purge_lines).await?;
        self.purge(sessions, retention::purge_sessions).await?;
        self.purge(now, |db, _, limit| retention::purge_users(db, limit)).await
    }

    async fn purge(
        &self,
        before: Timestamp,
        some: fn(&mut Db, Timestamp, i64) -> Result<usize, LedgerError>,
    ) -> Result<(), LedgerError> {
        while self.shared.ledger.write_aside(move |db| some(db, before, BATCH)).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}
