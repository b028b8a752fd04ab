//! Ensure: finds or makes the user of an application that embeds the service, by the application's own name for them.
//!
//! Owns that one call is enough, at every sign-in and in two requests at once. Must never find an account by its address:
//! anyone may have registered that.

use crate::domain::email::InvalidEmail;
use crate::domain::event::Event;
use crate::domain::subject::InvalidSubject;
use crate::domain::{Email, Profile, Subject, UserId, name};
use crate::ledger::{audit, locks, subjects};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::users::Users;

/// Why a user was neither found nor made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnsureError {
    /// The key cannot name a user; the reason.
    #[error(transparent)]
    InvalidKey(#[from] InvalidSubject),
    /// The address is invalid; the reason.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The name is not allowed; the reason.
    #[error("{0}")]
    InvalidName(String),
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Users {
    /// The user of this key, made if there is none. An address and a name that are given replace the stored ones.
    pub async fn ensure_user(
        &self,
        key: &str,
        email: Option<&str>,
        name: Option<&str>,
        context: AuditContext,
    ) -> Result<UserId, EnsureError> {
        let subject = Subject::parse(key)?;
        let email = email.map(Email::parse).transpose()?.map(Some);
        let name = name.map(name::tidy).transpose().map_err(EnsureError::InvalidName)?;
        let profile = Profile { email, name, claims: None };
        // At most sign-ins there is nothing to write.
        let (wanted, asked) = (profile.clone(), subject.clone());
        let known = self.core.ledger.read(move |db| subjects::find(db, &asked)).await.map_err(Denied::from)?;
        if let Some(user) = known.filter(|user| !subjects::changes(user, &wanted)) {
            return Ok(user.id);
        }
        let new = UserId::generate(self.core.clock().now(), self.core.random());
        let line = self.audit.entry(Event::UserCreated, &context, Some(new), None);
        let room = self.clone();
        let ensured = self.core.write(move |db| {
            let (id, is_new) = subjects::find_or_add(db, &subject, new, room.core.clock().now())?;
            if is_new {
                audit::append(db, &line)?;
            }
            let locked = locks::users(db, &[id])?;
            if let Some(user) = locked.user(id) {
                subjects::set_profile(db, user, &profile)?;
            }
            Ok(id)
        });
        Ok(ensured.await.map_err(Denied::from)?)
    }
}
