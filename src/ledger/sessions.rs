//! Sessions in SQL: one row for each session ever issued.
//!
//! Owns the `sessions` table. A row that has ended stays ended: no function here clears `ended_at`, and none changes a
//! row that has it set.

use std::net::IpAddr;

use diesel::prelude::*;

use super::acting_sessions::{actor_is, by_administrator, of_kind};
use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::{sessions, users};
use super::session_row::idle;
pub use super::session_row::{Session, ip_key};
use super::tokens;
use super::users::User;
use crate::domain::session::Deadlines;
use crate::domain::{Acting, ActorKind, EndReason, Proof, SessionId, Timestamp, TokenHash, UserId};

/// The columns of a live row that a check needs.
#[derive(Clone, Debug)]
pub struct LiveSession {
    /// The session's public id.
    pub id: SessionId,
    /// The owner.
    pub user_id: UserId,
    /// When it ends without an action.
    pub deadlines: Deadlines,
    /// The address of the last use.
    pub last_ip: IpAddr,
    /// Whether the application keeps data in it.
    pub has_data: bool,
    /// The proof of its owner's identity.
    pub proof: Proof,
    /// The User-Agent that it is bound to.
    pub user_agent: Option<String>,
    /// Who acts in it for its user.
    pub acting: Option<Acting>,
}

type LiveRow = (String, String, i64, i64, i64, String, bool, ProofRow);
type ProofRow = (i64, Option<i64>, Option<String>, Option<String>);

/// The session with this current token, if it was not ended. The caller judges its deadlines.
pub fn find_live(db: &mut Db, token_hash: &TokenHash) -> Result<Option<LiveSession>, LedgerError> {
    let columns = (
        sessions::id,
        sessions::user_id,
        sessions::last_seen_at,
        sessions::expires_at,
        sessions::idle_seconds,
        sessions::last_ip,
        sessions::data.is_not_null(),
        (sessions::authenticated_at, sessions::challenged_at, sessions::user_agent, sessions::actor),
    );
    let rows = sessions::table.filter(sessions::token_hash.eq(token_hash.as_bytes().to_vec()));
    let row = rows.filter(sessions::ended_at.is_null()).select(columns);
    // On the concrete connection, which reuses the statement: this is the check without Redis.
    let row = each!(db, c => row.get_result::<LiveRow>(c)).optional()?;
    row.map(live).transpose()
}

fn live(row: LiveRow) -> Result<LiveSession, LedgerError> {
    let (id, user, last_seen, expires, idle_seconds, ip, has_data, (proven, challenged, user_agent, actor)) = row;
    Ok(LiveSession {
        id: SessionId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}")))?,
        user_id: UserId::parse(&user).ok_or_else(|| LedgerError::Corrupt(format!("user id {user:?}")))?,
        deadlines: Deadlines {
            last_seen: Timestamp::from_ms(last_seen),
            idle: idle(idle_seconds),
            expires: Timestamp::from_ms(expires),
        },
        last_ip: ip.parse().map_err(|_| LedgerError::Corrupt(format!("address {ip:?}")))?,
        has_data,
        proof: Proof { at: Timestamp::from_ms(proven), challenged: challenged.is_some() },
        user_agent,
        acting: acting(actor)?,
    })
}

/// A text that cannot be read must not make an ordinary session of it.
fn acting(actor: Option<String>) -> Result<Option<Acting>, LedgerError> {
    let read = |text: String| Acting::parse(&text).ok_or_else(|| LedgerError::Corrupt("an acting party".to_owned()));
    actor.map(read).transpose()
}

/// Adds a row.
pub fn insert(db: &mut Db, session: Session) -> Result<(), LedgerError> {
    diesel::insert_into(sessions::table).values(session).execute(db)?;
    Ok(())
}

/// The session with this id, ended or not.
pub fn find(db: &mut Db, id: SessionId) -> Result<Option<Session>, LedgerError> {
    Ok(sessions::table.find(id.to_string()).select(sessions::all_columns).get_result(db).optional()?)
}

/// The sessions with these ids and their owners, in the same order; none for an ended session.
pub(super) fn find_with_owners(db: &mut Db, ids: &[SessionId]) -> Result<Vec<Option<(User, Session)>>, LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => many_with_owners(c, ids),
        // A look-up in SQLite is a call, not a round trip: the file lock is the cost, and one transaction takes it
        // once.
        Db::Sqlite(c) if ids.len() > 1 => c.transaction(|c| each_with_owner(c, ids)),
        Db::Sqlite(c) => each_with_owner(c, ids),
    }
}

