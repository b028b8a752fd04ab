//! Search: finds the sessions that fit a filter, through an index.
//!
//! Owns the choice of the leading index, and the limit on a page's cost, for any number of rows and any choice of the
//! planner. One condition leads (`Lead`); the others filter its results. Must never count or sort a whole table.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Text};

mod condition;
mod statement;

pub use statement::Statement;

use condition::{Condition, LONGEST_LAG_MS, conditions};
use statement::Bind;

use super::db::{Db, MultiBackend};
use super::error::LedgerError;
use super::pending_invalidations::PendingInvalidation;
use super::sessions::{self, Session};
use crate::domain::{Filter, SessionId, Timestamp, TokenHash};

/// Most entries of the leading index that one page reads.
pub const WINDOW: usize = 5_000;
/// Most ids in one statement.
const CHUNK: usize = 500;

/// A page to find: sessions that have not ended and may be live, newest first.
#[derive(Clone, Debug)]
pub struct Search {
    /// The filter.
    pub filter: Filter,
    /// Only sessions older than this one.
    pub after: Option<SessionId>,
    /// The current time: sessions that are over by then are left out, as far as the ledger knows.
    pub now: Timestamp,
    /// The maximum number of rows.
    pub limit: usize,
}

/// The sessions found.
pub struct SearchPage {
    /// The rows, newest first.
    pub sessions: Vec<Session>,
    /// Where to continue, if there may be more.
    pub next: Option<SessionId>,
}

/// The index that the search reads.
enum Lead {
    /// The ids of sessions that have not ended, newest first, of one value if there is a condition.
    Newest(Option<Condition>),
    /// A range, not in the order of time: few enough to read all.
    These(Vec<SessionId>),
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct PendingRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Binary)]
    token_hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    session_id: String,
}

/// The next page.
pub fn page(db: &mut Db, search: &Search) -> Result<SearchPage, LedgerError> {
    let mut others = conditions(&search.filter);
    match lead(db, search, &mut others)? {
        Lead::Newest(condition) => newest(db, search, condition.as_ref(), &others),
        Lead::These(ids) => among(db, search, ids, &others),
    }
}

/// Which of these sessions have not ended and still fit: for a transaction that is about to end them, a moment after
/// the search.
pub fn still(db: &mut Db, filter: &Filter, ids: &[SessionId]) -> Result<Vec<SessionId>, LedgerError> {
    let mut found = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let mut statement = Statement::new("SELECT sessions.id FROM sessions WHERE sessions.ended_at IS NULL");
        statement.among(chunk);
        conditions(filter).iter().for_each(|condition| statement.and(condition, hide(db)));
        found.extend(statement.ids(db)?);
    }
    Ok(found)
}

/// Pending invalidations of sessions that fit and have ended: up to a limit, after the given one.
pub fn pending_invalidations(
    db: &mut Db,
    filter: &Filter,
    after: Option<uuid::Uuid>,
    limit: usize,
) -> Result<Vec<PendingInvalidation>, LedgerError> {
    let mut statement = Statement::new(
        "SELECT pending.id, pending.token_hash, pending.session_id FROM pending_invalidations AS pending \
         JOIN sessions ON sessions.id = pending.session_id WHERE sessions.ended_at IS NOT NULL",
    );
    statement.text(" AND pending.id > ", Bind::Text(after.map(|id| id.to_string()).unwrap_or_default()));
    let (below, from) = id_bounds(filter);
    statement.ids_between(below, from);
    conditions(filter).iter().for_each(|condition| statement.and(condition, hide(db)));
    statement.text.push_str(&format!(" ORDER BY pending.id LIMIT {limit}"));
    let rows: Vec<PendingRow> = statement.load(db)?;
    rows.into_iter().map(pending_invalidation).collect()
}

/// The statements that find a page, for `EXPLAIN`.
pub fn statements(db: &mut Db, search: &Search) -> Result<Vec<Statement>, LedgerError> {
    let mut others = conditions(&search.filter);
    let mut statements: Vec<_> = others.iter().filter(|c| c.is_range()).map(|c| candidates(search, c)).collect();
    match lead(db, search, &mut others)? {
        Lead::Newest(condition) => {
            statements.push(frontier(search, condition.as_ref()));
            statements.push(matching(search, condition.as_ref(), &others, None, hide(db)));
        }
        Lead::These(ids) => statements.push(matching_among(search, &ids, &others, hide(db))),
    }
    Ok(statements)
}

