//! Reset: a one-time link to set a new password.
//!
//! Owns the link's life, and the lock on an account that only such a link opens. Its token is as random as a session's,
//! stored as a hash, and valid once, for an hour; its use ends every session of the account.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::password::{LOCKED, WeakPassword};
use crate::domain::{Client, EndReason, Password, Timestamp, Token, UserId};
use crate::fault_point;
use crate::ledger::sessions::Which;
use crate::ledger::{audit, locks, resets, users};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::sign_in::hash_new_password::{Chooser, from_not_chosen};
use crate::service::users::Users;
use crate::service::users::admin::{AdminError, LastAdministrator};

/// How long a link is valid.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// The token of a new link.
#[derive(Debug)]
pub struct IssuedReset {
    /// The token for the link's fragment.
    pub token: Token,
    /// When the link expires.
    pub expires_at: Timestamp,
}

/// Why a link did not set a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// The link was used, replaced by a newer one, has expired, or never existed.
    #[error("the link is not valid")]
    Invalid,
    /// The new password is not allowed; the reason, for the user.
    #[error("{0}")]
    WeakPassword(String),
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<WeakPassword> for ResetError {
    fn from(error: WeakPassword) -> Self {
        Self::WeakPassword(error.0)
    }
}

from_not_chosen!(ResetError);

impl Users {
    /// Removes a user's password until a link sets a new one: ends the user's sessions and voids earlier links. Returns
    /// how many sessions were live. Repeating it is no error.
    pub async fn lock_user(&self, user: UserId, context: &AuditContext) -> Result<usize, AdminError> {
        self.change_user(user, context, Event::UserLocked, Some(EndReason::PasswordReset), |_, db, user, is_last| {
            if is_last {
                return Ok(Err(LastAdministrator));
            }
            users::set_password(db, user.id, LOCKED)?;
            resets::void(db, user.id)?;
            Ok(Ok(!user.is_locked()))
        })
        .await
    }

    /// Creates a link for a user, and voids earlier ones. None for a disabled account: its link would open nothing.
    pub async fn issue_reset(&self, user: UserId, context: &AuditContext) -> Result<Option<IssuedReset>, AdminError> {
        let token = Token::generate(self.core.random());
        let now = self.core.clock().now();
        let expires_at = now.plus(LIFETIME);
        let (hash, line) = (token.hash(), self.audit.entry(Event::PasswordResetIssued, context, Some(user), None));
        let issued = self.core.write(move |db| {
            let locked = locks::users(db, &[user])?;
            let Some(row) = locked.user(user).filter(|row| !row.is_deleted()) else {
                return Ok(Err(AdminError::UnknownUser));
            };
            if row.subject.is_some() {
                return Ok(Err(AdminError::IsSubject));
            }
            if row.is_disabled() {
                return Ok(Ok(None));
            }
            resets::issue(db, user, &hash, now, expires_at)?;
            audit::append(db, &line)?;
            Ok(Ok(Some(IssuedReset { token: token.clone(), expires_at })))
        });
        issued.await.map_err(Denied::from)?
    }

    /// Sets a new password with a link, and ends every session of the account.
    pub async fn reset_password(&self, token: &str, new: Password, client: &Client) -> Result<(), ResetError> {
        self.core.password_rules().check_length(&new)?;
        let hash = Token::parse(token).ok_or(ResetError::Invalid)?.hash();
        let now = self.core.clock().now();
        let owner = self.core.ledger.read_at_entrance(move |db| match resets::find(db, &hash, now)? {
            Some(user) => users::find(db, user),
            None => Ok(None),
        });
        let owner = owner.await.map_err(Denied::from)?.ok_or(ResetError::Invalid)?;
        let user = owner.id;
        let chooser = Chooser::Owner(&owner.email_key, client);
        let password_hash = self.sign_in.hash_new_password(chooser, new, &owner.email, owner.name.as_deref()).await?;
        let (room, context) = (self.clone(), AuditContext::anonymous(client));
        let done = self.core.write(move |db| {
            let Ok(locked) = room.core.lock_with_acted(db, None, user, &[])? else { return Ok(None) };
            let Some(row) = locked.user(user).filter(|row| !row.is_disabled()) else { return Ok(None) };
            // Judge the expiry now: the request may have waited for the hash and for the lock.
            if !resets::consume(db, &hash, room.core.clock().now())? {
                return Ok(None);
            }
            fault_point::reach("reset: link used");
            users::set_password(db, user, &password_hash)?;
            fault_point::reach("reset: password set");
            users::raise_epoch(db, user)?;
            fault_point::reach("reset: epoch raised");
            let ended =
                room.sessions.end_rows(db, &locked, &Which::OfUser(user, None), EndReason::PasswordReset, &context)?;
            fault_point::reach("reset: sessions ended");
            audit::append(db, &room.audit.entry(Event::PasswordReset, &context, Some(user), None))?;
            fault_point::reach("reset: line written");
            Ok(Some((ended.records, row.email_key.clone())))
        });
        let (records, email_key) = done.await.map_err(Denied::from)?.ok_or(ResetError::Invalid)?;
        fault_point::reach("reset: committed");
        // Earlier guesses at the old password no longer matter.
        self.sign_in.forgive(&email_key).await;
        Ok(self.sessions.invalidate(&records).await.map_err(Denied::from)?)
    }
}
