//! What the near cache remembers: the nodes, the records in Redis, the two database servers, and one revocation.
//!
//! Owns the state. Must never decide a step, and never take two states for one that can go on differently.

use std::array::from_fn;

use super::guards::NearCacheGuards;
use super::node::{Awaited, Node, Row};
use super::protocol::Bounds;

/// Most nodes.
pub const NODES: usize = 2;

/// All of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub nodes: [Node; NODES],
    /// Whether the record says yes, in each Redis.
    pub records: [bool; 2],
    pub revocation: Revocation,
    /// Whether the standby was promoted. The old primary lives on and commits nothing more.
    pub failed_over: bool,
    /// The server where it was recorded that another Redis may speak.
    pub switched: Option<Server>,
}

/// A database server: the primary of the beginning, or the standby that was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    Old,
    New,
}

/// A Redis process: that of the beginning, or the one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Redis {
    Old,
    New,
}

/// Which Redis process a node trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// The old one, by a reading from before the switch.
    Old,
    /// The old one, because the old primary says so: it does not know of the switch.
    ByOldPrimary,
    New,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revocation {
    pub stage: Stage,
    /// Where it was committed.
    pub committed: Server,
    /// Where it reads.
    pub reads: Server,
    /// The pending invalidation was removed by a program that does not wait for the holders.
    pub swept: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Idle,
    /// Committed: ended, and an invalidation is pending.
    Pending,
    /// The server was watched for a lease.
    Watched,
    /// The record is deleted.
    Deleted,
    /// The holders are read; the lease of a Redis that was replaced was not over.
    Read,
    /// The holders are asked.
    Waiting,
    /// Answered with a 2xx.
    Told,
}

impl State {
    /// One Redis with the record, and this many nodes that have just started.
    pub fn start(nodes: usize) -> Self {
        let revocation = Revocation { stage: Stage::Idle, committed: Server::Old, reads: Server::Old, swept: false };
        let nowhere = Node { trust: Trust::New, ..Node::FRESH };
        let nodes = from_fn(|node| if node < nodes { Node::FRESH } else { nowhere });
        Self { nodes, records: [true, false], revocation, failed_over: false, switched: None }
    }

    /// The server that commits.
    pub fn primary(&self) -> Server {
        if self.failed_over { Server::New } else { Server::Old }
    }

    /// The servers that answer.
    pub fn servers(&self) -> &'static [Server] {
        if self.failed_over { &[Server::Old, Server::New] } else { &[Server::Old] }
    }

    /// The Redis that may speak.
    pub fn current_redis(&self) -> Redis {
        if self.switched.is_some() { Redis::New } else { Redis::Old }
    }

    fn knows_of_the_end(&self, server: Server) -> bool {
        self.revocation.stage > Stage::Idle && self.revocation.committed <= server
    }

    /// What `sessions::find_live` finds there.
    pub fn is_live(&self, server: Server) -> bool {
        !self.knows_of_the_end(server)
    }

    /// The table `pending_invalidations` there.
    pub fn is_pending(&self, server: Server) -> bool {
        self.knows_of_the_end(server) && self.revocation.stage < Stage::Told && !self.revocation.swept
    }

    /// No lease of an earlier server is left, nor what ends with it.
    pub fn is_watched(&self, server: Server, guards: &NearCacheGuards) -> bool {
        let left = |node: &Node| {
            let trusts = guards.store_lease_within && node.trust == Trust::ByOldPrimary;
            trusts || node.lease == Some(Server::Old) || node.renews_at(Server::Old)
        };
        server == Server::Old || !self.nodes.iter().any(left)
    }

    /// A revocation that has read the old primary can do nothing but start over: nothing is removed there any more.
    fn give_up_on_the_old_primary(&mut self, guards: &NearCacheGuards) {
        let reads_old = self.revocation.reads < self.primary() && self.revocation.stage < Stage::Told;
        let watched_first = guards.watched_server && guards.watched_before_del && guards.one_server;
        if reads_old && watched_first && guards.removed_where_read {
            self.start_over();
        }
    }

    /// The revocation begins again after its commit, on the same node or on another one.
    pub fn start_over(&mut self) {
        self.revocation.stage = self.revocation.stage.min(Stage::Pending);
        self.nodes.iter_mut().for_each(|node| node.awaited = Awaited::No);
    }

    /// States that differ only in what cannot matter are the same.
    pub fn normalise(&mut self, bounds: &Bounds, guards: &NearCacheGuards) {
        self.give_up_on_the_old_primary(guards);
        let Revocation { stage, reads, .. } = self.revocation;
        let asks_rounds = matches!(stage, Stage::Read | Stage::Waiting) && reads == self.primary();
        let asks_frozen = !guards.removed_where_read && stage < Stage::Read;
        if stage < Stage::Watched || stage == Stage::Told {
            self.revocation.reads = Server::Old;
        }
        for node in &mut self.nodes {
            if stage == Stage::Told {
                // No row is read any more.
                (node.own, node.added) = (false, true);
                node.row = Row { is_there: true, ..Row::NONE };
                node.given_up = Default::default();
            }
            if !asks_rounds || node.awaited == Awaited::No {
                node.forget_rounds();
            }
            node.frozen &= asks_frozen;
            if !bounds.failover {
                node.leased = Some(Server::Old);
                node.lease = node.lease.filter(|_| node.copies);
            }
            node.fills.sort_unstable();
        }
        if !bounds.named {
            self.nodes[..bounds.nodes].sort_unstable();
        }
    }
}
