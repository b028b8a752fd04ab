//! Hashes that other systems made, in SQL: how many accounts still have one.
//!
//! Owns that question. Must cost nothing where there are none: one look into an empty index.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::password::LOCKED;
use crate::ledger::schema::users;
use crate::ledger::{Db, LedgerError};

/// Spelled as in the index, so that the planner uses it.
const OF_OTHER_SYSTEMS: &str = "password_hash NOT IN ('', '!locked') \
    AND substr(password_hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$'";

/// How many of them are shown, from each end of the table.
const SOME: i64 = 32;

/// What accounts have.
#[derive(Default)]
pub struct Shares {
    /// Accounts that a password opens; not counted where none has a hash of another system.
    pub accounts: u64,
    /// Those with such a hash.
    pub of_other_systems: u64,
    /// Some of these hashes, of the oldest accounts and of the newest.
    pub some: Vec<String>,
}

/// What accounts have now.
pub fn shares(db: &mut Db) -> Result<Shares, LedgerError> {
    let theirs = || users::table.filter(sql::<Bool>(OF_OTHER_SYSTEMS));
    let of_other_systems: i64 = theirs().count().get_result(db)?;
    if of_other_systems == 0 {
        return Ok(Shares::default());
    }
    let accounts: i64 = users::table.filter(users::password_hash.ne_all(["", LOCKED])).count().get_result(db)?;
    let mut some: Vec<String> = theirs().order(users::id).limit(SOME).select(users::password_hash).load(db)?;
    let newest: Vec<String> = theirs().order(users::id.desc()).limit(SOME).select(users::password_hash).load(db)?;
    some.extend(newest);
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(Shares { accounts: number(accounts), of_other_systems: number(of_other_systems), some })
}
