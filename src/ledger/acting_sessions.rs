//! Acting sessions in SQL: those in which an agent or an administrator acts for the user.
//!
//! Owns the conditions on the column `actor` of `sessions`, which begins with the kind and the id. An application names its
//! parties without a reason; so a reason after the id shows that an administrator of this server acts.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use crate::domain::{ActingParty, ActorKind, Timestamp, UserId};

/// A pattern for the sessions in which a party of this kind acts. A kind has no character with a meaning in patterns.
pub(super) fn of_kind(kind: ActorKind) -> String {
    format!("{}:%", kind.name())
}

/// A pattern for the sessions in which this administrator acts.
pub(super) fn by_administrator(user: UserId) -> String {
    format!("{} %", ActingParty::administrator(user))
}

/// Whether a session's actor is like this pattern. The first half is the index' own predicate.
macro_rules! actor_is {
    ($pattern:expr) => {
        sessions::actor.is_not_null().and(sessions::actor.like($pattern))
    };
}
pub(super) use actor_is;

/// How many of a user's sessions that were not ended, and are not over at `now`, somebody else uses.
pub fn count(db: &mut Db, user: UserId, now: Timestamp) -> Result<usize, LedgerError> {
    let rows = sessions::table
        .filter(sessions::user_id.eq(user.to_string()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now.ms()))
        .filter(sessions::actor.is_not_null());
    Ok(usize::try_from(rows.count().get_result::<i64>(db)?).unwrap_or(usize::MAX))
}

/// The users for whom this one acts as an administrator, in sessions that were not ended.
pub fn acted_for(db: &mut Db, administrator: UserId) -> Result<Vec<UserId>, LedgerError> {
    let rows = sessions::table
        .filter(sessions::ended_at.is_null())
        .filter(actor_is!(by_administrator(administrator)))
        .select(sessions::user_id)
        .distinct();
    let users: Vec<String> = rows.load(db)?;
    users.iter().map(|id| UserId::parse(id).ok_or_else(|| LedgerError::Corrupt(format!("user id {id:?}")))).collect()
}
