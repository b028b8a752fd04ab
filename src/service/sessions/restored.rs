//! Restored: an operator declares that an older copy of the ledger, put back from a backup, is the ledger now.
//!
//! Owns the end of every session in it: nobody knows which of them were ended since the backup was made. Asks nothing
//! of Redis. Can be repeated, and interrupted anywhere: only its last transaction makes the copy the ledger, and until
//! then the nodes refuse it.

use crate::domain::event::Event;
use crate::domain::{EndReason, Lineage};
use crate::ledger::sessions::{self, Which};
use crate::ledger::{Db, LedgerError, audit, lineage, locks, resets, users};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::unavailable::Unavailable;
use crate::service::sessions::Sessions;

/// Rows in one transaction.
const BATCH: i64 = 500;

/// What one transaction came to.
struct Step {
    ended: usize,
    /// None: there is more to do. Otherwise it is done, and perhaps a Redis process is still believed for a lease.
    believed: Option<bool>,
}

impl Sessions {
    /// Ends every session, voids every reset link, gives up what Redis holds, and has the ledger begin anew. How many
    /// sessions were ended.
    pub async fn ledger_restored(&self, context: &AuditContext) -> Result<usize, Unavailable> {
        self.raise_all_epochs().await?;
        let mut ended = 0;
        loop {
            let (room, context) = (self.clone(), context.clone());
            let step = self.core.ledger.write(move |db| room.end_some(db, &context, ended)).await?;
            ended += step.ended;
            let Some(believed) = step.believed else { continue };
            if believed {
                // A node may have read that its Redis may speak just before.
                tokio::time::sleep(self.core.policy.store_lease).await;
            }
            return Ok(ended);
        }
    }

    /// A sign-in that is on its way has read the ledger before it was replaced: it is refused.
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
        // Also what is over by this machine's clock: the nodes' may say otherwise.
        let which = Which::These(sessions::unended(db, BATCH)?);
        let owners = sessions::owners(db, &which)?;
        let locked = locks::users(db, &owners)?;
        let ended = self.end_rows(db, &locked, &which, EndReason::LedgerRestored, context)?.ended;
        if !sessions::unended(db, 1)?.is_empty() {
            return Ok(Step { ended, believed: None });
        }
        // They may have been used since the backup was made.
        resets::void_all(db)?;
        let believed = lineage::declare(db, Lineage::generate(self.core.random()))?;
        let mut line = self.audit.entry(Event::LedgerRestored, context, None, None);
        line.detail = Some(format!("sessions ended: {}", ended_before + ended));
        audit::append(db, &line)?;
        Ok(Step { ended, believed: Some(believed) })
    }
}
