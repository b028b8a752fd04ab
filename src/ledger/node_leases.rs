//! Node leases: which nodes may answer from the ledger and from copies.
//!
//! Owns the `node_leases` table. A renewal is one statement that commits by itself; what it entitles to is read in a
//! later statement, so that the reading sees every revocation that was committed before the renewal. Must never compare
//! a time of the database: watchers use their own stopwatch.

use std::time::Duration;

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::{lineage, node_leases};
use super::timeline;

/// One node's lease, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct NodeLease {
    /// Its name: random, new with each start.
    pub name: String,
    /// Numbers the attempts to renew.
    pub round: i64,
    /// The last round whose reading the node has applied.
    pub applied: i64,
    /// Whether the node may answer from copies in its memory.
    pub copies: bool,
    lease_ms: i64,
}

impl NodeLease {
    /// A lease of this length.
    pub fn new(name: String, round: i64, applied: i64, copies: bool, length: Duration) -> Self {
        Self { name, round, applied, copies, lease_ms: i64::try_from(length.as_millis()).unwrap_or(i64::MAX) }
    }

    /// How long its row must stand still before the lease is over.
    pub fn length(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.lease_ms).unwrap_or(0))
    }
}

/// The leases, and the server that showed them.
#[derive(Clone, Debug)]
pub struct LeaseReading {
    /// The server ([`timeline::server`]).
    pub server: String,
    /// Whether some node has watched this very server for as long as a lease.
    pub watched: bool,
    /// Every row, this node's own too.
    pub leases: Vec<NodeLease>,
}

/// Renews a lease. False when there is no such row, or a later attempt was faster: an attempt that was given up and
/// arrives late changes nothing.
pub fn renew(db: &mut Db, lease: &NodeLease) -> Result<bool, LedgerError> {
    let row = node_leases::table.find(&lease.name).filter(node_leases::round.lt(lease.round));
    let renewed = diesel::update(row)
        .set((
            node_leases::round.eq(lease.round),
            node_leases::applied.eq(lease.applied),
            node_leases::copies.eq(lease.copies),
        ))
        .execute(db)?;
    Ok(renewed == 1)
}

/// Adds the first lease of a name, or renews it if an attempt that seemed to fail has added it.
pub fn add(db: &mut Db, lease: &NodeLease) -> Result<bool, LedgerError> {
    if renew(db, lease)? {
        return Ok(true);
    }
    let row = (
        node_leases::name.eq(&lease.name),
        node_leases::round.eq(lease.round),
        node_leases::applied.eq(lease.applied),
        node_leases::copies.eq(lease.copies),
        node_leases::lease_ms.eq(lease.lease_ms),
    );
    let added = each!(db, c => {
        diesel::insert_into(node_leases::table).values(row).on_conflict(node_leases::name).do_nothing().execute(c)
    })?;
    Ok(added == 1)
}

/// Reads all leases.
pub fn read(db: &mut Db) -> Result<LeaseReading, LedgerError> {
    let server = timeline::server(db)?;
    let watched: Option<String> = lineage::table.select(lineage::watched).get_result(db).optional()?;
    let leases = node_leases::table.order(node_leases::name).load(db)?;
    Ok(LeaseReading { watched: watched.as_ref() == Some(&server), server, leases })
}

/// Whether this connection leads to the server of a reading: what was judged there is true of no other.
pub fn is_at(db: &mut Db, server: &str) -> Result<bool, LedgerError> {
    Ok(timeline::server(db)? == server)
}

/// Deletes a lease that stood still, unless it was renewed since it was read.
pub fn remove(db: &mut Db, lease: &NodeLease) -> Result<(), LedgerError> {
    let row = node_leases::table.find(&lease.name).filter(node_leases::round.eq(lease.round));
    diesel::delete(row).execute(db)?;
    Ok(())
}

/// Deletes the lease of a node that has stopped to use it.
pub fn leave(db: &mut Db, name: &str) -> Result<(), LedgerError> {
    diesel::delete(node_leases::table.find(name)).execute(db)?;
    Ok(())
}

/// Records that this server was watched for as long as a lease.
pub fn note_watched(db: &mut Db, server: &str) -> Result<(), LedgerError> {
    // The claim is true of this server alone.
    if is_at(db, server)? {
        diesel::update(lineage::table).set(lineage::watched.eq(server)).execute(db)?;
    }
    Ok(())
}
