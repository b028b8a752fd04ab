//! Which Redis process may speak.
//!
//! Owns the `live_store` table: at most one current process for each slot of a cluster, or one for everything, and
//! every process that ever was. A process that was retired stays so for ever: what it holds is a past that missed
//! revocations. A node of a cluster may come back when it serves other slots, or the same under a later epoch, and
//! then under a new stamp: nothing that it held before is believed.

use std::time::Duration;

use diesel::prelude::*;

use super::db::{Db, now_ms};
use super::error::LedgerError;
use super::schema::live_store;
use super::timeline;
use crate::domain::{Process, Shard, Slots, Stamp};

/// What the ledger says to a process that asks to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// It is the current one, under this stamp.
    Current(Stamp),
    /// It was retired, and stays so.
    Retired,
    /// Its cluster has given what it claims to another node that is current.
    Outranked,
    /// The ledger is in another place than where its history was begun, or is refused: nobody may speak for now.
    Unsettled,
}

/// A current process.
#[derive(Queryable)]
struct Row {
    stamp: Vec<u8>,
    run_id: String,
    replid: String,
    database: i64,
    prefix: String,
    node: String,
    shard: String,
    epoch: i64,
}

/// Looks a process up; an unknown one becomes the current one under `fresh` and retires its predecessor: in a
/// cluster whichever claims any of its slots, and otherwise all. In a write transaction.
pub fn enroll(db: &mut Db, process: &Process, fresh: Stamp) -> Result<Enrolment, LedgerError> {
    serialise(db)?;
    let settled = timeline::settled(db)?;
    let current: Vec<Row> = live_store::table
        .filter(live_store::retired_at.is_null())
        .select((
            live_store::stamp,
            live_store::run_id,
            live_store::replid,
            live_store::database,
            live_store::prefix,
            live_store::node,
            live_store::shard,
            live_store::epoch,
        ))
        .load(db)?;
    if let Some(own) = current.iter().find(|row| settled && row.is(process) && row.covers(process)) {
        narrow(db, own, process)?;
        return Ok(Enrolment::Current(read(&own.stamp)?));
    }
    if was_retired(db, process)? {
        return Ok(Enrolment::Retired);
    }
    if !settled {
        return Ok(Enrolment::Unsettled);
    }
    let rivals: Vec<&Row> = current.iter().filter(|row| row.is(process) || row.rivals(process)).collect();
    if rivals.iter().any(|row| row.outranks(process)) {
        return Ok(Enrolment::Outranked);
    }
    retire(db, rivals.iter().map(|row| row.stamp.clone()).collect())?;
    insert(db, process, fresh)?;
    Ok(Enrolment::Current(fresh))
}

/// What a ledger that is refused says to a process: it may not speak, or nothing.
pub fn refused(db: &mut Db, process: &Process) -> Result<Enrolment, LedgerError> {
    Ok(if was_retired(db, process)? { Enrolment::Retired } else { Enrolment::Unsettled })
}

impl Row {
    fn is(&self, process: &Process) -> bool {
        let Process { run_id, replid, database, prefix, .. } = process;
        (&self.run_id, &self.replid, &self.database, &self.prefix) == (run_id, replid, database, prefix)
    }

    /// None: it serves everything. What cannot be read might be everything, too.
    fn slots(&self) -> Option<Slots> {
        Slots::parse(&self.shard).filter(|slots| !slots.is_empty())
    }

    /// Whether it was enrolled for all that the process serves now.
    fn covers(&self, process: &Process) -> bool {
        match (self.slots(), &process.shard) {
            (None, None) => true,
            (Some(slots), Some(shard)) => shard.slots.within(&slots) && shard.epoch >= self.epoch,
            _ => false,
        }
    }

    /// Whether both claim to serve the same.
    fn rivals(&self, process: &Process) -> bool {
        match (self.slots(), &process.shard) {
            (Some(slots), Some(shard)) => slots.overlaps(&shard.slots),
            _ => true,
        }
    }

    /// Whether the cluster of both has decided for this one: an old master that was cut off does not know it yet.
    fn outranks(&self, process: &Process) -> bool {
        let Some(shard) = &process.shard else { return false };
        self.slots().is_some() && self.epoch > shard.epoch && shard.peers.contains(&self.node)
    }
}

/// What a process claims, as it is written down: node, slots, epoch.
fn claim(process: &Process) -> (&str, String, i64) {
    match &process.shard {
        Some(Shard { node, slots, epoch, .. }) => (node, slots.to_string(), *epoch),
        None => ("", String::new(), 0),
    }
}

/// A process that serves less than before keeps its stamp: what it lost, it does not answer for.
fn narrow(db: &mut Db, own: &Row, process: &Process) -> Result<(), LedgerError> {
    let (node, shard, epoch) = claim(process);
    if (node, shard.as_str(), epoch) == (own.node.as_str(), own.shard.as_str(), own.epoch) {
        return Ok(());
    }
    let row = live_store::table.filter(live_store::stamp.eq(&own.stamp));
    diesel::update(row).set((live_store::shard.eq(shard), live_store::epoch.eq(epoch))).execute(db)?;
    Ok(())
}

