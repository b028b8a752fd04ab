//! The identity of a Redis process.
//!
//! Owns [`Process`], the identity that live and ledger use. Must never derive it from an address: another process may
//! answer there tomorrow.

use super::Slots;

/// A Redis process, and the part of it that sessiond uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Redis' `run_id`: changes when the process restarts.
    pub run_id: String,
    /// Redis' `master_replid`: changes when a replica becomes a master.
    pub replid: String,
    /// The number of the database in use.
    pub database: i64,
    /// What our keys start with.
    pub prefix: String,
    /// Its part of a Redis Cluster; `None`: not a cluster node, so it serves everything.
    pub shard: Option<Shard>,
}

/// The part of a Redis Cluster that a node says it serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Its name in the cluster.
    pub node: String,
    /// The names of all other nodes that it knows.
    pub peers: Vec<String>,
    /// The slots that it serves.
    pub slots: Slots,
    /// Its configuration epoch: of two nodes that claim one slot, the one with the higher epoch owns it.
    pub epoch: i64,
}
