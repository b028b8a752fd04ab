//! Outbox: messages that wait for another system and, for some days, those that were delivered.
//!
//! Owns the `webhook_outbox` table. A message is added in the transaction of its event. Nodes share the work by claims
//! that expire; within an ordering key a message is not handed out before the earlier one is done. Must never
//! change a message's body, and never delete a message that is not done.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::webhook_outbox as outbox;
use crate::domain::Timestamp;
use crate::domain::webhook::Notice;

const DELIVERED: &str = "delivered";
const GIVEN_UP: &str = "given_up";

/// A message to deliver.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, a UUIDv7, the same in every attempt.
    pub id: Uuid,
    /// Messages of one key are delivered in order.
    pub ordering_key: String,
    /// The kind of event.
    pub notice: Notice,
    /// The body that is sent.
    pub body: String,
    /// When it was added.
    pub at: Timestamp,
}

/// Adds a message behind those of its key. A transaction that has seen one of them committed comes after it.
pub fn add(db: &mut Db, message: &Message) -> Result<(), LedgerError> {
    // One statement and one round trip: every sign-in and every revocation pays for it.
    let sql = "INSERT INTO webhook_outbox (id, ordering_key, event, body, created_at, next_at, position) \
               SELECT $1, $2, $3, $4, $5, $5, coalesce(max(position), 0) + 1 \
               FROM webhook_outbox WHERE ordering_key = $2 AND done_at IS NULL";
    let (id, at) = (message.id.to_string(), message.at.ms());
    each!(db, c => sql_query(sql)
        .bind::<Text, _>(id)
        .bind::<Text, _>(&message.ordering_key)
        .bind::<Text, _>(message.notice.name())
        .bind::<Text, _>(&message.body)
        .bind::<BigInt, _>(at)
        .execute(c))?;
    Ok(())
}

/// A message that is due, or was claimed.
#[derive(Clone, Debug, QueryableByName)]
pub struct Due {
    /// Its id.
    #[diesel(sql_type = Text)]
    pub id: String,
    /// Its type.
    #[diesel(sql_type = Text)]
    pub event: String,
    /// The body that is sent.
    #[diesel(sql_type = Text)]
    pub body: String,
    /// When it was added.
    #[diesel(sql_type = BigInt, deserialize_as = i64)]
    pub created_at: Timestamp,
    /// How often it was claimed before.
    #[diesel(sql_type = BigInt)]
    pub attempts: i64,
}

macro_rules! due {
    ($lock:literal) => {
        concat!(
            "SELECT id, event, body, created_at, attempts FROM webhook_outbox AS it \
             WHERE done_at IS NULL AND next_at <= $1 AND NOT EXISTS (SELECT 1 FROM webhook_outbox AS former \
             WHERE former.ordering_key = it.ordering_key AND former.done_at IS NULL AND (former.position < it.position \
             OR (former.position = it.position AND former.id < it.id))) ORDER BY next_at, id LIMIT $2",
            $lock
        )
    };
}

/// Whether a message is due.
pub fn any_due(db: &mut Db, now: Timestamp) -> Result<bool, LedgerError> {
    let rows: Vec<Due> = each!(db, c => sql_query(due!("")).bind::<BigInt, _>(now.ms()).bind::<BigInt, _>(1).load(c))?;
    Ok(!rows.is_empty())
}

/// Hands out at most this many messages under this name, no two of one key; no other name gets them until then, unless
/// they are settled or released before.
pub fn claim(db: &mut Db, name: Uuid, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Due>, LedgerError> {
    let due: Vec<Due> = match db {
        // Skips messages that another node is claiming, instead of waiting.
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            let sql = sql_query(due!(" FOR UPDATE OF it SKIP LOCKED"));
            sql.bind::<BigInt, _>(now.ms()).bind::<BigInt, _>(limit).load(c)?
        }
        Db::Sqlite(c) => sql_query(due!("")).bind::<BigInt, _>(now.ms()).bind::<BigInt, _>(limit).load(c)?,
    };
    let ids = due.iter().map(|message| message.id.as_str());
    diesel::update(outbox::table.filter(outbox::id.eq_any(ids)))
        .set((
            outbox::next_at.eq(until.ms()),
            outbox::claim.eq(Some(name.to_string())),
            outbox::attempts.eq(outbox::attempts + 1),
        ))
        .execute(db)?;
    Ok(due)
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Delivered,
    /// Try it again, not before this time; the reason.
    Again(Timestamp, String),
    /// It was tried for long enough; the reason of the last failure.
    GivenUp(String),
}

