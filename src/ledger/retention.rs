//! What is old enough to go.
//!
//! Owns what may be purged. A session's row stays at least until its absolute deadline, and while a record of it may
//! still stand in Redis: until then the ledger has to know that it has ended. Lines of the audit log that name it stay.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{audit, sessions, unconfirmed, users};
use crate::domain::{Timestamp, ids};

/// Purges so many sessions whose absolute deadline was before then; how many there were.
pub fn purge_sessions(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let awaited = unconfirmed::table.filter(unconfirmed::session_id.eq(sessions::id));
    let rows = sessions::table.filter(sessions::expires_at.lt(before.ms())).filter(not(exists(awaited)));
    let old: Vec<String> = rows.order(sessions::expires_at).limit(limit).select(sessions::id).load(db)?;
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(&old))).execute(db)?)
}

/// Purges so many lines of the audit log that were written before then; how many there were.
pub fn purge_lines(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let rows = audit::table.filter(audit::id.lt(ids::least_at(before).to_string()));
    let old: Vec<String> = rows.order(audit::id).limit(limit).select(audit::id).load(db)?;
    Ok(diesel::delete(audit::table.filter(audit::id.eq_any(&old))).execute(db)?)
}

/// Purges so many accounts that were deleted, once no row of their sessions is left; how many there were.
pub fn purge_users(db: &mut Db, limit: i64) -> Result<usize, LedgerError> {
    let kept = sessions::table.filter(sessions::user_id.eq(users::id));
    let rows = users::table.filter(users::deleted_at.is_not_null()).filter(users::erased_at.is_not_null());
    let gone: Vec<String> = rows.filter(not(exists(kept))).order(users::id).limit(limit).select(users::id).load(db)?;
    Ok(diesel::delete(users::table.filter(users::id.eq_any(&gone))).execute(db)?)
}
