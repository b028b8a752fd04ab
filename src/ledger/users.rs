//! Users in SQL.
//!
//! Owns the `users` table. Code that issues or ends sessions or changes an account must hold the row's lock
//! ([`super::locks`]) in the same transaction: the lock and the epoch order a sign-in and a revocation.

pub mod import;
pub mod other_hashes;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::db::{Db, each};
use super::error::LedgerError;
use super::resets;
use super::schema::users;
use super::user_names;
use crate::domain::password::LOCKED;
use crate::domain::{Email, Role, Roles, Timestamp, UserId};

/// A user's row.
#[derive(Clone, Queryable)]
pub struct User {
    /// The user's public id.
    #[diesel(deserialize_as = String)]
    pub id: UserId,
    /// The address as typed.
    pub email: String,
    /// The normalised address.
    pub email_key: String,
    /// The display name.
    pub name: Option<String>,
    /// PHC string. Never leaves the service.
    pub password_hash: String,
    /// The user's roles.
    #[diesel(deserialize_as = String)]
    pub roles: Roles,
    /// Raised by every action that ends all of the user's sessions.
    pub epoch: i64,
    disabled_at: Option<i64>,
    /// When the account was created.
    #[diesel(deserialize_as = i64)]
    pub created_at: Timestamp,
    deleted_at: Option<i64>,
    _erased_at: Option<i64>,
    /// The name that an application gave to a user whom it has verified; none for an account of this service.
    pub subject: Option<String>,
    /// What that application says about the user: a JSON object.
    pub claims: Option<String>,
}

impl User {
    /// Whether the account is disabled.
    pub fn is_disabled(&self) -> bool {
        self.disabled_at.is_some()
    }

    /// Since when the account is disabled.
    pub fn disabled_at(&self) -> Option<Timestamp> {
        self.disabled_at.map(Timestamp::from_ms)
    }

    /// Whether the account was deleted: a row without personal data.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether no password opens the account until a new one is set.
    pub fn is_locked(&self) -> bool {
        self.password_hash == LOCKED && self.subject.is_none()
    }

    /// The address as it is compared; empty without one. That of a subject opens nothing, so it is not in `email_key`.
    pub fn address_key(&self) -> String {
        match (&self.subject, self.email.is_empty()) {
            (None, _) => self.email_key.clone(),
            (Some(_), true) => String::new(),
            (Some(_), false) => Email::key_of(&self.email),
        }
    }

    /// Whether the account is an administrator. A subject does not count: whether it can sign in is not known here.
    pub fn is_administrator(&self) -> bool {
        let can_sign_in = !self.is_disabled() && !self.is_deleted() && self.password_hash != LOCKED;
        can_sign_in && self.subject.is_none() && self.roles.has(Role::Admin)
    }
}

/// A user to create.
pub struct NewUser {
    /// The new id.
    pub id: UserId,
    /// The address.
    pub email: Email,
    /// The display name.
    pub name: Option<String>,
    /// PHC string.
    pub password_hash: String,
    /// The user's roles.
    pub roles: Roles,
    /// Now.
    pub created_at: Timestamp,
}

/// Adds a user; false when the address already has an account.
pub fn insert(db: &mut Db, user: &NewUser) -> Result<bool, LedgerError> {
    let row = (
        users::id.eq(user.id.to_string()),
        users::email.eq(user.email.typed()),
        users::email_key.eq(user.email.key()),
        users::name.eq(user.name.as_deref()),
        users::password_hash.eq(&user.password_hash),
        users::roles.eq(user.roles.to_string()),
        users::created_at.eq(user.created_at.ms()),
    );
    let inserted = each!(db, c => diesel::insert_into(users::table)
        .values(row)
        .on_conflict(users::email_key)
        .do_nothing()
        .execute(c))?;
    if inserted == 1 {
        user_names::set(db, user.id, user.email.key(), user.name.as_deref(), None)?;
    }
    Ok(inserted == 1)
}

/// The user with this id.
pub fn find(db: &mut Db, id: UserId) -> Result<Option<User>, LedgerError> {
    Ok(users::table.find(id.to_string()).select(users::all_columns).get_result(db).optional()?)
}

/// The addresses of these users, as typed; of a subject without one, the subject.
pub fn emails(db: &mut Db, ids: &[UserId]) -> Result<Vec<(UserId, String)>, LedgerError> {
    let rows = users::table.filter(users::id.eq_any(ids.iter().map(UserId::to_string)));
    let rows: Vec<(String, String, Option<String>)> =
        rows.select((users::id, users::email, users::subject)).load(db)?;
    let read = |(id, email, subject): (String, String, Option<String>)| {
        let email = if email.is_empty() { subject.unwrap_or_default() } else { email };
        UserId::parse(&id).map(|known| (known, email)).ok_or_else(|| LedgerError::Corrupt(format!("user id {id:?}")))
    };
    rows.into_iter().map(read).collect()
}