macro_rules! unended_with_owner {
    ($which:expr) => {
        users::table
            .inner_join(sessions::table)
            .filter($which)
            .filter(sessions::ended_at.is_null())
            .select((users::all_columns, sessions::all_columns))
    };
}

/// On the concrete connection, which reuses the statement.
fn each_with_owner(c: &mut SqliteConnection, ids: &[SessionId]) -> Result<Vec<Option<(User, Session)>>, LedgerError> {
    let mut row = |id: &SessionId| unended_with_owner!(sessions::id.eq(id.to_string())).get_result(c).optional();
    Ok(ids.iter().map(&mut row).collect::<QueryResult<_>>()?)
}

#[cfg(feature = "postgres")]
fn many_with_owners(c: &mut PgConnection, ids: &[SessionId]) -> Result<Vec<Option<(User, Session)>>, LedgerError> {
    let names: Vec<_> = ids.iter().map(SessionId::to_string).collect();
    let rows: Vec<(User, Session)> = unended_with_owner!(sessions::id.eq_any(names)).load(c)?;
    // The same id may occur twice.
    Ok(ids.iter().map(|id| rows.iter().find(|(_, session)| session.id == *id).cloned()).collect())
}

/// A user's sessions that were not ended and not over at `now`, the oldest first. The caller judges the idle deadline.
pub fn of_user(db: &mut Db, user: UserId, now: Timestamp) -> Result<Vec<Session>, LedgerError> {
    let rows = sessions::table
        .filter(sessions::user_id.eq(user.to_string()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now.ms()));
    Ok(rows.order((sessions::created_at, sessions::id)).select(sessions::all_columns).load(db)?)
}

/// The sessions with these ids, the newest first.
pub fn of_ids(db: &mut Db, ids: &[SessionId]) -> Result<Vec<Session>, LedgerError> {
    let rows = sessions::table.filter(sessions::id.eq_any(ids.iter().map(SessionId::to_string)));
    Ok(rows.order(sessions::id.desc()).select(sessions::all_columns).load(db)?)
}

/// Which sessions to end.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one with this id, if this user owns it.
    One(SessionId, UserId),
    /// The one with this id, of any user.
    Any(SessionId),
    /// The sessions that these tokens open, or ever opened.
    Tokens(Vec<TokenHash>),
    /// All of a user's but the named one; and those of other users in which this one acts as an administrator here.
    OfUser(UserId, Option<SessionId>),
    /// Those of a user in which a party of this kind acts.
    OfActors(UserId, ActorKind),
    /// The sessions with these ids, of any users.
    These(Vec<SessionId>),
}

/// An ended session, and the record of it that may stand in Redis: the records of its former tokens are pending
/// already.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The session's public id.
    pub id: SessionId,
    /// The owner.
    pub user_id: UserId,
    /// The hash of its last token.
    pub token_hash: TokenHash,
    /// When it would have ended without an action.
    pub deadlines: Deadlines,
    /// Who acted in it for its user.
    pub acting: Option<Acting>,
}

type EndedRow = (String, String, Vec<u8>, i64, i64, i64, Option<String>);

macro_rules! ended_columns {
    () => {
        (
            sessions::id,
            sessions::user_id,
            sessions::token_hash,
            sessions::last_seen_at,
            sessions::expires_at,
            sessions::idle_seconds,
            sessions::actor,
        )
    };
}

/// The owners of these sessions. This never changes: a token belongs to one session forever, and a session to one user.
/// So it can be read before the rows are locked.
pub fn owners(db: &mut Db, which: &Which) -> Result<Vec<UserId>, LedgerError> {
    let ids = match which {
        Which::One(_, user) | Which::OfUser(user, _) | Which::OfActors(user, _) => return Ok(vec![*user]),
        Which::Any(id) => vec![id.to_string()],
        Which::These(ids) => ids.iter().map(SessionId::to_string).collect(),
        Which::Tokens(hashes) => of_tokens(db, hashes)?,
    };
    let rows = sessions::table.filter(sessions::id.eq_any(ids)).select(sessions::user_id).distinct();
    let users: Vec<String> = rows.load(db)?;
    users.iter().map(|id| UserId::parse(id).ok_or_else(|| LedgerError::Corrupt(format!("user id {id:?}")))).collect()
}

