//! Tokens: which session a token belongs to, forever, and its renewal.
//!
//! Owns the `former_tokens` table: a session's earlier tokens. A former token opens nothing but ends its session, at
//! any age. Must never renew a session that has ended.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{former_tokens, sessions};
use crate::domain::{SessionId, Timestamp, TokenHash};

/// The sessions that these tokens open, or ever opened. A token that was never issued has none.
pub fn sessions_of(db: &mut Db, hashes: &[TokenHash]) -> Result<Vec<(TokenHash, SessionId)>, LedgerError> {
    let bytes: Vec<_> = hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect();
    // In this order: a concurrent renewal moves the token from the first table to the second.
    let current = sessions::table.filter(sessions::token_hash.eq_any(bytes.clone()));
    let mut rows: Vec<(Vec<u8>, String)> = current.select((sessions::token_hash, sessions::id)).load(db)?;
    if rows.len() < hashes.len() {
        rows.extend(
            former_tokens::table.filter(former_tokens::token_hash.eq_any(bytes)).load::<(Vec<u8>, String)>(db)?,
        );
    }
    rows.into_iter().map(read).collect()
}

fn read((hash, id): (Vec<u8>, String)) -> Result<(TokenHash, SessionId), LedgerError> {
    TokenHash::from_slice(&hash)
        .zip(SessionId::parse(&id))
        .ok_or_else(|| LedgerError::Corrupt(format!("a token of session {id:?}")))
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
