//! Locks on users' rows: the one order in which a transaction takes them.
//!
//! Owns [`Locked`], which only the lock itself creates: code that ends sessions or changes an account must show it.
//! Must be taken once in a transaction, before any judgement and before the lock on any session's row: transactions
//! that take locks in the same order never deadlock.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::users;
use super::users::User;
use crate::domain::UserId;

/// Users whose rows no other transaction can lock or change until this one ends, with their current values.
#[derive(Clone)]
pub struct Locked(Vec<User>);

impl Locked {
    /// The user with this id; none when there is no such user, or it was not locked.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.0.iter().find(|user| user.id == id)
    }

    /// The administrators, in the order of their ids.
    pub fn administrators(&self) -> Vec<UserId> {
        self.0.iter().filter(|user| user.is_administrator()).map(|user| user.id).collect()
    }

    /// All of them, in the order of their ids.
    pub fn users(&self) -> &[User] {
        &self.0
    }
}

/// Locks these users' rows in the order of their ids, then reads them. On SQLite the transaction itself is that lock.
pub fn users(db: &mut Db, ids: &[UserId]) -> Result<Locked, LedgerError> {
    let ids = ids.iter().map(UserId::to_string).collect::<Vec<_>>();
    let rows = users::table.filter(users::id.eq_any(ids)).order(users::id).select(users::all_columns);
    Ok(Locked(match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => rows.for_update().load(c)?,
        Db::Sqlite(c) => rows.load(c)?,
    }))
}
