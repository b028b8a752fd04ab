//! Resets: one-time links to set a new password.
//!
//! Owns the `password_resets` table. Must hold only hashes: the link's token is stored nowhere.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::password_resets;
use crate::domain::{MAX_SKEW, Timestamp, TokenHash, UserId};

/// Makes a link's token valid until `expires_at`; the user's earlier ones become void.
pub fn issue(
    db: &mut Db,
    user: UserId,
    token_hash: &TokenHash,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), LedgerError> {
    void(db, user)?;
    diesel::insert_into(password_resets::table)
        .values((
            password_resets::token_hash.eq(token_hash.as_bytes().to_vec()),
            password_resets::user_id.eq(user.to_string()),
            password_resets::created_at.eq(now.ms()),
            password_resets::expires_at.eq(expires_at.ms()),
        ))
        .execute(db)?;
    Ok(())
}

/// Voids all of a user's links.
pub fn void(db: &mut Db, user: UserId) -> Result<(), LedgerError> {
    diesel::delete(password_resets::table.filter(password_resets::user_id.eq(user.to_string()))).execute(db)?;
    Ok(())
}

/// Voids the links of all users.
pub fn void_all(db: &mut Db) -> Result<(), LedgerError> {
    diesel::delete(password_resets::table).execute(db)?;
    Ok(())
}

/// A link that is valid now. A link that a wrong clock dated in the future is not: it would last longer.
macro_rules! good {
    ($token_hash:expr, $now:expr) => {
        password_resets::table
            .find($token_hash.as_bytes().to_vec())
            .filter(password_resets::used_at.is_null())
            .filter(password_resets::created_at.le($now.plus(MAX_SKEW).ms()))
            .filter(password_resets::expires_at.gt($now.ms()))
    };
}

/// The user whose password the token may still set.
pub fn find(db: &mut Db, token_hash: &TokenHash, now: Timestamp) -> Result<Option<UserId>, LedgerError> {
    let row = good!(token_hash, now);
    let user = row.select(password_resets::user_id).get_result::<String>(db).optional()?;
    user.map(|id| UserId::parse(&id).ok_or(LedgerError::Corrupt(format!("user id {id:?}")))).transpose()
}

/// Uses the token up; false when it was used, replaced or too old: of two attempts, one succeeds.
pub fn consume(db: &mut Db, token_hash: &TokenHash, now: Timestamp) -> Result<bool, LedgerError> {
    let row = good!(token_hash, now);
    Ok(diesel::update(row).set(password_resets::used_at.eq(Some(now.ms()))).execute(db)? == 1)
}
