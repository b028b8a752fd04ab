//! Lock, then judge: the start of every change that a user makes.
//!
//! Owns the order: lock the rows of the actor and of the affected users (for a service, the row of its secret first), and
//! only then read whether the account may act, whether its session is live under the shown token, how old the proof is, and the roles. Must never judge before
//! the locks: what it judged may change while the request waits for them. docs/transactions.md lists the locks and
//! judgements.

use crate::domain::UserId;
use crate::fault_point;
use crate::ledger::locks::{self, Locked};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, acting_sessions, proofs, services};
use crate::service::core::Core;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::{Authority, Granted, SessionAuthority};
use crate::service::core::denied::Denied;

impl Core {
    /// Locks the actor and these users, in the order of their ids, and then judges the actor. Call it once in a
    /// transaction, before any other read that the change depends on.
    pub(in crate::service) fn lock(
        &self,
        db: &mut Db,
        by: Option<&Authority>,
        upon: &[UserId],
    ) -> Result<Granted<Locked>, LedgerError> {
        // A removal of the secret waits for this transaction, or this transaction sees it.
        if let Some(Authority::Service(credential)) = by
            && !services::holds(db, credential, self.clock().now())?
        {
            return Ok(Err(Denied::Ended));
        }
        let by = by.and_then(Authority::session);
        let acting = by.map(SessionAuthority::user);
        let locked = locks::users(db, &acting.into_iter().chain(upon.iter().copied()).collect::<Vec<_>>())?;
        let judged = match by {
            Some(by) => self.judge_authority(db, by, locked.user(by.user()))?,
            None => Ok(()),
        };
        Ok(judged.map(|()| locked))
    }

    /// The same for a change that ends all sessions of `user`, who may be an administrator: those in which the user acts for
    /// others end with them, so their owners are locked, too.
    pub(in crate::service) fn lock_with_acted(
        &self,
        db: &mut Db,
        by: Option<&Authority>,
        user: UserId,
        upon: &[UserId],
    ) -> Result<Granted<Locked>, LedgerError> {
        let acted_for = acting_sessions::acted_for(db, user)?;
        self.lock(db, by, &[&[user], upon, acted_for.as_slice()].concat())
    }

    /// Judges without locks, so that a request that may not act is refused before any work. The judgement that counts
    /// follows under the locks.
    pub(in crate::service) async fn ask_first(&self, context: &AuditContext) -> Result<Granted<()>, LedgerError> {
        // A service was recognised a moment ago.
        let Some(by) = context.authority.as_ref().and_then(Authority::session).copied() else { return Ok(Ok(())) };
        let room = self.clone();
        let judged = self.ledger.read(move |db| {
            let owner = users::find(db, by.user())?;
            room.judge_authority(db, &by, owner.as_ref())
        });
        judged.await
    }

    fn judge_authority(
        &self,
        db: &mut Db,
        by: &SessionAuthority,
        owner: Option<&User>,
    ) -> Result<Granted<()>, LedgerError> {
        let now = self.clock().now();
        let Some(owner) = owner.filter(|user| !user.is_disabled() && !user.is_deleted()) else {
            return Ok(Err(Denied::Ended));
        };
        let proof = proofs::find(db, by.session(), by.token_hash(), now)?;
        fault_point::reach("step-up: judged");
        Ok(proof.ok_or(Denied::Ended).and_then(|proof| by.judge(&owner.roles, proof, self.policy.step_up_age, now)))
    }
}
