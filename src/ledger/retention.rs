//! Retention: which rows are old enough to delete.
//!
//! Owns these purges, and the correction of times that a wrong clock wrote. A session's row stays at least until its
//! absolute deadline, and while a record of it may still stand in Redis: until then the ledger must know that it has
//! ended. Audit log lines that name it stay.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::locks::Locked;
use super::schema::{audit, password_resets, pending_invalidations, sessions, users};
use crate::domain::{MAX_SKEW, Proof, SessionId, Timestamp, TokenHash, ids};

/// How long expired password links are kept.
const LINKS_STAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Purges at most this many sessions whose absolute deadline was before then; returns how many.
pub fn purge_sessions(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let awaited = pending_invalidations::table.filter(pending_invalidations::session_id.eq(sessions::id));
    let rows = sessions::table.filter(sessions::expires_at.lt(before.ms())).filter(not(exists(awaited)));
    let old: Vec<String> = rows.order(sessions::expires_at).limit(limit).select(sessions::id).load(db)?;
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(&old))).execute(db)?)
}

/// Purges at most this many audit log lines from before then; returns how many.
pub fn purge_lines(db: &mut Db, before: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let rows = audit::table.filter(audit::id.lt(ids::least_at(before).to_string()));
    let old: Vec<String> = rows.order(audit::id).limit(limit).select(audit::id).load(db)?;
    Ok(diesel::delete(audit::table.filter(audit::id.eq_any(&old))).execute(db)?)
}

/// Purges at most this many deleted accounts without any session row left; returns how many.
pub fn purge_users(db: &mut Db, limit: i64) -> Result<usize, LedgerError> {
    let kept = sessions::table.filter(sessions::user_id.eq(users::id));
    let rows = users::table.filter(users::deleted_at.is_not_null()).filter(users::erased_at.is_not_null());
    let gone: Vec<String> = rows.filter(not(exists(kept))).order(users::id).limit(limit).select(users::id).load(db)?;
    Ok(diesel::delete(users::table.filter(users::id.eq_any(&gone))).execute(db)?)
}

/// A part of the sessions that have not ended.
pub struct Part {
    /// Sessions with a time in the future, which a wrong clock wrote.
    pub wrong: Vec<SessionId>,
    /// The last one that was checked; none when nothing comes after this part.
    pub last: Option<SessionId>,
}

/// Checks at most this many sessions after this one, in the order of their ids, for a time later than `latest`. No
/// index covers that, so all sessions are read, a part at a time.
pub fn yet_to_come(db: &mut Db, after: Option<SessionId>, latest: Timestamp, limit: i64) -> Result<Part, LedgerError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let rows = sessions::table.filter(sessions::ended_at.is_null()).filter(sessions::id.gt(after));
    let times = (sessions::last_seen_at, sessions::created_at, sessions::authenticated_at);
    let rows: Vec<(String, (i64, i64, i64))> =
        rows.order(sessions::id).limit(limit).select((sessions::id, times)).load(db)?;
    let parse = |id: &String| SessionId::parse(id).ok_or_else(|| corrupt(id));
    let is_whole = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let last = rows.last().filter(|_| is_whole).map(|(id, _)| parse(id)).transpose()?;
    let wrong = rows.iter().filter(|(_, (seen, made, proven))| *seen.max(made).max(proven) > latest.ms());
    Ok(Part { wrong: wrong.map(|(id, _)| parse(id)).collect::<Result<_, _>>()?, last })
}

/// Purges at most this many password links that expired a day ago, or that a wrong clock dated in the future; returns
/// how many.
pub fn purge_links(db: &mut Db, now: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let later = password_resets::created_at.gt(now.plus(MAX_SKEW).ms());
    let rows = password_resets::table.filter(password_resets::expires_at.lt(now.minus(LINKS_STAY).ms()).or(later));
    let hashes: Vec<Vec<u8>> = rows.limit(limit).select(password_resets::token_hash).load(db)?;
    Ok(diesel::delete(password_resets::table.filter(password_resets::token_hash.eq_any(&hashes))).execute(db)?)
}

/// Corrects times later than `latest` in these sessions, if they are live: a session that begins in the future begins
/// now and lasts as long, such a proof no longer counts, and the last use was now. Returns the corrected sessions and
/// their tokens: their records are outdated. Their owners are locked.
pub fn mend_times(
    db: &mut Db,
    _owners: &Locked,
    these: &[SessionId],
    now: Timestamp,
    latest: Timestamp,
) -> Result<Vec<(SessionId, TokenHash)>, LedgerError> {
    let ids: Vec<String> = these.iter().map(ToString::to_string).collect();
    let live = || sessions::table.filter(sessions::id.eq_any(&ids)).filter(sessions::ended_at.is_null());
    let later = sessions::last_seen_at.gt(latest.ms()).or(sessions::created_at.gt(latest.ms()));
    let later = later.or(sessions::authenticated_at.gt(latest.ms()));
    let rows: Vec<(String, Vec<u8>)> = live().filter(later).select((sessions::id, sessions::token_hash)).load(db)?;
    diesel::update(live().filter(sessions::authenticated_at.gt(latest.ms())))
        .set(sessions::authenticated_at.eq(Proof::NEVER.ms()))
        .execute(db)?;
    diesel::update(live().filter(sessions::created_at.gt(latest.ms())))
        .set((
            sessions::expires_at.eq(sessions::expires_at - sessions::created_at + now.ms()),
            sessions::created_at.eq(now.ms()),
        ))
        .execute(db)?;
    diesel::update(live().filter(sessions::last_seen_at.gt(latest.ms())))
        .set(sessions::last_seen_at.eq(now.ms()))
        .execute(db)?;
    let parse = |(id, hash): (String, Vec<u8>)| {
        SessionId::parse(&id).zip(TokenHash::from_slice(&hash)).ok_or_else(|| corrupt(&id))
    };
    rows.into_iter().map(parse).collect()
}

fn corrupt(id: &str) -> LedgerError {
    LedgerError::Corrupt(format!("the keys of session {id:?}"))
}
