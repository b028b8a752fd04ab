//! Account: a signed-in user's profile, name and password.
//!
//! Owns what users can change about themselves. A new password ends every other session and renews the token of this
//! one, in one transaction under the user's lock.

use crate::domain::event::Event;
use crate::domain::password::WeakPassword;
use crate::domain::throttle::Counts;
use crate::domain::{Client, EndReason, Password, name};
use crate::fault_point;
use crate::ledger::Db;
use crate::ledger::locks::Locked;
use crate::ledger::sessions::{Session, Which};
use crate::ledger::users::{self, User};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::authority::Authority;
use crate::service::core::checked::Checked;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::{Me, Renewed, SessionView, UserView};
use crate::service::sign_in::hash_new_password::{Chooser, from_not_chosen};
use crate::service::sign_in::verify_current_password::NotProven;
use crate::service::users::Users;

/// Why a name was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The name is not allowed; the reason.
    #[error("{0}")]
    InvalidName(String),
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// Why a password was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangePasswordError {
    /// The current password is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password is not allowed; the reason, for the user.
    #[error("{0}")]
    WeakPassword(String),
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<WeakPassword> for ChangePasswordError {
    fn from(error: WeakPassword) -> Self {
        Self::WeakPassword(error.0)
    }
}

from_not_chosen!(ChangePasswordError);

impl From<NotProven> for ChangePasswordError {
    fn from(error: NotProven) -> Self {
        match error {
            NotProven::WrongPassword => Self::WrongPassword,
            NotProven::Denied(denied) => Self::Denied(denied),
        }
    }
}

impl Users {
    /// The current user and session, read from the ledger; none when the session ended meanwhile.
    pub async fn me(&self, checked: &Checked) -> Result<Option<Me>, Unavailable> {
        let found = self.core.ledger.find_with_owner(checked.session).await?;
        Ok(found.map(|(user, session)| self.me_of(&user, session, checked)))
    }

    fn me_of(&self, user: &User, mut session: Session, checked: &Checked) -> Me {
        // The record's last use is never older than the ledger's.
        session.last_seen_at = session.last_seen_at.max(checked.deadlines.last_seen);
        Me {
            user: UserView::from(user),
            session: SessionView::new(&session, self.core.last_use(&session, None), Some(checked.session)),
        }
    }

    /// Changes the display name; none removes it.
    pub async fn rename(&self, checked: &Checked, name: Option<String>) -> Result<UserView, RenameError> {
        let name = name.map(|name| name::tidy(&name)).transpose().map_err(RenameError::InvalidName)?.flatten();
        let counted = self.core.count_in(&self.core.spans_of(&checked.user.to_string(), Counts::Changes)).await;
        let counted = counted.map_err(Denied::from)?;
        let (room, user, by) = (self.clone(), checked.user, Authority::unchallenged(checked));
        let renamed = self.core.write(move |db| match room.core.lock(db, Some(&by), &[])? {
            // A subject's name is what its application says.
            Ok(locked) if locked.user(user).is_some_and(|user| user.subject.is_some()) => Ok(Err(Denied::Forbidden)),
            Ok(_) => users::set_name(db, user, name.as_deref()).map(Ok),
            Err(unproven) => Ok(Err(unproven)),
        });
        let renamed = renamed.await.map_err(Denied::from).flatten();
        match renamed {
            Ok(Some(user)) => Ok(UserView::from(&user)),
            refused => {
                self.core.uncount(&counted).await;
                Err(refused.err().unwrap_or(Denied::Ended).into())
            }
        }
    }

    /// Changes the password: every other session ends, this one gets a new token. The current password in the same
    /// request is the required proof: no earlier proof counts.
    pub async fn change_password(
        &self,
        checked: &Checked,
        current: Password,
        new: Password,
        client: &Client,
    ) -> Result<Renewed, ChangePasswordError> {
        self.core.password_rules().check_length(&new)?;
        let user = self.sign_in.verify_current_password(checked, current, client).await?;
        let chooser = Chooser::Owner(&checked.session.to_string(), client);
        let password_hash = self.sign_in.hash_new_password(chooser, new, &user.email, user.name.as_deref()).await?;
        fault_point::reach("password: hashed");
        let (room, id, others) = (self.clone(), user.id, Which::OfUser(user.id, Some(checked.session)));
        let set_password = move |db: &mut Db, locked: &Locked, context: &AuditContext| {
            users::set_password(db, id, &password_hash)?;
            fault_point::reach("password: set");
            users::raise_epoch(db, id)?;
            fault_point::reach("password: epoch raised");
            let ended = room.sessions.end_rows(db, locked, &others, EndReason::PasswordChanged, context)?;
            fault_point::reach("password: others ended");
            Ok(ended.records)
        };
        let renewal =
            self.sign_in.renew_token(checked, client, Event::PasswordChanged, Some(user.epoch), set_password).await?;
        self.sign_in.forgive(&user.email_key).await;
        // The one from before has ended with the epoch.
        let device = self.sign_in.new_device(&user, user.epoch.saturating_add(1));
        Ok(self.sign_in.renewed(renewal, Some(device)).await)
    }
}