fn of_tokens(db: &mut Db, hashes: &[TokenHash]) -> Result<Vec<String>, LedgerError> {
    Ok(tokens::sessions_of(db, hashes)?.iter().map(|(_, id)| id.to_string()).collect())
}

/// Ends the sessions that have not ended; returns the rows that this call ended. Their owners are locked.
pub fn end(db: &mut Db, which: &Which, reason: EndReason, at: Timestamp) -> Result<Vec<Ended>, LedgerError> {
    macro_rules! end_where {
        ($condition:expr) => {
            diesel::update(sessions::table.filter(sessions::ended_at.is_null()).filter($condition))
                .set((sessions::ended_at.eq(Some(at.ms())), sessions::end_reason.eq(Some(reason.name()))))
                .returning(ended_columns!())
                .get_results::<EndedRow>(db)?
        };
    }
    let rows = match which {
        Which::One(id, user) => {
            end_where!(sessions::id.eq(id.to_string()).and(sessions::user_id.eq(user.to_string())))
        }
        Which::Any(id) => end_where!(sessions::id.eq(id.to_string())),
        Which::Tokens(hashes) => {
            let ids = of_tokens(db, hashes)?;
            end_where!(sessions::id.eq_any(ids))
        }
        Which::These(ids) => end_where!(sessions::id.eq_any(ids.iter().map(SessionId::to_string))),
        Which::OfUser(user, except) => {
            let except = except.map(|id| id.to_string()).unwrap_or_default();
            let theirs = sessions::user_id.eq(user.to_string()).and(sessions::id.ne(except));
            let mut rows = end_where!(theirs);
            rows.extend(end_where!(actor_is!(by_administrator(*user))));
            rows
        }
        Which::OfActors(user, kind) => {
            end_where!(sessions::user_id.eq(user.to_string()).and(actor_is!(of_kind(*kind))))
        }
    };
    rows.into_iter().map(ended).collect()
}

/// Sessions that have not ended, expired or not, up to a limit.
pub fn unended(db: &mut Db, limit: i64) -> Result<Vec<SessionId>, LedgerError> {
    let rows = sessions::table.filter(sessions::ended_at.is_null()).order((sessions::user_id, sessions::id));
    let ids: Vec<String> = rows.limit(limit).select(sessions::id).load(db)?;
    ids.iter()
        .map(|id| SessionId::parse(id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}"))))
        .collect()
}

/// Those of the sessions that have ended: for a repeated revocation.
pub fn find_ended(db: &mut Db, which: &Which) -> Result<Vec<Ended>, LedgerError> {
    macro_rules! select_where {
        ($condition:expr) => {
            sessions::table
                .filter(sessions::ended_at.is_not_null())
                .filter($condition)
                .select(ended_columns!())
                .load::<EndedRow>(db)?
        };
    }
    let rows = match which {
        Which::One(id, user) => {
            select_where!(sessions::id.eq(id.to_string()).and(sessions::user_id.eq(user.to_string())))
        }
        Which::Any(id) => select_where!(sessions::id.eq(id.to_string())),
        Which::Tokens(hashes) => {
            let ids = of_tokens(db, hashes)?;
            select_where!(sessions::id.eq_any(ids))
        }
        // A user's history has no limit: `pending_invalidations` knows the records that may still stand.
        Which::OfUser(..) | Which::OfActors(..) | Which::These(_) => Vec::new(),
    };
    rows.into_iter().map(ended).collect()
}

fn ended((id, user, hash, last_seen, expires, idle_seconds, actor): EndedRow) -> Result<Ended, LedgerError> {
    Ok(Ended {
        id: SessionId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}")))?,
        user_id: UserId::parse(&user).ok_or_else(|| LedgerError::Corrupt(format!("user id {user:?}")))?,
        token_hash: TokenHash::from_slice(&hash).ok_or_else(|| LedgerError::Corrupt("token hash".to_owned()))?,
        deadlines: Deadlines {
            last_seen: Timestamp::from_ms(last_seen),
            idle: idle(idle_seconds),
            expires: Timestamp::from_ms(expires),
        },
        // It has ended: what cannot be read stops nothing.
        acting: actor.as_deref().and_then(Acting::parse),
    })
}