/// Whether it was retired with the very claim that it makes now.
fn was_retired(db: &mut Db, process: &Process) -> Result<bool, LedgerError> {
    let (_, shard, epoch) = claim(process);
    let same: Option<Vec<u8>> = live_store::table
        .filter(live_store::retired_at.is_not_null())
        .filter(live_store::run_id.eq(&process.run_id))
        .filter(live_store::replid.eq(&process.replid))
        .filter(live_store::database.eq(process.database))
        .filter(live_store::prefix.eq(&process.prefix))
        .filter(live_store::shard.eq(shard))
        .filter(live_store::epoch.eq(epoch))
        .select(live_store::stamp)
        .first(db)
        .optional()?;
    Ok(same.is_some())
}

fn retire(db: &mut Db, stamps: Vec<Vec<u8>>) -> Result<(), LedgerError> {
    let now = now_ms(db)?;
    for stamp in stamps {
        let row = live_store::table.filter(live_store::stamp.eq(stamp));
        diesel::update(row).set(live_store::retired_at.eq(Some(now))).execute(db)?;
    }
    Ok(())
}

/// Retires whichever processes are current: the deployment goes on without Redis. In a write transaction.
pub fn retire_current(db: &mut Db) -> Result<bool, LedgerError> {
    let now = now_ms(db)?;
    let current = live_store::table.filter(live_store::retired_at.is_null());
    Ok(diesel::update(current).set(live_store::retired_at.eq(Some(now))).execute(db)? > 0)
}

/// Retires every stamp that is current, and none of the processes: what any of them holds under it is a past that is
/// given up, and each may come back under a new one. Whether there was any. In a write transaction.
///
/// The rows stay, so that whoever confirms a revocation waits for nodes that still believe one of these stamps; without
/// a name, so that they are no process's.
pub fn retire_stamps(db: &mut Db) -> Result<bool, LedgerError> {
    serialise(db)?;
    let now = now_ms(db)?;
    let current = diesel::update(live_store::table.filter(live_store::retired_at.is_null()));
    let nameless = (live_store::run_id.eq(""), live_store::replid.eq(""), live_store::retired_at.eq(Some(now)));
    Ok(current.set(nameless).execute(db)? > 0)
}

fn insert(db: &mut Db, process: &Process, stamp: Stamp) -> Result<(), LedgerError> {
    let (node, shard, epoch) = claim(process);
    let row = (
        live_store::stamp.eq(stamp.as_bytes().to_vec()),
        live_store::run_id.eq(&process.run_id),
        live_store::replid.eq(&process.replid),
        live_store::database.eq(process.database),
        live_store::prefix.eq(&process.prefix),
        live_store::node.eq(node),
        live_store::shard.eq(shard),
        live_store::epoch.eq(epoch),
        live_store::enrolled_at.eq(now_ms(db)?),
    );
    diesel::insert_into(live_store::table).values(row).execute(db)?;
    Ok(())
}

/// Two nodes that meet a new process at once must agree on its stamp. SQLite's write lock sees to that.
fn serialise(db: &mut Db) -> Result<(), LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            diesel::sql_query("LOCK TABLE live_store IN SHARE ROW EXCLUSIVE MODE").execute(c)?;
        }
        Db::Sqlite(_) => {}
    }
    Ok(())
}

/// The stamps that may be believed: none where the ledger is in another place than where they were given.
pub fn current(db: &mut Db) -> Result<Vec<Stamp>, LedgerError> {
    if timeline::settled(db)? { enrolled(db) } else { Ok(Vec::new()) }
}

/// The stamps that nobody has retired.
fn enrolled(db: &mut Db) -> Result<Vec<Stamp>, LedgerError> {
    let rows = live_store::table.filter(live_store::retired_at.is_null()).select(live_store::stamp);
    rows.load::<Vec<u8>>(db)?.iter().map(|bytes| read(bytes)).collect()
}

/// How things are with the processes that something was deleted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceStatus {
    /// They may speak, and none was ever retired.
    Always,
    /// They may speak, but some were retired. The moment of the last time was noted before that retirement was
    /// committed: a node may have read the past for a little longer.
    Since {
        /// How many were retired so far: another number, another retirement.
        retired: i64,
        /// How long ago the last one was, by the database's clock.
        ago: Duration,
    },
    /// Another one may speak, or none before a history of the ledger begins here.
    Superseded,
}

/// Judges the processes of `stamps` (none: there is no Redis) as those that something was deleted from.
pub fn status(db: &mut Db, stamps: &[Stamp]) -> Result<FenceStatus, LedgerError> {
    let enrolled = enrolled(db)?;
    let all_current = stamps.iter().all(|stamp| enrolled.contains(stamp));
    if !all_current || stamps.is_empty() != enrolled.is_empty() || !(enrolled.is_empty() || timeline::settled(db)?) {
        return Ok(FenceStatus::Superseded);
    }
    let retired = live_store::table.filter(live_store::retired_at.is_not_null());
    let (count, last): (i64, Option<i64>) =
        retired.select((diesel::dsl::count_star(), diesel::dsl::max(live_store::retired_at))).get_result(db)?;
    let Some(last) = last else { return Ok(FenceStatus::Always) };
    let ago = Duration::from_millis(u64::try_from(now_ms(db)?.saturating_sub(last)).unwrap_or(0));
    Ok(FenceStatus::Since { retired: count, ago })
}

fn read(bytes: &[u8]) -> Result<Stamp, LedgerError> {
    Stamp::from_slice(bytes).ok_or_else(|| LedgerError::Corrupt("a stamp that is not eight bytes".to_owned()))
}
