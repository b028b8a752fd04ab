//! Register: create an account.
//!
//! Owns the rules for a new account. Does not sign in: [`crate::service::sign_in`] does, with the same hash pool.

use crate::domain::email::InvalidEmail;
use crate::domain::event::Event;
use crate::domain::password::WeakPassword;
use crate::domain::throttle::Counts;
use crate::domain::{Client, Email, Password, Registration, Roles, UserId, name};
use crate::ledger::{audit, users};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::core::views::UserView;
use crate::service::sign_in::hash_new_password::{Chooser, from_not_chosen};
use crate::service::users::Users;

/// A request for an account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: Password,
    /// The display name.
    pub name: Option<String>,
}

/// Why an account was not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Only the operator creates accounts here.
    #[error("registration is closed")]
    Closed,
    /// The address is invalid; the reason, for the user.
    #[error("{0}")]
    InvalidEmail(String),
    /// The password is not allowed; the reason, for the user.
    #[error("{0}")]
    WeakPassword(String),
    /// The name is not allowed; the reason.
    #[error("{0}")]
    InvalidName(String),
    /// An account with this address exists.
    #[error("an account with this address already exists")]
    EmailTaken,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<InvalidEmail> for RegisterError {
    fn from(error: InvalidEmail) -> Self {
        Self::InvalidEmail(error.to_string())
    }
}

impl From<WeakPassword> for RegisterError {
    fn from(error: WeakPassword) -> Self {
        Self::WeakPassword(error.0)
    }
}

from_not_chosen!(RegisterError);

impl Users {
    /// Creates an account for any client, where the operator allows it.
    pub async fn register(&self, account: NewAccount, client: &Client) -> Result<UserView, RegisterError> {
        if self.core.policy.registration == Registration::Closed {
            return Err(RegisterError::Closed);
        }
        // A taken address counts, too: many such requests are a search for existing accounts.
        let counted = self.core.count_in(&self.core.spans_of_address(client, Counts::Registrations)).await;
        let counted = counted.map_err(Denied::from)?;
        let made = self.create_account(account, Roles::new_account(), AuditContext::anonymous(client)).await;
        if !matches!(made, Ok(_) | Err(RegisterError::EmailTaken)) {
            self.core.uncount(&counted).await;
        }
        made
    }

    /// Creates an account for any actor.
    pub(in crate::service) async fn create_account(
        &self,
        account: NewAccount,
        roles: Roles,
        context: AuditContext,
    ) -> Result<UserView, RegisterError> {
        let (email, name) = read(&account.email, account.name.as_deref())?;
        let chooser = context.client.as_ref().map_or(Chooser::Operator, Chooser::Stranger);
        let password_hash =
            self.sign_in.hash_new_password(chooser, account.password, email.typed(), name.as_deref()).await?;
        self.insert_account(email, name, password_hash, roles, context).await
    }

    /// Stores a new account, unless its address has one.
    pub(in crate::service) async fn insert_account(
        &self,
        email: Email,
        name: Option<String>,
        password_hash: String,
        roles: Roles,
        context: AuditContext,
    ) -> Result<UserView, RegisterError> {
        let user = users::NewUser {
            id: UserId::generate(self.core.clock().now(), self.core.random()),
            email,
            name,
            password_hash,
            roles,
            created_at: self.core.clock().now(),
        };
        let line = self.audit.entry(Event::UserCreated, &context, Some(user.id), None);
        let made = self.core.write(move |db| {
            if !users::insert(db, &user)? {
                return Ok(None);
            }
            audit::append(db, &line)?;
            users::find(db, user.id)
        });
        let user = made.await.map_err(Denied::from)?.ok_or(RegisterError::EmailTaken)?;
        Ok(UserView::from(&user))
    }
}

/// The address and the name of a new account, as they are stored.
pub(in crate::service) fn read(email: &str, name: Option<&str>) -> Result<(Email, Option<String>), RegisterError> {
    let email = Email::parse(email)?;
    let name = name.map(name::tidy).transpose().map_err(RegisterError::InvalidName)?.flatten();
    Ok((email, name))
}
