//! Issued keys in SQL: the requests of services that may be repeated, and the sessions that they made.
//!
//! Owns the table `issued_keys`. Must hold neither a key nor a token: the name is a keyed hash, and from a row nobody
//! can compute the token.

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::issued_keys;
use crate::domain::{Repeatable, SessionId, Timestamp};

/// The request that came under this key, and its session.
pub fn find(db: &mut Db, key: &Repeatable) -> Result<Option<(Vec<u8>, SessionId)>, LedgerError> {
    let row = issued_keys::table.find(key.name().to_vec()).select((issued_keys::request, issued_keys::session_id));
    let row: Option<(Vec<u8>, String)> = row.get_result(db).optional()?;
    let read = |(request, id): (Vec<u8>, String)| match SessionId::parse(&id) {
        Some(session) => Ok((request, session)),
        None => Err(LedgerError::Corrupt(format!("session id {id:?}"))),
    };
    row.map(read).transpose()
}

/// Notes the session that this request made. Another transaction that does so at the same time comes first, and this one
/// is to run again.
pub fn add(db: &mut Db, key: &Repeatable, session: SessionId, now: Timestamp) -> Result<(), LedgerError> {
    let row = (
        issued_keys::name.eq(key.name().to_vec()),
        issued_keys::request.eq(key.request().to_vec()),
        issued_keys::session_id.eq(session.to_string()),
        issued_keys::created_at.eq(now.ms()),
    );
    let added = each!(db, c => diesel::insert_into(issued_keys::table)
        .values(row)
        .on_conflict(issued_keys::name)
        .do_nothing()
        .execute(c))?;
    if added == 1 { Ok(()) } else { Err(LedgerError::Conflict("an idempotency key".to_owned())) }
}

/// Purges at most this many keys from before then; returns how many.
pub fn purge(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let rows = issued_keys::table.filter(issued_keys::created_at.lt(before.ms()));
    let old: Vec<Vec<u8>> = rows.limit(limit).select(issued_keys::name).load(db)?;
    Ok(diesel::delete(issued_keys::table.filter(issued_keys::name.eq_any(&old))).execute(db)?)
}
