//! Restored: an operator declares that an older copy of the ledger, put back from a backup, is the ledger now.
//!
//! Owns the end of every session in the copy: it cannot tell which ones ended after the backup. Asks Redis nothing. Can
//! be repeated, and interrupted anywhere: only its last transaction makes the copy the ledger, and until then the nodes
//! refuse it.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::{EndReason, Lineage};
use crate::ledger::sessions::{self, Which};
use crate::ledger::{Db, LedgerError, audit, lineage, locks, node_leases, resets, users};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::unavailable::Unavailable;
use crate::service::fence::node_lease;
use crate::service::sessions::Sessions;

/// Rows in one transaction.
const BATCH: i64 = 500;

/// The result of one transaction.
struct Step {
    ended: usize,
    /// None: there is more to do. Otherwise it is done: how long a node may still answer by what it knew before.
    trusted: Option<Duration>,
}

impl Sessions {
    /// Ends every session, voids every reset link, gives up all records in Redis, and starts a new history of the
    /// ledger. Returns how many sessions ended.
    pub async fn ledger_restored(&self, context: &AuditContext) -> Result<usize, Unavailable> {
        self.raise_all_epochs().await?;
        let mut ended = 0;
        loop {
            let (room, context) = (self.clone(), context.clone());
            let step = self.core.ledger.write(move |db| room.end_some(db, &context, ended)).await?;
            ended += step.ended;
            let Some(trusted) = step.trusted else { continue };
            tokio::time::sleep(trusted).await;
            return Ok(ended);
        }
    }

    /// Refuses a sign-in in progress, which has read the ledger before it was replaced.
    async fn raise_all_epochs(&self) -> Result<(), Unavailable> {
        let mut after = None;
        loop {
            let raised = self.core.ledger.write(move |db| {
                let ids = users::after(db, after, BATCH)?;
                locks::users(db, &ids)?;
                users::raise_epochs(db, &ids)?;
                Ok(ids.last().copied())
            });
            let last = raised.await?;
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    fn end_some(&self, db: &mut Db, context: &AuditContext, ended_before: usize) -> Result<Step, LedgerError> {
        // Also sessions that are over by this machine's clock: the nodes' clocks may differ.
        let which = Which::These(sessions::unended(db, BATCH)?);
        let owners = sessions::owners(db, &which)?;
        let locked = locks::users(db, &owners)?;
        let ended = self.end_rows(db, &locked, &which, EndReason::LedgerRestored, context)?.ended;
        if !sessions::unended(db, 1)?.is_empty() {
            return Ok(Step { ended, trusted: None });
        }
        // The links may have been used since the backup.
        resets::void_all(db)?;
        let redis = lineage::declare(db, Lineage::generate(self.core.random()))?;
        // A node may have read just before that its Redis is current, or that its own lease is renewed.
        let by_redis = if redis { self.core.policy.store_lease } else { Duration::ZERO };
        let has_leases = self.core.ledger.needs_lease() || !node_leases::read(db)?.leases.is_empty();
        let by_lease = if has_leases { node_lease::LENGTH } else { Duration::ZERO };
        let mut line = self.audit.entry(Event::LedgerRestored, context, None, None);
        line.detail = Some(format!("sessions ended: {}", ended_before + ended));
        audit::append(db, &line)?;
        Ok(Step { ended, trusted: Some(by_redis.max(by_lease)) })
    }
}
