//! Exchanged tokens in SQL: the old tokens of applications that were exchanged for a session.
//!
//! Owns the table `exchanged_tokens`. A row stays until its token has expired, so that each counts once. Must hold hashes
//! alone: neither a token nor its id.

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::exchanged_tokens;
use crate::domain::Timestamp;

/// Whether this token was exchanged.
pub fn holds(db: &mut Db, name: &[u8; 32]) -> Result<bool, LedgerError> {
    let row = exchanged_tokens::table.find(name.to_vec()).select(exchanged_tokens::expires_at);
    let found: Option<i64> = row.get_result(db).optional()?;
    Ok(found.is_some())
}

/// Notes that this token is exchanged. Another transaction that does so at the same time comes first, and this one is to
/// run again.
pub fn add(db: &mut Db, name: &[u8; 32], expires_at: Timestamp) -> Result<(), LedgerError> {
    let row = (exchanged_tokens::name.eq(name.to_vec()), exchanged_tokens::expires_at.eq(expires_at.ms()));
    let added = each!(db, c => diesel::insert_into(exchanged_tokens::table)
        .values(row)
        .on_conflict(exchanged_tokens::name)
        .do_nothing()
        .execute(c))?;
    if added == 1 { Ok(()) } else { Err(LedgerError::Conflict("an exchanged token".to_owned())) }
}

/// Purges at most this many tokens that expired before then; returns how many.
pub fn purge(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let rows = exchanged_tokens::table.filter(exchanged_tokens::expires_at.lt(before.ms()));
    let old: Vec<Vec<u8>> =
        rows.order(exchanged_tokens::expires_at).limit(limit).select(exchanged_tokens::name).load(db)?;
    Ok(diesel::delete(exchanged_tokens::table.filter(exchanged_tokens::name.eq_any(&old))).execute(db)?)
}
