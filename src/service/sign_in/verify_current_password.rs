//! Current password: a signed-in user gives the password again.
//!
//! Owns the one place that verifies it, for every purpose: a password change, or a proof for another action. Each
//! attempt counts. Must never distinguish a wrong password from one that cannot be compared.

use crate::domain::password::Verdict;
use crate::domain::{Client, Password};
use crate::ledger::users::{self, User};
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::sign_in::SignIns;
use crate::service::sign_in::hash_pool::Source;

/// Why a user has not proven their identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::service) enum NotProven {
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl SignIns {
    /// Returns the user, if the password is right. The next transaction must compare the epoch: the password may change
    /// before it.
    pub(in crate::service) async fn verify_current_password(
        &self,
        checked: &Checked,
        password: Password,
        client: &Client,
    ) -> Result<User, NotProven> {
        // Whoever acts for the owner may have the password, and is still not the owner.
        if checked.acting.is_some() {
            return Err(Denied::Forbidden.into());
        }
        let user = checked.user;
        let found = self.core.ledger.read_at_entrance(move |db| users::find(db, user)).await.map_err(Denied::from)?;
        let user = found.ok_or(Denied::Ended)?;
        let attempt = self.reserve_attempt_in(checked.session, client).await;
        let attempt = attempt
            .inspect_err(|throttled| self.audit.note_throttled(&user.email_key, throttled, client))
            .map_err(Denied::from)?;
        let stored = Some(user.password_hash.clone());
        let verdict = self.hash_pool.verify(Source::familiar(client), password, stored, None).await;
        match attempt.settle(verdict, true).await.map_err(Denied::from)? {
            Verdict::Match { .. } => Ok(user),
            Verdict::Mismatch | Verdict::Unusable => {
                self.audit.note_password_failure(checked, client);
                Err(NotProven::WrongPassword)
            }
        }
    }
}
