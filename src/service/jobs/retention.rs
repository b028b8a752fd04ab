//! Retention: how long audit log lines and ended sessions are kept.
//!
//! Owns the order of the clean-up, a bounded number of rows at a time. Several nodes do it side by side: each deletes
//! what is left. A session's row stays at least until its absolute deadline (P1 needs it). The deleting transaction
//! takes the time from SQL's clock, and deletes nothing while this node's clock disagrees with it.

use std::time::Duration;

use crate::domain::{MAX_SKEW, SessionId, Timestamp};
use crate::ledger::sessions::{self, Which};
use crate::ledger::{Db, LedgerError, exchanged_tokens, issued_keys, locks, pending_invalidations, retention};
use crate::service::jobs::Jobs;

/// Rows that one transaction deletes.
const BATCH: i64 = 500;
/// Live sessions that one read checks.
const PART: i64 = 500;
/// Pause between two transactions, so that others get their turn.
const PAUSE: Duration = Duration::from_millis(5);
/// For how long a service may repeat a request.
const KEYS_STAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long an exchanged token is kept after it has expired: longer than clocks may differ.
const TOKENS_STAY: Duration = Duration::from_secs(60 * 60);
/// How often old rows are purged.
pub(in crate::service) const EVERY: Duration = Duration::from_secs(600);

impl Jobs {
    /// Finishes interrupted deletions, corrects times in the future, and purges old rows. Also reads what hashes there are.
    pub(in crate::service) async fn keep_house(&self) -> Result<(), LedgerError> {
        self.users.sign_in.read_decoys().await?;
        self.mend_times().await?;
        self.users.finish_deletions().await?;
        let policy = &self.core.policy;
        self.purge(policy.audit_retention, retention::purge_lines).await?;
        self.purge(policy.session_retention, retention::purge_sessions).await?;
        self.purge(Duration::ZERO, retention::purge_links).await?;
        self.purge(KEYS_STAY, issued_keys::purge).await?;
        self.purge(TOKENS_STAY, exchanged_tokens::purge).await?;
        self.purge(Duration::ZERO, |db, _, limit| retention::purge_users(db, limit)).await
    }

    async fn purge(
        &self,
        kept_for: Duration,
        some: fn(&mut Db, Timestamp, i64) -> Result<usize, LedgerError>,
    ) -> Result<(), LedgerError> {
        let room = self.clone();
        let purge = move |db: &mut Db| {
            let now = room.fence.purge_moment(db)?;
            some(db, now.minus(kept_for), BATCH)
        };
        while self.core.ledger.write_aside(purge.clone()).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Corrects times in the future, which a wrong clock may have written, so that no session gains by them. Also
    /// invalidates the session's record, under the owner's lock: without it, the session could change its token
    /// meanwhile.
    async fn mend_times(&self) -> Result<(), LedgerError> {
        let mut after = None;
        loop {
            let latest = self.core.clock().now().plus(MAX_SKEW);
            let part = self.core.ledger.read(move |db| retention::yet_to_come(db, after, latest, PART)).await?;
            if !part.wrong.is_empty() {
                self.mend(part.wrong).await?;
            }
            after = part.last;
            if after.is_none() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn mend(&self, found: Vec<SessionId>) -> Result<(), LedgerError> {
        let room = self.clone();
        let mend = move |db: &mut Db| {
            let which = Which::These(found.clone());
            let owners = sessions::owners(db, &which)?;
            let locked = locks::users(db, &owners)?;
            let now = room.fence.purge_moment(db)?;
            let mended = retention::mend_times(db, &locked, &found, now, now.plus(MAX_SKEW))?;
            let outdated = mended
                .iter()
                .map(|(session, hash)| room.sessions.pending_invalidation(*hash, *session))
                .collect::<Vec<_>>();
            pending_invalidations::add(db, &outdated, now)?;
            Ok(mended.len())
        };
        let mended = self.core.ledger.write(mend).await?;
        if mended > 0 {
            log::warn!("a clock was wrong: {mended} sessions had times in the future, which were set to now");
        }
        Ok(())
    }
}