/// Takes the condition with the fewest results out of the list. A range leads if a count shows that it finds few: an
/// index in the order of addresses would need a sort.
fn lead(db: &mut Db, search: &Search, others: &mut Vec<Condition>) -> Result<Lead, LedgerError> {
    let position = |others: &[Condition], wanted: fn(&Condition) -> bool| others.iter().position(wanted);
    if let Some(at) = position(others, Condition::is_sharp) {
        return Ok(Lead::Newest(Some(others.remove(at))));
    }
    for at in 0..others.len() {
        let Some(condition) = others.get(at).filter(|condition| condition.is_range()) else { continue };
        let ids = candidates(search, condition).ids(db)?;
        if ids.len() <= WINDOW {
            others.remove(at);
            return Ok(Lead::These(ids));
        }
    }
    if let Some(place) = others.iter().find(|condition| condition.is_place()) {
        // It stays: the leading condition is only one field of it.
        return Ok(Lead::Newest(Some(place.clone())));
    }
    let value = position(others, Condition::is_value);
    Ok(Lead::Newest(value.map(|at| others.remove(at))))
}

fn newest(
    db: &mut Db,
    search: &Search,
    condition: Option<&Condition>,
    others: &[Condition],
) -> Result<SearchPage, LedgerError> {
    let frontier = frontier(search, condition).ids(db)?.pop();
    let ids = matching(search, condition, others, frontier, hide(db)).ids(db)?;
    let next = if ids.len() >= search.limit { ids.last().copied() } else { frontier };
    Ok(SearchPage { sessions: sessions::of_ids(db, &ids)?, next })
}

fn among(
    db: &mut Db,
    search: &Search,
    mut ids: Vec<SessionId>,
    others: &[Condition],
) -> Result<SearchPage, LedgerError> {
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        found.extend(matching_among(search, chunk, others, hide(db)).ids(db)?);
        if found.len() >= search.limit {
            found.truncate(search.limit);
            return Ok(SearchPage { sessions: sessions::of_ids(db, &found)?, next: found.last().copied() });
        }
    }
    Ok(SearchPage { sessions: sessions::of_ids(db, &found)?, next: None })
}

/// The last entry that this page reads, if there are that many.
fn frontier(search: &Search, condition: Option<&Condition>) -> Statement {
    let mut statement = newest_by(search, condition, WINDOW, |_| {});
    statement.text.push_str(&format!(" OFFSET {}", WINDOW.saturating_sub(1)));
    statement
}

fn matching(
    search: &Search,
    condition: Option<&Condition>,
    others: &[Condition],
    frontier: Option<SessionId>,
    hide: &str,
) -> Statement {
    newest_by(search, condition, search.limit, |statement| {
        statement.ids_between(None, frontier);
        statement.rest(search, others, hide);
    })
}

/// The first entries of an index for one condition, newest first. A location has two indexes, one of which holds only
/// what the other does not: the first entries of each are merged, for any choice of the planner.
fn newest_by(search: &Search, condition: Option<&Condition>, most: usize, and: impl Fn(&mut Statement)) -> Statement {
    let ordered = format!(" ORDER BY id DESC LIMIT {most}");
    let place = condition.filter(|condition| condition.is_place());
    let mut statement = Statement::default();
    if place.is_some() {
        statement.text.push_str("SELECT id FROM (");
    }
    statement.live(search);
    if let Some(condition) = condition {
        statement.first(condition);
    }
    and(&mut statement);
    statement.text.push_str(&ordered);
    if let Some(place) = place {
        statement.text.push_str(") AS first UNION ALL SELECT id FROM (");
        statement.live(search);
        statement.elsewhere(place);
        and(&mut statement);
        statement.text.push_str(&format!("{ordered}) AS elsewhere{ordered}"));
    }
    statement
}

fn matching_among(search: &Search, ids: &[SessionId], others: &[Condition], hide: &str) -> Statement {
    let mut statement = live(search);
    statement.among(ids);
    statement.rest(search, others, hide);
    statement.text.push_str(" ORDER BY sessions.id DESC");
    statement
}

