//! Many users at once, in SQL.
//!
//! Owns how few statements that takes: PostgreSQL may be far away. Must leave the same rows as one user after the other.

use diesel::prelude::*;

use super::{NewUser, insert};
use crate::domain::{Email, UserId};
use crate::ledger::schema::users;
use crate::ledger::{Db, LedgerError};

#[cfg(feature = "postgres")]
use crate::domain::search;
#[cfg(feature = "postgres")]
use crate::ledger::schema::user_names;

/// Adds those whose address has no account. Returns the ids of these.
pub fn insert_all(db: &mut Db, new: &[NewUser]) -> Result<Vec<UserId>, LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => insert_into_postgres(c, new),
        // There a statement costs next to nothing.
        Db::Sqlite(_) => {
            let mut added = Vec::new();
            for user in new {
                if insert(db, user)? {
                    added.push(user.id);
                }
            }
            Ok(added)
        }
    }
}

#[cfg(feature = "postgres")]
fn insert_into_postgres(c: &mut PgConnection, new: &[NewUser]) -> Result<Vec<UserId>, LedgerError> {
    let row = |user: &NewUser| {
        (
            users::id.eq(user.id.to_string()),
            users::email.eq(user.email.typed().to_owned()),
            users::email_key.eq(user.email.key().to_owned()),
            users::name.eq(user.name.clone()),
            users::password_hash.eq(user.password_hash.clone()),
            users::roles.eq(user.roles.to_string()),
            users::created_at.eq(user.created_at.ms()),
        )
    };
    let added: Vec<String> = diesel::insert_into(users::table)
        .values(new.iter().map(row).collect::<Vec<_>>())
        .on_conflict(users::email_key)
        .do_nothing()
        .returning(users::id)
        .get_results(c)?;
    let added: std::collections::HashSet<_> = added.into_iter().collect();
    let added: Vec<&NewUser> = new.iter().filter(|user| added.contains(&user.id.to_string())).collect();
    let names = added.iter().flat_map(|user| {
        let names = search::names(user.email.key(), user.name.as_deref(), None).into_iter();
        names.map(|name| (user_names::name.eq(name.into_bytes()), user_names::user_id.eq(user.id.to_string())))
    });
    diesel::insert_into(user_names::table).values(names.collect::<Vec<_>>()).execute(c)?;
    Ok(added.into_iter().map(|user| user.id).collect())
}

/// Which of these addresses have an account, by their keys.
pub fn known(db: &mut Db, emails: &[Email]) -> Result<Vec<String>, LedgerError> {
    let keys = emails.iter().map(|email| email.key().to_owned());
    let rows = users::table.filter(users::email_key.eq_any(keys.collect::<Vec<_>>()));
    Ok(rows.select(users::email_key).load(db)?)
}
