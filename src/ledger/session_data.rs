//! Session data: what the application keeps in a session.
//!
//! Owns the column `data` of the `sessions` table. Must never change it in a row that has ended.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use crate::domain::{SessionId, Timestamp, TokenHash};

/// The data of a live session; the outer none when the session is not live.
pub fn data(db: &mut Db, id: SessionId) -> Result<Option<Option<String>>, LedgerError> {
    let row = sessions::table.find(id.to_string()).filter(sessions::ended_at.is_null());
    Ok(row.select(sessions::data).get_result(db).optional()?)
}

/// Replaces the data of a live session with this token; false when it is not live.
pub fn set_data(
    db: &mut Db,
    id: SessionId,
    token_hash: &TokenHash,
    data: Option<&str>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let row = sessions::table
        .find(id.to_string())
        .filter(sessions::token_hash.eq(token_hash.as_bytes().to_vec()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now.ms()));
    Ok(diesel::update(row).set(sessions::data.eq(data)).execute(db)? == 1)
}
