//! The password of somebody who is signed in, asked for once more.
//!
//! Owns the one place where that is done, whatever it is done for (a change of the password or a proof for something
//! else), and what a right answer binds the session to. Each is an attempt that is counted. Must never tell a wrong password from one that cannot be compared.

use crate::domain::password::Verdict;
use crate::domain::{Client, Password};
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, proofs};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::hash_pool::Source;

/// Why somebody has not proven who they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::service) enum NotProven {
    /// It is another password.
    #[error("it is another password")]
    WrongPassword,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl SignIns {
    /// The user, if this is their password. Whatever follows compares the epoch in its own transaction: the password may
    /// be changed before that.
    pub(in crate::service) async fn own_password(
        &self,
        checked: &Checked,
        password: Password,
        client: &Client,
    ) -> Result<User, NotProven> {
        let user = checked.user;
        let found = self.core.ledger.read_at_entrance(move |db| users::find(db, user)).await.map_err(Denied::from)?;
        let user = found.ok_or(Denied::Ended)?;
        let attempt = self.reserve_attempt_in(checked.session, client).await;
        let attempt = attempt
            .inspect_err(|throttled| self.audit.note_throttled(&user.email_key, throttled, client))
            .map_err(Denied::from)?;
        let verdict = self.hash_pool.verify(Source::familiar(client), password, Some(user.password_hash.clone())).await;
        match attempt.settle(verdict, true).await.map_err(Denied::from)? {
            Verdict::Match { .. } => Ok(user),
            Verdict::Mismatch | Verdict::Unusable => {
                self.audit.note_password_failure(checked, client);
                Err(NotProven::WrongPassword)
            }
        }
    }
}

/// Binds a session to the device on which its owner has just proven who they are, if it says what it is.
pub(in crate::service) fn bind(db: &mut Db, checked: &Checked, context: &AuditContext) -> Result<(), LedgerError> {
    let user_agent = context.client.as_ref().and_then(|client| client.user_agent.as_deref());
    user_agent.map_or(Ok(()), |user_agent| proofs::bind(db, checked.session, user_agent))
}
