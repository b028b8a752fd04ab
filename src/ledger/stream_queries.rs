//! Stream queries: whether sessions have ended and why, and whether a user's list of sessions has changed.
//!
//! Owns these two queries for the event streams, each for many at once. Must never change a row.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::sessions;
use crate::domain::session::Deadlines;
use crate::domain::{EndReason, SessionId, Timestamp, TokenHash, UserId};

/// Most sessions, or users, in one query: SQLite binds a variable for each.
pub const MOST: usize = 500;

/// A session, as event streams need it.
#[derive(Clone, Debug)]
pub struct StreamedSession {
    /// The session's public id.
    pub id: SessionId,
    /// The owner.
    pub user: UserId,
    /// Why it was ended, if it was.
    pub ended: Option<String>,
    /// The current token's hash: the key of its record.
    pub token_hash: TokenHash,
    /// When it ends without an action.
    pub deadlines: Deadlines,
}

/// A digest of a user's list of sessions, to detect changes: how many have not ended, and the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    unended: i64,
    newest: Option<String>,
}

type Row = (String, String, Option<i64>, Option<String>, Vec<u8>, (i64, i64, i64));

/// The sessions with these ids, in no order; an unknown id is left out.
pub fn find(db: &mut Db, ids: &[SessionId]) -> Result<Vec<StreamedSession>, LedgerError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(MOST) {
        let names: Vec<_> = chunk.iter().map(SessionId::to_string).collect();
        let rows = sessions::table.filter(sessions::id.eq_any(names)).select((
            sessions::id,
            sessions::user_id,
            sessions::ended_at,
            sessions::end_reason,
            sessions::token_hash,
            (sessions::last_seen_at, sessions::expires_at, sessions::idle_seconds),
        ));
        let rows = each!(db, c => rows.load::<Row>(c))?;
        found.extend(rows.into_iter().map(state).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// The lists of these users.
pub fn lists(db: &mut Db, users: &[UserId]) -> Result<HashMap<UserId, List>, LedgerError> {
    // A user without sessions has no row.
    let mut lists: HashMap<_, _> = users.iter().map(|user| (*user, List::default())).collect();
    for chunk in users.chunks(MOST) {
        let names: Vec<_> = chunk.iter().map(UserId::to_string).collect();
        let rows = sessions::table
            .filter(sessions::user_id.eq_any(names))
            .filter(sessions::ended_at.is_null())
            .group_by(sessions::user_id)
            .select((sessions::user_id, count_star(), max(sessions::id)));
        for (user, unended, newest) in each!(db, c => rows.load::<(String, i64, Option<String>)>(c))? {
            let user = UserId::parse(&user).ok_or_else(|| LedgerError::Corrupt(format!("user id {user:?}")))?;
            lists.insert(user, List { unended, newest });
        }
    }
    Ok(lists)
}

fn state((id, user, ended_at, reason, hash, (last_seen, expires, idle)): Row) -> Result<StreamedSession, LedgerError> {
    let reason = reason.unwrap_or_else(|| EndReason::Revoked.name().to_owned());
    Ok(StreamedSession {
        id: SessionId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}")))?,
        user: UserId::parse(&user).ok_or_else(|| LedgerError::Corrupt(format!("user id {user:?}")))?,
        ended: ended_at.map(|_| reason),
        token_hash: TokenHash::from_slice(&hash).ok_or_else(|| LedgerError::Corrupt("token hash".to_owned()))?,
        deadlines: Deadlines {
            last_seen: Timestamp::from_ms(last_seen),
            idle: Duration::from_secs(u64::try_from(idle).unwrap_or(0)),
            expires: Timestamp::from_ms(expires),
        },
    })
}
