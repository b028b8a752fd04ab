//! What makes a Redis process this one and no other.
//!
//! Owns [`Process`], the name that live and ledger use for it. Must never be told from an address: another process
//! may answer there tomorrow.

use super::Slots;

/// A Redis process, and the part of it that is ours.
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
    /// What it serves of a Redis Cluster; none: it is no node of one, and serves everything.
    pub shard: Option<Shard>,
}

/// What a node of a Redis Cluster says that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Its name in the cluster.
    pub node: String,
    /// The names of all other nodes that it knows of.
    pub peers: Vec<String>,
    /// The slots that it serves.
    pub slots: Slots,
    /// Its configuration epoch: of two nodes that claim one slot, the one with the higher epoch has it.
    pub epoch: i64,
}
