//! User names: the search names of accounts.
//!
//! Owns the `user_names` table. Must never be written without its account: [`super::users`] calls here when an address
//! or a name changes.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::user_names;
use crate::domain::{UserId, search};

/// Sets an account's search names, and removes others. `subject` is an application's own name for the user.
pub fn set(
    db: &mut Db,
    id: UserId,
    email_key: &str,
    name: Option<&str>,
    subject: Option<&str>,
) -> Result<(), LedgerError> {
    forget(db, id)?;
    for name in search::names(email_key, name, subject) {
        diesel::insert_into(user_names::table)
            .values((user_names::name.eq(name.into_bytes()), user_names::user_id.eq(id.to_string())))
            .execute(db)?;
    }
    Ok(())
}

/// Removes an account's search names.
pub fn forget(db: &mut Db, id: UserId) -> Result<(), LedgerError> {
    diesel::delete(user_names::table.filter(user_names::user_id.eq(id.to_string()))).execute(db)?;
    Ok(())
}
