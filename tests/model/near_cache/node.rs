//! What a node of the near cache remembers, and what SQL says of it.
//!
//! Owns the node's small vocabulary. Must never decide a step. Rounds are kept as what they are in relation to the round
//! that the revocation saw in a row, and a lease as whether it still runs: so nothing is counted, and the model has no
//! last moment.

use super::guards::NearCacheGuards;
use super::state::{Redis, Server, Trust};

/// Most fills of one node at once.
pub const FILLS: usize = 2;
/// Most renewals of one node that were given up and may still arrive.
pub const GIVEN_UP: usize = 2;

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

/// An attempt to renew. One that is given up before its commit is a [`GivenUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Renewal {
    None,
    /// Asked for: only with slow commits. Before its commit, a renewal changes nothing that others can see.
    Asked {
        copies: bool,
        /// The node had not to stop since.
        grants: bool,
        /// What it says was applied is above the round that the revocation saw.
        says: bool,
    },
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
        match &mut self.renewal {
            Renewal::Asked { grants, .. } => *grants = false,
            Renewal::Committed(terms) | Renewal::Read(terms, _) => terms.grants = false,
            Renewal::None | Renewal::Early { .. } => {}
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

    /// Nothing depends on the rounds now.
    pub fn forget_rounds(&mut self) {
        self.see_round(false);
        self.given_up.iter_mut().flatten().for_each(|it| it.behind = false);
    }

    /// The revocation sees the round of the row. What the node knows of is above it only if the row went back.
    pub fn see_round(&mut self, is_back: bool) {
        (self.row.newer, self.row.says, self.applied, self.commits) = (false, false, is_back, 0);
        match &mut self.renewal {
            Renewal::Asked { says, .. } => *says = is_back,
            Renewal::Committed(terms) | Renewal::Read(terms, _) => terms.newer = is_back,
            Renewal::None | Renewal::Early { .. } => {}
        }
        self.given_up.iter_mut().flatten().for_each(|it| (it.says, it.behind) = (is_back, it.overtaken));
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
