//! Pending invalidations: records that may still stand in Redis although the ledger has said no.
//!
//! Owns the `pending_invalidations` table. A row is added in the transaction that outdates a record, and removed only
//! after a later deletion of the record from the Redis process that nodes may trust. Each row is separate: removing
//! an earlier one for the same record does not remove a later one.

use diesel::prelude::*;
use uuid::Uuid;

use super::acting_sessions::{actor_is, by_administrator};
use super::db::Db;
use super::error::LedgerError;
use super::schema::{pending_invalidations, sessions};
use crate::domain::{SessionId, Timestamp, TokenHash, UserId};

/// Most rows in one statement: SQLite binds a variable for each.
const CHUNK: usize = 500;

/// A record to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingInvalidation {
    /// Names this invalidation, a UUIDv7.
    pub id: Uuid,
    /// The key of the record.
    pub token_hash: TokenHash,
    /// The session of the record.
    pub session: SessionId,
}

/// Marks these records as outdated from the commit of this transaction on.
pub fn add(db: &mut Db, records: &[PendingInvalidation], since: Timestamp) -> Result<(), LedgerError> {
    for record in records {
        diesel::insert_into(pending_invalidations::table)
            .values((
                pending_invalidations::id.eq(record.id.to_string()),
                pending_invalidations::token_hash.eq(record.token_hash.as_bytes().to_vec()),
                pending_invalidations::session_id.eq(record.session.to_string()),
                pending_invalidations::since.eq(since.ms()),
            ))
            .execute(db)?;
    }
    Ok(())
}

/// Removes these rows: the records are gone.
pub fn remove(db: &mut Db, records: &[PendingInvalidation]) -> Result<(), LedgerError> {
    for chunk in records.chunks(CHUNK) {
        diesel::delete(pending_invalidations::table.filter(pending_invalidations::id.eq_any(ids(chunk))))
            .execute(db)?;
    }
    Ok(())
}

/// Whether any of these records is still to be deleted.
pub fn any(db: &mut Db, records: &[PendingInvalidation]) -> Result<bool, LedgerError> {
    for chunk in records.chunks(CHUNK) {
        let rows = pending_invalidations::table.filter(pending_invalidations::id.eq_any(ids(chunk)));
        if rows.select(pending_invalidations::id).first::<String>(db).optional()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The records that have waited longest, added after the given one.
pub fn oldest(db: &mut Db, after: Option<Uuid>, limit: i64) -> Result<Vec<PendingInvalidation>, LedgerError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let columns = (pending_invalidations::id, pending_invalidations::token_hash, pending_invalidations::session_id);
    let rows = pending_invalidations::table.filter(pending_invalidations::id.gt(after));
    let rows = rows.order(pending_invalidations::id).limit(limit).select(columns);
    rows.load::<(String, Vec<u8>, String)>(db)?.into_iter().map(read).collect()
}

/// The token hashes that wait, in no order; none when there are more than `most`.
pub fn token_hashes(db: &mut Db, most: usize) -> Result<Option<Vec<TokenHash>>, LedgerError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let rows = pending_invalidations::table.select(pending_invalidations::token_hash).limit(limit);
    let hashes: Vec<Vec<u8>> = rows.load(db)?;
    if hashes.len() > most {
        return Ok(None);
    }
    let read = |hash: Vec<u8>| TokenHash::try_from(hash).map_err(|error| LedgerError::Corrupt(error.to_string()));
    hashes.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// The pending invalidations of a user's sessions, and of those in which this one acts as an administrator here.
pub fn of_user(db: &mut Db, user: UserId) -> Result<Vec<PendingInvalidation>, LedgerError> {
    let theirs = sessions::table.filter(sessions::user_id.eq(user.to_string())).select(sessions::id);
    let columns = (pending_invalidations::id, pending_invalidations::token_hash, pending_invalidations::session_id);
    let rows = pending_invalidations::table.filter(pending_invalidations::session_id.eq_any(theirs)).select(columns);
    let mut rows: Vec<(String, Vec<u8>, String)> = rows.load(db)?;
    let acted_in = pending_invalidations::table.inner_join(sessions::table);
    rows.extend(
        acted_in.filter(actor_is!(by_administrator(user))).select(columns).load::<(String, Vec<u8>, String)>(db)?,
    );
    rows.into_iter().map(read).collect()
}

/// The pending invalidations of these sessions, and of these token hashes.
pub fn of_sessions_or_tokens(
    db: &mut Db,
    ids: &[SessionId],
    hashes: &[TokenHash],
) -> Result<Vec<PendingInvalidation>, LedgerError> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let bytes: Vec<_> = hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect();
    let columns = (pending_invalidations::id, pending_invalidations::token_hash, pending_invalidations::session_id);
    let theirs = pending_invalidations::session_id.eq_any(ids).or(pending_invalidations::token_hash.eq_any(bytes));
    let rows = pending_invalidations::table.filter(theirs).select(columns);
    rows.load::<(String, Vec<u8>, String)>(db)?.into_iter().map(read).collect()
}

fn read((id, hash, session): (String, Vec<u8>, String)) -> Result<PendingInvalidation, LedgerError> {
    let parts = (Uuid::try_parse(&id).ok(), TokenHash::from_slice(&hash), SessionId::parse(&session));
    match parts {
        (Some(id), Some(token_hash), Some(session)) => Ok(PendingInvalidation { id, token_hash, session }),
        _ => Err(LedgerError::Corrupt(format!("the pending invalidation {id:?}"))),
    }
}

fn ids(records: &[PendingInvalidation]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}
