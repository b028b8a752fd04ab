//! Which session a token belongs to, for ever, and its renewal.
//!
//! Owns the `former_tokens` table: the tokens that a session had before its present one. None of them opens anything; each
//! ends its session, however old it is. Must never renew a session that has ended.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{former_tokens, sessions};
use crate::domain::{SessionId, Timestamp, TokenHash};

/// The session that this token opens, or ever opened.
pub fn session_of(db: &mut Db, hash: &TokenHash) -> Result<Option<SessionId>, LedgerError> {
    let bytes = hash.as_bytes().to_vec();
    let current = sessions::table.filter(sessions::token_hash.eq(bytes.clone())).select(sessions::id);
    // In this order: a renewal in between moves the token from the first table to the second.
    let id: Option<String> = match current.get_result(db).optional()? {
        Some(id) => Some(id),
        None => former_tokens::table.find(bytes).select(former_tokens::session_id).get_result(db).optional()?,
    };
    id.map(|id| SessionId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}")))).transpose()
}

/// Whether this token was ever a session's, whatever became of that.
pub fn was_issued(db: &mut Db, token_hash: &TokenHash) -> Result<bool, LedgerError> {
    Ok(session_of(db, token_hash)?.is_some())
}

/// Renews a live session's token: compare-and-set on the current one; false when it is no longer that, or ended. With
/// the moment when its owner proved who they are, if they did: whatever they had to prove, they have. The owner is locked.
pub fn rotate(
    db: &mut Db,
    id: SessionId,
    from: &TokenHash,
    to: &TokenHash,
    authenticated_at: Option<Timestamp>,
) -> Result<bool, LedgerError> {
    let from = from.as_bytes().to_vec();
    let row = sessions::table
        .find(id.to_string())
        .filter(sessions::token_hash.eq(from.clone()))
        .filter(sessions::ended_at.is_null());
    let renewed = diesel::update(row)
        .set((
            sessions::token_hash.eq(to.as_bytes().to_vec()),
            authenticated_at
                .map(|at| (sessions::authenticated_at.eq(at.ms()), sessions::challenged_at.eq(None::<i64>))),
        ))
        .execute(db)?;
    if renewed == 1 {
        let former = (former_tokens::token_hash.eq(from), former_tokens::session_id.eq(id.to_string()));
        diesel::insert_into(former_tokens::table).values(former).execute(db)?;
    }
    Ok(renewed == 1)
}
