//! Session history: reads for views of many sessions at once.
//!
//! Owns the reads that need a few columns of many sessions, or ended ones. Must never change a row.

use std::time::Duration;

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use super::sessions::Session;
use crate::domain::session::Deadlines;
use crate::domain::{Timestamp, UserId};

/// The deadlines of these users' sessions that were not ended, and not over at `now`.
pub fn deadlines_of(db: &mut Db, users: &[UserId], now: Timestamp) -> Result<Vec<(String, Deadlines)>, LedgerError> {
    let rows = sessions::table
        .filter(sessions::user_id.eq_any(users.iter().map(ToString::to_string)))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now.ms()));
    let columns = (sessions::user_id, sessions::last_seen_at, sessions::expires_at, sessions::idle_seconds);
    let rows: Vec<(String, i64, i64, i64)> = rows.select(columns).load(db)?;
    let read = |(user, seen, expires, idle): (String, i64, i64, i64)| {
        let idle = Duration::from_secs(u64::try_from(idle).unwrap_or(0));
        let (last_seen, expires) = (Timestamp::from_ms(seen), Timestamp::from_ms(expires));
        (user, Deadlines { last_seen, idle, expires })
    };
    Ok(rows.into_iter().map(read).collect())
}

/// A user's sessions that were ended, the last one first, up to a limit.
pub fn ended_of(db: &mut Db, user: UserId, limit: i64) -> Result<Vec<Session>, LedgerError> {
    let rows = sessions::table.filter(sessions::user_id.eq(user.to_string())).filter(sessions::ended_at.is_not_null());
    let rows = rows.order((sessions::ended_at.desc(), sessions::id.desc())).limit(limit);
    Ok(rows.select(sessions::all_columns).load(db)?)
}

/// A user's sessions that were not ended, over or not, the newest first, up to a limit.
pub fn unended_of(db: &mut Db, user: UserId, limit: i64) -> Result<Vec<Session>, LedgerError> {
    let rows = sessions::table.filter(sessions::user_id.eq(user.to_string())).filter(sessions::ended_at.is_null());
    let rows = rows.order(sessions::created_at.desc()).limit(limit);
    Ok(rows.select(sessions::all_columns).load(db)?)
}
