//! The audit log in SQL.
//!
//! Owns the `audit` table. Rows are only ever added, in the transaction of what they tell about, so that there is
//! one row for each thing that happened and none for what did not.

use std::net::IpAddr;

use diesel::prelude::*;
use uuid::Uuid;

use super::db::Db;
use super::error::LedgerError;
use super::schema::audit;
use crate::domain::event::{Actor, Event};
use crate::domain::{SessionId, Timestamp, UserId};

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The line's own id, a UUIDv7.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// Who did it.
    pub actor: Actor,
    /// To whom.
    pub user: Option<UserId>,
    /// Which session.
    pub session: Option<SessionId>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// In which request.
    pub request_id: Option<Uuid>,
    /// What else there is to say: a reason, a number.
    pub detail: Option<String>,
}

/// Adds a line.
pub fn append(db: &mut Db, entry: &Entry) -> Result<(), LedgerError> {
    diesel::insert_into(audit::table)
        .values((
            audit::id.eq(entry.id.to_string()),
            audit::at.eq(entry.at.ms()),
            audit::event.eq(entry.event.name()),
            audit::actor.eq(entry.actor.name()),
            audit::user_id.eq(entry.user.map(|id| id.to_string())),
            audit::session_id.eq(entry.session.map(|id| id.to_string())),
            audit::ip.eq(entry.ip.map(|ip| ip.to_string())),
            audit::request_id.eq(entry.request_id.map(|id| id.to_string())),
            audit::detail.eq(entry.detail.as_deref()),
        ))
        .execute(db)?;
    Ok(())
}

/// How many lines tell of this event and session.
pub fn count(db: &mut Db, event: Event, session: SessionId) -> Result<i64, LedgerError> {
    let rows = audit::table.filter(audit::event.eq(event.name())).filter(audit::session_id.eq(session.to_string()));
    Ok(rows.count().get_result(db)?)
}

/// What was said about this event in this session since then, the first so many lines.
pub fn details(
    db: &mut Db,
    event: Event,
    user: UserId,
    session: SessionId,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<Option<String>>, LedgerError> {
    let rows = audit::table
        .filter(audit::user_id.eq(user.to_string()))
        .filter(audit::at.ge(since.ms()))
        .filter(audit::session_id.eq(session.to_string()))
        .filter(audit::event.eq(event.name()));
    Ok(rows.order((audit::at, audit::id)).limit(limit).select(audit::detail).load(db)?)
}
