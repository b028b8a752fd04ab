//! Audit log in SQL.
//!
//! Owns the `audit` table. Rows are only added, in the transaction that they describe: one row for each event that
//! happened, and none for one that did not.

use std::net::IpAddr;

use diesel::dsl::{count_star, max};
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
    /// When it happened.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
    /// The actor.
    pub actor: Actor,
    /// The affected user.
    pub user: Option<UserId>,
    /// The affected session.
    pub session: Option<SessionId>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<Uuid>,
    /// More detail: a reason, a number.
    pub detail: Option<String>,
}

/// A line as it is written.
#[derive(Insertable)]
#[diesel(table_name = audit)]
struct Row {
    id: String,
    at: i64,
    event: &'static str,
    actor: String,
    user_id: Option<String>,
    session_id: Option<String>,
    ip: Option<String>,
    request_id: Option<String>,
    detail: Option<String>,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: entry.at.ms(),
            event: entry.event.name(),
            actor: entry.actor.name(),
            user_id: entry.user.map(|id| id.to_string()),
            session_id: entry.session.map(|id| id.to_string()),
            ip: entry.ip.map(|ip| ip.to_string()),
            request_id: entry.request_id.map(|id| id.to_string()),
            detail: entry.detail.clone(),
        }
    }
}

/// Adds a line.
pub fn append(db: &mut Db, entry: &Entry) -> Result<(), LedgerError> {
    diesel::insert_into(audit::table).values(Row::from(entry)).execute(db)?;
    Ok(())
}

/// Adds lines, in one statement where each takes a journey.
pub fn append_all(db: &mut Db, entries: &[Entry]) -> Result<(), LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            let rows: Vec<Row> = entries.iter().map(Row::from).collect();
            diesel::insert_into(audit::table).values(rows).execute(c)?;
            Ok(())
        }
        Db::Sqlite(_) => entries.iter().try_for_each(|entry| append(db, entry)),
    }
}

/// Adds a line unless it was added before: for a retry whose first result is unknown.
pub fn append_once(db: &mut Db, entry: &Entry) -> Result<(), LedgerError> {
    let known = audit::table.find(entry.id.to_string()).select(audit::id);
    match known.get_result::<String>(db).optional()? {
        Some(_) => Ok(()),
        None => append(db, entry),
    }
}

/// How many lines of this event and session there are.
pub fn count(db: &mut Db, event: Event, session: SessionId) -> Result<i64, LedgerError> {
    let rows = audit::table.filter(audit::event.eq(event.name())).filter(audit::session_id.eq(session.to_string()));
    Ok(rows.count().get_result(db)?)
}

/// The details of this event in this session since then, in the first lines up to a limit.
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

/// A detail, how many lines have it, and when the last of them was written.
pub type ByDetail = (Option<String>, i64, Option<i64>);

/// The details of an event's lines since then: how many lines have each, and when the last of them was written.
pub fn by_detail(db: &mut Db, event: Event, since: Timestamp, limit: i64) -> Result<Vec<ByDetail>, LedgerError> {
    let rows = audit::table
        .filter(audit::event.eq(event.name()))
        .filter(audit::id.ge(ids::least_at(since).to_string()))
        .group_by(audit::detail)
        .select((audit::detail, count_star(), max(audit::at)));
    Ok(rows.order(max(audit::at).desc()).limit(limit).load(db)?)
}

/// A filter: all its conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The affected user.
    pub user: Option<UserId>,
    /// The affected session.
    pub session: Option<SessionId>,
    /// The event.
    pub event: Option<Event>,
    /// The actor, by [`Actor::name`].
    pub actor: Option<String>,
    /// From this time on.
    pub after: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
}

/// A line as stored.
#[derive(Clone, Debug, Queryable)]
pub struct Line {
    /// The line's id.
    pub id: String,
    /// When it happened.
    pub at: i64,
    /// The event's name.
    pub event: String,
    /// The actor's name or id.
    pub actor: String,
    /// The affected user.
    pub user_id: Option<String>,
    /// The affected session.
    pub session_id: Option<String>,
    /// The client's address.
    pub ip: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// More detail.
    pub detail: Option<String>,
}

/// A page of lines, the newest first, before the line with this id.
///
/// One index leads: of the session, else the user, else the actor, else the event. The other columns are compared as
/// expressions without an index, so that SQLite, which keeps no statistics about them, does not choose the largest.
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
