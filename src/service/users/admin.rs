//! Administration: accounts and their roles.
//!
//! Owns what operators do to users. Disabling an account or changing its roles ends its sessions by the path of any
//! revocation (invariant 7): privileges never change under a token that was issued before.

use crate::domain::event::Event;
use crate::domain::password::LOCKED;
use crate::domain::{Email, EndReason, Password, Role, Roles, Subject, UserId};
use crate::fault_point;
use crate::ledger::sessions::Which;
use crate::ledger::users::{self, User};
use crate::ledger::{Db, LedgerError, audit, pending_invalidations, subjects};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::{UserRow, UserView};
use crate::service::users::Users;
use crate::service::users::register::{NewAccount, RegisterError, read};

/// An account that an operator creates.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address, as typed.
    pub email: String,
    /// The display name.
    pub name: Option<String>,
    /// The password.
    pub password: Password,
    /// The user's roles.
    pub roles: Roles,
}

/// Why a change to an account was not made, or not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The user does not exist.
    #[error("there is no such user")]
    UnknownUser,
    /// An application verifies the user: there is no password here.
    #[error("an application verifies this user, so there is no password here")]
    IsSubject,
    /// Nobody could administer any more. Nothing has happened.
    #[error("no other administrator can sign in")]
    LastAdministrator,
    /// A reason that use cases share.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// The affected user is the only administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct LastAdministrator;

/// The result of a change: whether it changed anything, unless it is refused.
pub(in crate::service) type Changed = Result<bool, LastAdministrator>;

impl Users {
    /// Creates an account, even where registration is closed.
    pub async fn create_user(&self, user: NewUser, context: AuditContext) -> Result<UserView, RegisterError> {
        let account = NewAccount { email: user.email, password: user.password, name: user.name };
        self.create_account(account, user.roles, context).await
    }

    /// Creates an account that no password opens, for a user whom an application verifies by its own means.
    pub async fn create_user_without_password(
        &self,
        email: &str,
        name: Option<&str>,
        context: AuditContext,
    ) -> Result<UserView, RegisterError> {
        let (email, name) = read(email, name)?;
        self.insert_account(email, name, LOCKED.to_owned(), Roles::new_account(), context).await
    }

    /// Finds a user by address.
    pub async fn find_user(&self, email: &str) -> Result<Option<UserRow>, Unavailable> {
        let Ok(email) = Email::parse(email) else { return Ok(None) };
        let room = self.clone();
        let row = self.core.ledger.read(move |db| {
            let user = users::find_by_email(db, email.key())?;
            user.map(|user| room.user_row(db, &user)).transpose()
        });
        Ok(row.await?)
    }

    /// Finds a user by id, unless the user was deleted.
    pub async fn find_user_by_id(&self, id: UserId) -> Result<Option<UserRow>, Unavailable> {
        let room = self.clone();
        let row = self.core.ledger.read(move |db| {
            let user = users::find(db, id)?.filter(|user| !user.is_deleted());
            user.map(|user| room.user_row(db, &user)).transpose()
        });
        Ok(row.await?)
    }

    /// The user whom an application calls so.
    pub async fn find_subject(&self, subject: Subject) -> Result<Option<UserId>, Unavailable> {
        let user = self.core.ledger.read(move |db| subjects::find(db, &subject)).await?;
        Ok(user.map(|user| user.id))
    }

    fn user_row(&self, db: &mut Db, user: &User) -> Result<UserRow, LedgerError> {
        let row = self.user_rows(db, std::slice::from_ref(user))?.pop();
        row.ok_or_else(|| LedgerError::Corrupt("a user".to_owned()))
    }

    /// Whether anybody can administer.
    pub async fn has_administrator(&self) -> Result<bool, Unavailable> {
        Ok(self.core.ledger.read(users::has_administrator).await?)
    }

    /// Whether the user has the role in the ledger now.
    pub async fn has_role(&self, user: UserId, role: Role) -> Result<bool, Unavailable> {
        let user = self.core.ledger.read(move |db| users::find(db, user)).await?;
        Ok(user.is_some_and(|user| !user.is_disabled() && user.roles.has(role)))
    }

    /// Disables an account and ends all its sessions. Returns how many were live. Repeating it is no error.
    pub async fn disable_user(&self, user: UserId, context: &AuditContext) -> Result<usize, AdminError> {
        self.change_user(user, context, Event::UserDisabled, Some(EndReason::Disabled), |room, db, user, is_last| {
            if is_last {
                return Ok(Err(LastAdministrator));
            }
            let news = !user.is_disabled();
            if news {
                users::set_disabled(db, user.id, Some(room.core.clock().now()))?;
            }
            Ok(Ok(news))
        })
        .await
    }

