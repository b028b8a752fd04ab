//! Revoke: an operator, or an application for one of its users, ends sessions by their ids or their owner.
//!
//! Owns these verbs. An owner's own sign-out is in [`super::own`]. Must never end anything but by [`Sessions::end`].

use crate::domain::{EndReason, SessionId, UserId};
use crate::ledger::sessions::Which;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::sessions::Sessions;
use crate::service::sessions::end::{Existed, Those};

impl Sessions {
    /// Ends any session.
    pub async fn revoke(&self, session: SessionId, context: &AuditContext) -> Result<Existed, Denied> {
        let ended = self.end(Which::Any(session), EndReason::Revoked, context).await?;
        Ok(Existed(ended.found))
    }

    /// Ends a session of this user. Another user's session does not exist here.
    pub async fn revoke_of(&self, user: UserId, session: SessionId, context: &AuditContext) -> Result<Existed, Denied> {
        let ended = self.end(Which::One(session, user), EndReason::Revoked, context).await?;
        Ok(Existed(ended.found))
    }

    /// Ends all of these sessions of a user. How many were live; none when there is no such user.
    pub async fn revoke_all_of(
        &self,
        user: UserId,
        those: Those,
        context: &AuditContext,
    ) -> Result<Option<usize>, Denied> {
        Ok(self.end_all(user, those, EndReason::Revoked, context, None).await?.map(|ended| ended.live))
    }
}