/// The user with this address, spelled as [`Email::key`].
pub fn find_by_email(db: &mut Db, email_key: &str) -> Result<Option<User>, LedgerError> {
    let rows = users::table.filter(users::email_key.eq(email_key)).filter(users::deleted_at.is_null());
    Ok(rows.select(users::all_columns).get_result(db).optional()?)
}

/// The users with more than the default role: a change that may leave no administrator locks them, too.
pub fn privileged(db: &mut Db) -> Result<Vec<UserId>, LedgerError> {
    // Spelled as in the index, so that the planner uses it.
    let rows = users::table.filter(sql::<Bool>("roles <> 'user'")).filter(users::deleted_at.is_null());
    let ids: Vec<String> = rows.select(users::id).load(db)?;
    ids.iter().map(|id| parsed(id)).collect()
}

fn parsed(id: &str) -> Result<UserId, LedgerError> {
    UserId::parse(id).ok_or_else(|| LedgerError::Corrupt(format!("user id {id:?}")))
}

/// Raises the epoch of a locked user. Besides sessions, this ends everything issued under the old epoch: sign-ins that
/// have read it are refused, device cookies no longer count, and password links are void.
pub fn raise_epoch(db: &mut Db, id: UserId) -> Result<(), LedgerError> {
    let row = diesel::update(users::table.find(id.to_string()));
    row.set(users::epoch.eq(users::epoch + 1)).execute(db)?;
    resets::void(db, id)
}

/// Users in the order of their ids, after the given one, up to a limit.
pub fn after(db: &mut Db, after: Option<UserId>, limit: i64) -> Result<Vec<UserId>, LedgerError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let page = users::table.filter(users::id.gt(after)).order(users::id).limit(limit).select(users::id);
    let ids: Vec<String> = page.load(db)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Raises the epochs of these locked users.
pub fn raise_epochs(db: &mut Db, ids: &[UserId]) -> Result<(), LedgerError> {
    let rows = users::table.filter(users::id.eq_any(ids.iter().map(UserId::to_string)));
    diesel::update(rows).set(users::epoch.eq(users::epoch + 1)).execute(db)?;
    Ok(())
}

/// Sets a new password for a locked user.
pub fn set_password(db: &mut Db, id: UserId, password_hash: &str) -> Result<(), LedgerError> {
    let row = diesel::update(users::table.find(id.to_string()));
    row.set(users::password_hash.eq(password_hash)).execute(db)?;
    Ok(())
}

/// Replaces a hash with a stronger one of the same password; false when the hash has changed meanwhile.
pub fn upgrade_hash(db: &mut Db, id: UserId, old: &str, new: &str) -> Result<bool, LedgerError> {
    let row = users::table.find(id.to_string()).filter(users::password_hash.eq(old));
    Ok(diesel::update(row).set(users::password_hash.eq(new)).execute(db)? == 1)
}

/// Disables (with a time) or enables (none) a user.
pub fn set_disabled(db: &mut Db, id: UserId, at: Option<Timestamp>) -> Result<(), LedgerError> {
    let row = diesel::update(users::table.find(id.to_string()));
    row.set(users::disabled_at.eq(at.map(Timestamp::ms))).execute(db)?;
    Ok(())
}

/// Sets a user's roles.
pub fn set_roles(db: &mut Db, id: UserId, roles: &Roles) -> Result<(), LedgerError> {
    let row = diesel::update(users::table.find(id.to_string()));
    row.set(users::roles.eq(roles.to_string())).execute(db)?;
    Ok(())
}

/// Sets the display name of a locked user; returns the changed user, or none when there is no such user.
pub fn set_name(db: &mut Db, id: UserId, name: Option<&str>) -> Result<Option<User>, LedgerError> {
    diesel::update(users::table.find(id.to_string())).set(users::name.eq(name)).execute(db)?;
    let user = find(db, id)?;
    if let Some(user) = &user {
        user_names::set(db, id, &user.address_key(), name, user.subject.as_deref())?;
    }
    Ok(user)
}

/// A page of users in the order of their addresses, after the given one.
pub fn page(db: &mut Db, after_email_key: Option<&str>, limit: i64) -> Result<Vec<User>, LedgerError> {
    let rows = users::table.filter(users::email_key.gt(after_email_key.unwrap_or_default().to_owned()));
    let rows = rows.filter(users::deleted_at.is_null());
    Ok(rows.order(users::email_key).limit(limit).select(users::all_columns).load(db)?)
}

/// Whether anybody can administer.
pub fn has_administrator(db: &mut Db) -> Result<bool, LedgerError> {
    let ids: Vec<_> = privileged(db)?.iter().map(UserId::to_string).collect();
    let rows: Vec<User> = users::table.filter(users::id.eq_any(ids)).select(users::all_columns).load(db)?;
    Ok(rows.iter().any(User::is_administrator))
}
