//! Delete: removes an account with all its personal data.
//!
//! Owns the order. One transaction ends the sessions by the path of any revocation and empties the account's row; that
//! is confirmed; then personal data in other tables is erased, a bounded number of rows at a time. Can be repeated, and
//! interrupted anywhere: a node finishes the rest in the background.

use crate::domain::event::Event;
use crate::domain::{EndReason, UserId};
use crate::fault_point;
use crate::ledger::users::User;
use crate::ledger::{Db, LedgerError, alerts, erasure, locks};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::users::Users;
use crate::service::users::admin::{AdminError, LastAdministrator};

/// Rows that one transaction erases.
const BATCH: i64 = 500;
/// Deleted accounts that one run checks.
const ACCOUNTS: i64 = 100;

impl Users {
    /// Deletes an account. Returns how many of its sessions were live. Repeating it is no error while its row exists.
    pub async fn delete_user(&self, id: UserId, context: &AuditContext) -> Result<usize, AdminError> {
        let by = context.actor.name();
        let empty = move |room: &Self, db: &mut Db, user: &User, is_last| {
            if is_last {
                return Ok(Err(LastAdministrator));
            }
            let news = !user.is_deleted();
            if news {
                erasure::delete(db, user.id, room.core.clock().now())?;
                // Its sessions end, so its alerts are closed.
                alerts::acknowledge_all(db, user.id, room.core.clock().now(), &by)?;
                fault_point::reach("deletion: row emptied");
            }
            Ok(Ok(news))
        };
        let ended = self.change_user(id, context, Event::UserDeleted, Some(EndReason::UserDeleted), empty).await?;
        fault_point::reach("deletion: sessions invalidated");
        self.erase(id).await.map_err(Denied::from)?;
        Ok(ended)
    }

    /// Erases the remaining data of a deleted account.
    async fn erase(&self, id: UserId) -> Result<(), LedgerError> {
        let room = self.clone();
        // Under its lock, so that only one of several nodes does it.
        let some = move |db: &mut Db| {
            if !locks::users(db, &[id])?.user(id).is_some_and(User::is_deleted) {
                return Ok(false);
            }
            // Before the search: what is written after it is late, however long the search takes.
            let now = room.fence.ledger_now(db)?;
            let found = erasure::erase_some(db, id, BATCH)?;
            if !found {
                erasure::finish(db, id, now)?;
            }
            Ok(found)
        };
        while self.core.write(some.clone()).await? {
            fault_point::reach("deletion: some erased");
        }
        fault_point::reach("deletion: all erased");
        Ok(())
    }

    /// Finishes interrupted deletions.
    pub(in crate::service) async fn finish_deletions(&self) -> Result<(), LedgerError> {
        for id in self.core.ledger.read(|db| erasure::unfinished(db, ACCOUNTS)).await? {
            self.erase(id).await?;
        }
        Ok(())
    }
}