    /// Enables an account again. Revives no session. Repeating it is no error.
    pub async fn enable_user(&self, user: UserId, context: &AuditContext) -> Result<(), AdminError> {
        let enable = |_: &Self, db: &mut Db, user: &User, _| {
            let news = user.is_disabled();
            if news {
                users::set_disabled(db, user.id, None)?;
            }
            Ok(Ok(news))
        };
        self.change_user(user, context, Event::UserEnabled, None, enable).await.map(drop)
    }

    /// Adds a role. The user's sessions end: the next one has the role.
    pub async fn grant_role(&self, user: UserId, role: Role, context: &AuditContext) -> Result<(), AdminError> {
        self.set_roles(user, context, move |roles| roles.with(role)).await
    }

    /// Removes a role. The user's sessions end.
    pub async fn take_role(&self, user: UserId, role: Role, context: &AuditContext) -> Result<(), AdminError> {
        self.set_roles(user, context, move |roles| roles.without(role)).await
    }

    /// Sets a user's roles to these, plus the role that every user has. Ends the user's sessions if that changes
    /// anything.
    pub async fn put_roles(&self, user: UserId, roles: Roles, context: &AuditContext) -> Result<(), AdminError> {
        self.set_roles(user, context, move |_| roles.clone().with(Role::User)).await
    }

    async fn set_roles(
        &self,
        user: UserId,
        context: &AuditContext,
        change: impl Fn(Roles) -> Roles + Send + 'static,
    ) -> Result<(), AdminError> {
        let set = move |_: &Self, db: &mut Db, user: &User, is_last: bool| {
            let roles = change(user.roles.clone());
            if is_last && !roles.has(Role::Admin) {
                return Ok(Err(LastAdministrator));
            }
            let news = roles != user.roles;
            if news {
                users::set_roles(db, user.id, &roles)?;
            }
            Ok(Ok(news))
        };
        self.change_user(user, context, Event::RolesChanged, Some(EndReason::RolesChanged), set).await.map(drop)
    }

    /// The one path of every change to an account: lock the actor, the user and, where the change could leave no
    /// administrator, all administrators; judge the actor; change the row, and write one line if that changed anything.
    /// If sessions must end, raise the epoch and end them; a repeated disable does so again, so that it confirms again.
    /// The last argument of `change` says whether the user is the last administrator: only the command line may remove
    /// that one, with an explicit flag.
    pub(in crate::service) async fn change_user(
        &self,
        id: UserId,
        context: &AuditContext,
        event: Event,
        ends: Option<EndReason>,
        change: impl Fn(&Self, &mut Db, &User, bool) -> Result<Changed, LedgerError> + Send + 'static,
    ) -> Result<usize, AdminError> {
        let (room, context) = (self.clone(), context.clone());
        let changed = self.core.write(move |db| {
            let others = if must_leave_one(&context, event) { users::privileged(db)? } else { Vec::new() };
            let locked = match room.core.lock_with_acted(db, context.authority.as_ref(), id, &others)? {
                Ok(locked) => locked,
                Err(unproven) => return Ok(Err(AdminError::from(unproven))),
            };
            let is_last = must_leave_one(&context, event) && locked.administrators() == [id];
            let is_here = |user: &&User| !user.is_deleted() || event == Event::UserDeleted;
            let Some(user) = locked.user(id).filter(is_here) else { return Ok(Err(AdminError::UnknownUser)) };
            let Ok(news) = change(&room, db, user, is_last)? else { return Ok(Err(AdminError::LastAdministrator)) };
            fault_point::reach("account: changed");
            if news {
                let mut line = room.audit.entry(event, &context, Some(id), None);
                if event == Event::RolesChanged {
                    let now = users::find(db, id)?.map(|now| now.roles.to_string()).unwrap_or_default();
                    line.detail = Some(format!("{} -> {now}", user.roles));
                }
                audit::append(db, &line)?;
                fault_point::reach("account: line written");
                if event == Event::UserDisabled {
                    room.events.tell_user_disabled(db, id, &context)?;
                }
            }
            match ends {
                Some(reason) if news || reason == EndReason::Disabled => {
                    users::raise_epoch(db, id)?;
                    fault_point::reach("account: epoch raised");
                    let ended = room.sessions.end_rows(db, &locked, &Which::OfUser(id, None), reason, &context)?;
                    fault_point::reach("account: sessions ended");
                    Ok(Ok((ended.records, ended.live)))
                }
                // Nothing to change, but there may be pending invalidations to do.
                _ => Ok(Ok((pending_invalidations::of_user(db, id)?, 0))),
            }
        });
        let (records, live) = changed.await.map_err(Denied::from)??;
        fault_point::reach("account: committed");
        self.sessions.invalidate(&records).await.map_err(Denied::from)?;
        Ok(live)
    }
}

/// Whether this change must leave an administrator.
fn must_leave_one(context: &AuditContext, event: Event) -> bool {
    !context.forced && event != Event::UserEnabled
}
