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
use crate::domain::{SessionId, Timestamp, UserId, ids};

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

/// Adds a line that may have been added already: whoever repeats it knows no better.
pub fn append_once(db: &mut Db, entry: &Entry) -> Result<(), LedgerError> {
    let known = audit::table.find(entry.id.to_string()).select(audit::id);
    match known.get_result::<String>(db).optional()? {
        Some(_) => Ok(()),
        None => append(db, entry),
    }
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
        .filter(audit::user_id.concat("").eq(user.to_string()))
        .filter(audit::id.ge(ids::least_at(since).to_string()))
        .filter(audit::session_id.eq(session.to_string()))
        .filter(audit::event.concat("").eq(event.name()));
    Ok(rows.order(audit::id).limit(limit).select(audit::detail).load(db)?)
}

/// Which lines are wanted: those of which all holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whom they are about.
    pub user: Option<UserId>,
    /// Which session they are about.
    pub session: Option<SessionId>,
    /// What happened.
    pub event: Option<Event>,
    /// Who did it, by [`Actor::name`].
    pub actor: Option<String>,
    /// From then on.
    pub after: Option<Timestamp>,
    /// Until before then.
    pub before: Option<Timestamp>,
}

/// A line as it was written.
#[derive(Clone, Debug, Queryable)]
pub struct Line {
    /// The line's id.
    pub id: String,
    /// When.
    pub at: i64,
    /// What, by its name.
    pub event: String,
    /// Who did it, by name or id.
    pub actor: String,
    /// To whom.
    pub user_id: Option<String>,
    /// Which session.
    pub session_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// A page of lines, the newest first, from before the line of this id.
///
/// One index serves: of the session, else the user, else who did it, else the event. The others are compared as texts that
/// no index is of, so that SQLite, which keeps no figures about them, does not choose the one with the most lines.
pub fn page(db: &mut Db, filter: &Filter, before: Option<Uuid>, limit: i64) -> Result<Vec<Line>, LedgerError> {
    let mut rows = audit::table.select(audit::all_columns).into_boxed();
    let mut served = false;
    macro_rules! narrow_by {
        ($column:expr, $wanted:expr) => {
            if let Some(wanted) = $wanted {
                let by_index = !std::mem::replace(&mut served, true);
                rows =
                    if by_index { rows.filter($column.eq(wanted)) } else { rows.filter($column.concat("").eq(wanted)) };
            }
        };
    }
    narrow_by!(audit::session_id, filter.session.map(|id| id.to_string()));
    narrow_by!(audit::user_id, filter.user.map(|id| id.to_string()));
    narrow_by!(audit::actor, filter.actor.clone());
    narrow_by!(audit::event, filter.event.map(Event::name));
    let until = filter.before.map(ids::least_at).into_iter().chain(before).min();
    if let Some(until) = until {
        rows = rows.filter(audit::id.lt(until.to_string()));
    }
    if let Some(after) = filter.after {
        rows = rows.filter(audit::id.ge(ids::least_at(after).to_string()));
    }
    Ok(rows.order(audit::id.desc()).limit(limit).load(db)?)
}
