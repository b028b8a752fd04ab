//! What the near cache remembers: the nodes with their leases, copies and fills, their rows in SQL, the records in
//! Redis, and one revocation.
//!
//! Owns the state and its small vocabulary. Must never decide a step. Rounds are kept as what they are in relation to
//! the round that the revocation saw in a row, and a lease as whether it still runs: so nothing is counted, and the
//! model has no last moment.

use std::array::from_fn;

use super::guards::NearCacheGuards;
use super::protocol::Bounds;

/// Most nodes.
pub const NODES: usize = 2;
/// Most fills of one node at once.
pub const FILLS: usize = 2;
/// Most renewals of one node that were given up and may still arrive.
pub const GIVEN_UP: usize = 2;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The revocation runs on this node.
    pub own: bool,
    /// The server whose lease runs here.
    pub lease: Option<Server>,
    /// Whether that lease allows copies. The ledger may be asked without.
    pub copies: bool,
    /// The server whose lease was the last one: connections lead there. None: there was no lease yet.
    pub leased: Option<Server>,
    /// A copy whose mark and epoch stand, and the Redis that it was read from.
    pub copy: Option<Redis>,
    pub fills: [Fill; FILLS],
    pub renewal: Renewal,
    /// The older one first.
    pub given_up: [Option<GivenUp>; GIVEN_UP],
    /// What SQL says, or the new primary, if there is one.
    pub row: Row,
    /// Whether the node knows of a row of its own.
    pub added: bool,
    /// The last round that was applied is above the one that the revocation saw.
    pub applied: bool,
    pub awaited: Awaited,
    /// Renewals that were committed since the holders were read, two at most: only without the applied round.
    pub commits: u8,
    /// The row on the old primary allows copies.
    pub frozen: bool,
    pub trust: Trust,
}

/// A request that asks Redis, and perhaps the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fill {
    None,
    /// The mark and the epoch are noted; the record is not read yet.
    Begun,
    /// This Redis said yes: a copy is to be kept.
    Shown(Redis),
    /// Its nonce stands in the record's place.
    Taken(Redis),
    /// It has a connection to this server.
    Lent(Redis, Server),
    /// The ledger said yes: the record is to be put.
    Yes(Redis),
}

/// An attempt to renew, from its commit on. One that does not commit does nothing; one that is given up first is a
/// [`GivenUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Renewal {
    None,
    /// What is pending was read before the commit: only without the guard.
    Early {
        seen: bool,
    },
    Committed(Terms),
    /// What is pending was read.
    Read(Terms, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    pub server: Server,
    /// Whether it allows copies, and the node had not to stop since.
    pub grants: bool,
    /// Its round is above the one that the revocation saw.
    pub newer: bool,
    /// The row was not over: only where the row judges a lapse.
    pub kept: bool,
}

/// A renewal that its node has given up, and that may still be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GivenUp {
    pub copies: bool,
    /// It says that a round above the one that the revocation saw was applied.
    pub says: bool,
    /// A later one was committed: only without the order of rounds.
    pub overtaken: bool,
    /// Its round is below the one that the revocation saw.
    pub behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    pub is_there: bool,
    pub copies: bool,
    /// It has not stood still for a lease.
    pub moves: bool,
    /// Its round is above the one that the revocation saw.
    pub newer: bool,
    /// It says that such a round was applied.
    pub says: bool,
    /// Its round is below one that the node has applied or waits for: a failover lost the later ones.
    pub is_back: bool,
}

impl Row {
    pub const NONE: Self =
        Self { is_there: false, copies: false, moves: false, newer: false, says: false, is_back: false };

    /// What makes a node a holder.
    pub fn allows_copies(self) -> bool {
        self.is_there && self.copies && self.moves
    }
}

/// Whether the revocation waits for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Awaited {
    No,
    /// The message is on its way, or lost.
    Yes,
    /// The acknowledgement is on its way, or lost.
    Acknowledged,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revocation {
    pub stage: Stage,
    /// Where it was committed.
    pub committed: Server,
    /// Where it reads.
    pub reads: Server,
    /// The pending invalidation was removed by somebody who waits for nobody.
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

impl Node {
    pub const FRESH: Self = Self {
        own: false,
        lease: None,
        copies: false,
        leased: Some(Server::Old),
        copy: None,
        fills: [Fill::None; FILLS],
        renewal: Renewal::None,
        given_up: [None; GIVEN_UP],
        row: Row::NONE,
        added: false,
        applied: false,
        awaited: Awaited::No,
        commits: 0,
        frozen: false,
        trust: Trust::Old,
    };

    /// A new mark, or a new epoch: no copy counts, and no fill that has begun keeps one.
    pub fn void(&mut self, guards: &NearCacheGuards) {
        self.copy = None;
        if guards.mark_before_read {
            let keeps = |fill: &Fill| matches!(fill, Fill::Begun | Fill::Shown(_));
            self.fills.iter_mut().filter(|fill| keeps(fill)).for_each(|fill| *fill = Fill::None);
        }
    }

    /// `NodeLease::stop_copies`.
    pub fn stop_copies(&mut self, guards: &NearCacheGuards) {
        self.copies = false;
        self.void(guards);
        if let Renewal::Committed(terms) | Renewal::Read(terms, _) = &mut self.renewal {
            terms.grants = false;
        }
    }

    /// Its time is up on the node's stopwatch.
    pub fn end_lease(&mut self, guards: &NearCacheGuards) {
        (self.lease, self.copies) = (None, false);
        // The next grant begins an epoch, and until then no copy is used: so now is the same.
        if guards.lapse_where_applied {
            self.void(guards);
        }
    }

    /// A renewal of this server is under way and in time.
    pub fn renews_at(&self, server: Server) -> bool {
        matches!(self.renewal, Renewal::Committed(terms) | Renewal::Read(terms, _) if terms.server == server)
    }

    /// The Redis that it reads.
    pub fn redis(&self) -> Redis {
        if self.trust == Trust::New { Redis::New } else { Redis::Old }
    }

    /// The nonce of this fill is gone.
    pub fn lose_nonces(&mut self, redis: Redis) {
        self.fills.iter_mut().filter(|fill| fill.nonce() == Some(redis)).for_each(|fill| *fill = Fill::None);
    }

    fn forget_rounds(&mut self) {
        (self.row.newer, self.row.says, self.applied, self.commits) = (false, false, false, 0);
        if let Renewal::Committed(terms) | Renewal::Read(terms, _) = &mut self.renewal {
            terms.newer = false;
        }
        self.given_up.iter_mut().flatten().for_each(|it| (it.says, it.behind) = (false, false));
    }
}

impl Fill {
    /// Where its nonce stands.
    pub fn nonce(self) -> Option<Redis> {
        match self {
            Self::Taken(redis) | Self::Lent(redis, _) | Self::Yes(redis) => Some(redis),
            Self::None | Self::Begun | Self::Shown(_) => None,
        }
    }
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
                // Nobody reads the rows any more.
                (node.own, node.added) = (false, true);
                node.row = Row { is_there: true, ..Row::NONE };
                node.given_up = [None; GIVEN_UP];
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
