//! The locks on users' rows: the one order in which a transaction takes them.
//!
//! Owns [`Locked`], which only the lock itself gives out: whoever ends sessions or changes an account shows it. Must be
//! asked once in a transaction, before anything is judged and before any row of a session is locked: of two that take
//! the same locks in the same order, one waits and none stands in the other's way for ever.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::users;
use super::users::User;
use crate::domain::UserId;

/// Users whose rows nobody else can lock or change until the transaction is over, as they are now.
#[derive(Clone)]
pub struct Locked(Vec<User>);

impl Locked {
    /// The user of this id; none when there is none, or it was not locked.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.0.iter().find(|user| user.id == id)
    }

    /// Those who may administer, in the order of their ids.
    pub fn administrators(&self) -> Vec<UserId> {
        self.0.iter().filter(|user| user.is_administrator()).map(|user| user.id).collect()
    }

    /// All of them, in the order of their ids.
    pub fn users(&self) -> &[User] {
        &self.0
    }
}

/// Locks these users' rows in the order of their ids, and then reads them. On SQLite the transaction itself is that lock.
pub fn users(db: &mut Db, ids: &[UserId]) -> Result<Locked, LedgerError> {
    let ids = ids.iter().map(UserId::to_string).collect::<Vec<_>>();
    let rows = users::table.filter(users::id.eq_any(ids)).order(users::id).select(users::all_columns);
    Ok(Locked(match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => rows.for_update().load(c)?,
        Db::Sqlite(c) => rows.load(c)?,
    }))
}
