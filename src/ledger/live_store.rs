//! Live store: which Redis process nodes may trust.
//!
//! Owns the `live_store` table: at most one current process for each slot of a cluster, or one for everything, and
//! every process that ever was. A retired process stays retired: it holds a past that missed revocations. A cluster
//! node may return when it serves other slots, or the same ones under a later epoch, and then under a new stamp:
//! nothing that it held before is trusted.

use std::time::Duration;

use diesel::prelude::*;

use super::db::{Db, now_ms};
use super::error::LedgerError;
use super::schema::live_store;
use super::timeline;
use crate::domain::{Process, Shard, Slots, Stamp};

/// The ledger's answer to a process that wants to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// It is the current one, with this stamp.
    Current(Stamp),
    /// It was retired, and stays retired.
    Retired,
    /// Its cluster has given its slots to another current node.
    Outranked,
    /// The ledger is not where its history began, or is refused: no process may be trusted for now.
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

/// Looks up a process. An unknown one becomes the current one under `fresh` and retires its predecessor: in a cluster
/// the processes that claim any of its slots, otherwise all. Call it in a write transaction.
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

/// The answer of a refused ledger: the process is retired, or nothing is known.
pub fn refused(db: &mut Db, process: &Process) -> Result<Enrolment, LedgerError> {
    Ok(if was_retired(db, process)? { Enrolment::Retired } else { Enrolment::Unsettled })
}

impl Row {
    fn is(&self, process: &Process) -> bool {
        let Process { run_id, replid, database, prefix, .. } = process;
        (&self.run_id, &self.replid, &self.database, &self.prefix) == (run_id, replid, database, prefix)
    }

    /// None: it serves everything. An unreadable value might mean everything, too.
    fn slots(&self) -> Option<Slots> {
        Slots::parse(&self.shard).filter(|slots| !slots.is_empty())
    }

    /// Whether it was enrolled for everything that the process serves now.
    fn covers(&self, process: &Process) -> bool {
        match (self.slots(), &process.shard) {
            (None, None) => true,
            (Some(slots), Some(shard)) => shard.slots.within(&slots) && shard.epoch >= self.epoch,
            _ => false,
        }
    }

    /// Whether both claim the same slots.
    fn rivals(&self, process: &Process) -> bool {
        match (self.slots(), &process.shard) {
            (Some(slots), Some(shard)) => slots.overlaps(&shard.slots),
            _ => true,
        }
    }

    /// Whether their cluster has decided for this row: an old master that was cut off does not know that yet.
    fn outranks(&self, process: &Process) -> bool {
        let Some(shard) = &process.shard else { return false };
        self.slots().is_some() && self.epoch > shard.epoch && shard.peers.contains(&self.node)
    }
}

/// A process' claim as stored: node, slots, epoch.
fn claim(process: &Process) -> (&str, String, i64) {
    match &process.shard {
        Some(Shard { node, slots, epoch, .. }) => (node, slots.to_string(), *epoch),
        None => ("", String::new(), 0),
    }
}

/// A process that serves fewer slots than before keeps its stamp, narrowed to those slots.
fn narrow(db: &mut Db, own: &Row, process: &Process) -> Result<(), LedgerError> {
    let (node, shard, epoch) = claim(process);
    if (node, shard.as_str(), epoch) == (own.node.as_str(), own.shard.as_str(), own.epoch) {
        return Ok(());
    }
    let row = live_store::table.filter(live_store::stamp.eq(&own.stamp));
    diesel::update(row).set((live_store::shard.eq(shard), live_store::epoch.eq(epoch))).execute(db)?;
    Ok(())
}

/// Whether it was retired with exactly its present claim.
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

/// Retires all current processes: the deployment goes on without Redis. Call it in a write transaction.
pub fn retire_current(db: &mut Db) -> Result<bool, LedgerError> {
    let now = now_ms(db)?;
    let current = live_store::table.filter(live_store::retired_at.is_null());
    Ok(diesel::update(current).set(live_store::retired_at.eq(Some(now))).execute(db)? > 0)
}

/// Retires every current stamp, but no process: the records under the stamp are given up, and each process may return
/// with a new one. Returns whether there was any. Call it in a write transaction.
///
/// The rows stay, so that a confirmation waits for nodes that still trust one of these stamps; they lose their names,
/// so that they belong to no process.
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

/// Two nodes that meet a new process at once must agree on its stamp. SQLite's write lock ensures that.
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

/// The stamps that may be trusted: none where the ledger is not where they were given.
pub fn current(db: &mut Db) -> Result<Vec<Stamp>, LedgerError> {
    if timeline::settled(db)? { enrolled(db) } else { Ok(Vec::new()) }
}

/// The stamps that are not retired.
fn enrolled(db: &mut Db) -> Result<Vec<Stamp>, LedgerError> {
    let rows = live_store::table.filter(live_store::retired_at.is_null()).select(live_store::stamp);
    rows.load::<Vec<u8>>(db)?.iter().map(|bytes| read(bytes)).collect()
}

/// The state of the processes that records were deleted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceStatus {
    /// They are current, and none was ever retired.
    Always,
    /// They are current, but others were retired. The time of the last retirement was stored before its commit: a node
    /// may have read the earlier state a little longer.
    Since {
        /// The number of retirements so far: another number means another retirement.
        retired: i64,
        /// How long ago the last one was, by the database's clock.
        ago: Duration,
    },
    /// Another process may be trusted, or none until the ledger begins a history here.
    Superseded,
}

/// Judges the processes of `stamps` (empty: there is no Redis) that records were deleted from.
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