/// Records the result of an attempt. A delivered message is delivered even if another node holds the claim by now; any
/// other result counts only from the holder of the claim.
pub fn settle(db: &mut Db, name: Uuid, id: &str, outcome: &Outcome, now: Timestamp) -> Result<(), LedgerError> {
    let row = outbox::table.find(id).filter(outbox::done_at.is_null());
    let mine = row.filter(outbox::claim.eq(name.to_string()));
    let released = outbox::claim.eq(None::<String>);
    let done = |outcome: &'static str| (outbox::done_at.eq(Some(now.ms())), outbox::outcome.eq(Some(outcome)));
    match outcome {
        Outcome::Delivered => diesel::update(row).set((done(DELIVERED), released)).execute(db)?,
        Outcome::Again(at, why) => diesel::update(mine)
            .set((outbox::next_at.eq(at.ms()), outbox::last_error.eq(Some(why)), released))
            .execute(db)?,
        Outcome::GivenUp(why) => {
            diesel::update(mine).set((done(GIVEN_UP), outbox::last_error.eq(Some(why)), released)).execute(db)?
        }
    };
    Ok(())
}

/// Releases all claims under this name: whether those messages have arrived is not known.
pub fn release(db: &mut Db, name: Uuid, now: Timestamp) -> Result<(), LedgerError> {
    let mine = outbox::table.filter(outbox::claim.eq(name.to_string())).filter(outbox::done_at.is_null());
    diesel::update(mine).set((outbox::next_at.eq(now.ms()), outbox::claim.eq(None::<String>))).execute(db)?;
    Ok(())
}

/// Makes every unclaimed message that waits for a retry due now.
pub fn hasten(db: &mut Db, now: Timestamp) -> Result<(), LedgerError> {
    let waiting = outbox::table.filter(outbox::done_at.is_null()).filter(outbox::claim.is_null());
    diesel::update(waiting.filter(outbox::next_at.gt(now.ms()))).set(outbox::next_at.eq(now.ms())).execute(db)?;
    Ok(())
}

/// Makes every message due now that is scheduled after `latest`: no wait is that long, so a wrong clock wrote it.
pub fn bring_back(db: &mut Db, latest: Timestamp, now: Timestamp) -> Result<(), LedgerError> {
    let rows = outbox::table.filter(outbox::done_at.is_null()).filter(outbox::next_at.gt(latest.ms()));
    diesel::update(rows).set((outbox::next_at.eq(now.ms()), outbox::claim.eq(None::<String>))).execute(db)?;
    Ok(())
}

/// Gives up at most this many messages that were added before then; returns how many.
pub fn give_up(db: &mut Db, before: Timestamp, now: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let old = outbox::table.filter(outbox::done_at.is_null()).filter(outbox::created_at.lt(before.ms()));
    let ids: Vec<String> = old.filter(outbox::claim.is_null()).limit(limit).select(outbox::id).load(db)?;
    let rows = outbox::table.filter(outbox::id.eq_any(ids)).filter(outbox::done_at.is_null());
    let done = (outbox::done_at.eq(Some(now.ms())), outbox::outcome.eq(Some(GIVEN_UP)));
    Ok(diesel::update(rows).set(done).execute(db)?)
}

/// Deletes at most this many messages, delivered or given up before then; returns how many.
pub fn purge(db: &mut Db, delivered: Timestamp, given_up: Timestamp, limit: i64) -> Result<usize, LedgerError> {
    let mut purged = 0;
    for (outcome, before) in [(DELIVERED, delivered), (GIVEN_UP, given_up)] {
        let rows = outbox::table.filter(outbox::outcome.eq(outcome)).filter(outbox::done_at.lt(before.ms()));
        let ids: Vec<String> = rows.limit(limit).select(outbox::id).load(db)?;
        purged += diesel::delete(outbox::table.filter(outbox::id.eq_any(ids))).execute(db)?;
    }
    Ok(purged)
}

/// The size of the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many messages wait.
    pub waiting: i64,
    /// When the oldest of them was added.
    pub since: Option<Timestamp>,
    /// How many were given up in the last days.
    pub given_up: i64,
}

/// Reads the backlog.
pub fn backlog(db: &mut Db) -> Result<Backlog, LedgerError> {
    let waiting = || outbox::table.filter(outbox::done_at.is_null());
    let since: Option<i64> = waiting().select(diesel::dsl::min(outbox::created_at)).get_result(db)?;
    let given_up = outbox::table.filter(outbox::outcome.eq(GIVEN_UP)).filter(outbox::done_at.is_not_null());
    Ok(Backlog {
        waiting: waiting().count().get_result(db)?,
        since: since.map(Timestamp::from_ms),
        given_up: given_up.count().get_result(db)?,
    })
}

/// A waiting message.
#[derive(Clone, Debug, Queryable)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// Its type.
    pub event: String,
    /// When it was added.
    #[diesel(deserialize_as = i64)]
    pub created_at: Timestamp,
    /// The earliest time of the next attempt.
    #[diesel(deserialize_as = i64)]
    pub next_at: Timestamp,
    /// The number of attempts.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// The messages that have waited longest.
pub fn waiting(db: &mut Db, limit: i64) -> Result<Vec<Waiting>, LedgerError> {
    let rows = outbox::table.filter(outbox::done_at.is_null()).order((outbox::created_at, outbox::id)).limit(limit);
    let columns =
        (outbox::id, outbox::event, outbox::created_at, outbox::next_at, outbox::attempts, outbox::last_error);
    Ok(rows.select(columns).load(db)?)
}
