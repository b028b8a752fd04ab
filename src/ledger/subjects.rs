//! Subjects in SQL: users whom an application has verified.
//!
//! Owns the columns `subject` and `claims` of `users`. A subject has no password, and its e-mail address is what the
//! application says: it opens nothing here, and may be that of an account too.

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::users;
use super::user_names;
use super::users::User;
use crate::domain::password::LOCKED;
use crate::domain::{Email, Profile, Roles, Subject, Timestamp, UserId};

/// The user of this subject.
pub fn find(db: &mut Db, subject: &Subject) -> Result<Option<User>, LedgerError> {
    let row = users::table.filter(users::subject.eq(subject.as_str())).select(users::all_columns);
    Ok(row.get_result(db).optional()?)
}

/// Adds a user for this subject unless there is one. Returns whose it is, and whether it is new.
pub fn find_or_add(db: &mut Db, subject: &Subject, new: UserId, now: Timestamp) -> Result<(UserId, bool), LedgerError> {
    if let Some(user) = find(db, subject)? {
        return Ok((user.id, false));
    }
    let row = (
        users::id.eq(new.to_string()),
        users::email.eq(""),
        users::email_key.eq(no_address(new)),
        users::password_hash.eq(LOCKED),
        users::roles.eq(Roles::new_account().to_string()),
        users::created_at.eq(now.ms()),
        users::subject.eq(Some(subject.as_str())),
    );
    // Waits for another transaction that adds the same subject.
    let added = each!(db, c => diesel::insert_into(users::table)
        .values(row)
        .on_conflict(users::subject)
        .do_nothing()
        .execute(c))?;
    if added == 1 {
        user_names::set(db, new, "", None, Some(subject.as_str()))?;
        return Ok((new, true));
    }
    let found = find(db, subject)?.ok_or_else(|| LedgerError::Conflict("a subject".to_owned()))?;
    Ok((found.id, false))
}

/// Whether the application says something else about a user than what is stored.
pub fn changes(user: &User, profile: &Profile) -> bool {
    let said = said(user, profile);
    (&said.0, &said.1, &said.2) != (&user.email, &user.name, &user.claims)
}

/// Sets what the application says about a locked user; what it does not mention stays. False when nothing changed.
pub fn set_profile(db: &mut Db, user: &User, profile: &Profile) -> Result<bool, LedgerError> {
    if !changes(user, profile) {
        return Ok(false);
    }
    let (email, name, claims) = said(user, profile);
    diesel::update(users::table.find(user.id.to_string()))
        .set((users::email.eq(&email), users::name.eq(&name), users::claims.eq(&claims)))
        .execute(db)?;
    let mut now = user.clone();
    now.email = email;
    user_names::set(db, user.id, &now.address_key(), name.as_deref(), user.subject.as_deref())?;
    Ok(true)
}

/// The address, the name and the claims as they are to be.
fn said(user: &User, profile: &Profile) -> (String, Option<String>, Option<String>) {
    let email = profile.email.as_ref().map_or(user.email.clone(), |email| typed(email.as_ref()).to_owned());
    let name = profile.name.clone().unwrap_or_else(|| user.name.clone());
    let claims =
        profile.claims.as_ref().map_or_else(|| user.claims.clone(), |claims| claims.as_ref().map(ToString::to_string));
    (email, name, claims)
}

fn typed(email: Option<&Email>) -> &str {
    email.map_or("", Email::typed)
}

/// Unique, and not an address: it contains a space.
fn no_address(id: UserId) -> String {
    format!("subject {id}")
}
