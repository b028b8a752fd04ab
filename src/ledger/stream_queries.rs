//! What whoever has a stream of events open is told of sessions: whether they have ended and why, and whether a user's
//! list of them is another one than before.
//!
//! Owns these two questions, asked about many at once. Must never change a row.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::sessions;
use crate::domain::session::Deadlines;
use crate::domain::{EndReason, SessionId, Timestamp, TokenHash, UserId};

/// Most sessions, or users, in one question: SQLite binds a variable for each.
pub const MOST: usize = 500;

/// A session as it stands.
#[derive(Clone, Debug)]
pub struct State {
    /// The session's public id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Why it was ended, if it was.
    pub ended: Option<String>,
    /// The current token's hash: where its record stands.
    pub token_hash: TokenHash,
    /// When it ends by itself.
    pub deadlines: Deadlines,
}

/// A user's list of sessions, as far as two of them can be told apart: how many have not ended, and the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    unended: i64,
    newest: Option<String>,
}

type Row = (String, String, Option<i64>, Option<String>, Vec<u8>, (i64, i64, i64));

/// The sessions of these ids, in no order; an id that is no session's is left out.
pub fn find(db: &mut Db, ids: &[SessionId]) -> Result<Vec<State>, LedgerError> {
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
    // Whoever has none is not among the rows.
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

fn state((id, user, ended_at, reason, hash, (last_seen, expires, idle)): Row) -> Result<State, LedgerError> {
    let reason = reason.unwrap_or_else(|| EndReason::Revoked.name().to_owned());
    Ok(State {
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
