//! Proofs: since when the owner of a session has a proven identity, in SQL.
//!
//! Owns the columns `authenticated_at` and `challenged_at` of `sessions`, except their first values and their renewal
//! with the token ([`super::tokens::rotate`]). Must never change a row that has ended.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use crate::domain::{Device, Proof, SessionId, Timestamp, TokenHash};

/// The proof of a session's owner; none when the session has ended or expired, or has another token.
pub fn find(db: &mut Db, id: SessionId, token_hash: &TokenHash, now: Timestamp) -> Result<Option<Proof>, LedgerError> {
    let row = sessions::table
        .find(id.to_string())
        .filter(sessions::token_hash.eq(token_hash.as_bytes().to_vec()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now.ms()));
    let row: Option<(i64, Option<i64>)> =
        row.select((sessions::authenticated_at, sessions::challenged_at)).get_result(db).optional()?;
    Ok(row.map(|(at, challenged)| Proof { at: Timestamp::from_ms(at), challenged: challenged.is_some() }))
}

/// Requires a new proof from a live session's owner before any other change. Returns whether that is new.
pub fn challenge(db: &mut Db, id: SessionId, at: Timestamp) -> Result<bool, LedgerError> {
    let row = sessions::table
        .find(id.to_string())
        .filter(sessions::ended_at.is_null())
        .filter(sessions::challenged_at.is_null());
    Ok(diesel::update(row).set(sessions::challenged_at.eq(Some(at.ms()))).execute(db)? == 1)
}

/// Binds a live session to the device on which its owner has just proven their identity.
pub fn bind(db: &mut Db, id: SessionId, user_agent: &str) -> Result<(), LedgerError> {
    let row = sessions::table.find(id.to_string()).filter(sessions::ended_at.is_null());
    let Device { browser, os, kind: _ } = Device::from_user_agent(Some(user_agent));
    diesel::update(row)
        .set((sessions::user_agent.eq(Some(user_agent)), sessions::browser.eq(browser), sessions::os.eq(os)))
        .execute(db)?;
    Ok(())
}