/// All results of a range, or one more than a page may read.
fn candidates(search: &Search, condition: &Condition) -> Statement {
    let mut statement = live(search);
    statement.and(condition, "");
    statement.text.push_str(&format!(" LIMIT {}", WINDOW.saturating_add(1)));
    statement
}

/// Sessions that have not ended or expired, and were created in the filter's time.
fn live(search: &Search) -> Statement {
    let mut statement = Statement::default();
    statement.live(search);
    statement
}

/// An id starts with the session's creation time: the bounds below and from. A session last seen before a moment was
/// created before it.
fn id_bounds(filter: &Filter) -> (Option<SessionId>, Option<SessionId>) {
    let below = [filter.created_before, filter.last_seen_before].into_iter().flatten().min();
    (below.map(SessionId::first_of), filter.created_after.map(SessionId::first_of))
}

/// Keeps SQLite, which has no statistics of values, from an index that does not lead. PostgreSQL has them.
fn hide(db: &Db) -> &'static str {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(_) => "",
        Db::Sqlite(_) => "+",
    }
}

impl Statement {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), binds: Vec::new() }
    }

    fn live(&mut self, search: &Search) {
        self.text.push_str("SELECT sessions.id AS id FROM sessions WHERE sessions.ended_at IS NULL");
        self.text(" AND sessions.expires_at > ", Bind::Number(search.now.ms()));
        let (below, from) = id_bounds(&search.filter);
        self.ids_between([below, search.after].into_iter().flatten().min(), from);
    }

    fn text(&mut self, text: &str, value: Bind) {
        self.binds.push(value);
        self.text.push_str(&format!("{text}${}", self.binds.len()));
    }

    fn ids_between(&mut self, below: Option<SessionId>, from: Option<SessionId>) {
        if let Some(id) = below {
            self.text(" AND sessions.id < ", Bind::Text(id.to_string()));
        }
        if let Some(id) = from {
            self.text(" AND sessions.id >= ", Bind::Text(id.to_string()));
        }
    }

    fn among(&mut self, ids: &[SessionId]) {
        let mut before = " AND sessions.id IN (";
        for id in ids {
            self.text(before, Bind::Text(id.to_string()));
            before = ", ";
        }
        self.text.push_str(if ids.is_empty() { " AND 1 = 0" } else { ")" });
    }

    /// The conditions that do not lead, and that the session may not be idle for too long.
    fn rest(&mut self, search: &Search, others: &[Condition], hide: &str) {
        others.iter().for_each(|condition| self.and(condition, hide));
        let latest = search.now.ms().saturating_sub(LONGEST_LAG_MS);
        self.text(" AND sessions.last_seen_at + sessions.idle_seconds * 1000 > ", Bind::Number(latest));
    }

    fn ids(&self, db: &mut Db) -> Result<Vec<SessionId>, LedgerError> {
        let rows: Vec<Id> = self.load(db)?;
        let read =
            |row: Id| SessionId::parse(&row.id).ok_or_else(|| LedgerError::Corrupt(format!("session id {:?}", row.id)));
        rows.into_iter().map(read).collect()
    }

    fn load<T>(&self, db: &mut Db) -> Result<Vec<T>, LedgerError>
    where
        T: QueryableByName<MultiBackend> + 'static,
    {
        let mut query = sql_query(self.text.as_str()).into_boxed::<MultiBackend>();
        for bind in self.binds.clone() {
            query = match bind {
                Bind::Text(value) => query.bind::<Text, _>(value),
                Bind::Number(value) => query.bind::<BigInt, _>(value),
                Bind::Bytes(value) => query.bind::<Binary, _>(value),
            };
        }
        Ok(query.load(db)?)
    }
}

fn pending_invalidation(row: PendingRow) -> Result<PendingInvalidation, LedgerError> {
    let corrupt = || LedgerError::Corrupt(format!("the pending invalidation {:?}", row.id));
    Ok(PendingInvalidation {
        id: uuid::Uuid::try_parse(&row.id).map_err(|_| corrupt())?,
        token_hash: TokenHash::from_slice(&row.token_hash).ok_or_else(corrupt)?,
        session: SessionId::parse(&row.session_id).ok_or_else(corrupt)?,
    })
}
