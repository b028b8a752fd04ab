//! What the protocol remembers: the ledger, the Redis processes, the nodes and what they are in the middle of.
//!
//! Owns the state and its small vocabulary. Must never decide a step. Time is one lease long: whatever was begun
//! before a tick is over after the next one, and nothing is counted, so that the model has no last moment.

use std::array::from_fn;

/// Nodes that serve. One more participant, [`COMMAND_LINE`], knows the ledger only.
pub const NODES: usize = 2;
/// `sessiond sessions revoke`: it has no Redis and waits until a node has invalidated.
pub const COMMAND_LINE: usize = NODES;
/// One of the nodes, no matter which.
pub const ANY: u8 = 9;
/// Most tokens of the one session: each renewal takes the next.
pub const TOKENS: usize = 3;
/// Most Redis processes, in the order of their birth.
pub const PROCESSES: usize = 3;
/// Fills, and revocations and the like, that can be in the middle at once.
pub const SLOTS: usize = 2;

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub ledger: Ledger,
    pub redis: [Redis; PROCESSES],
    /// How many processes there have been.
    pub born: u8,
    /// What a snapshot or a replica holds.
    pub copy: Option<[Cell; TOKENS]>,
    /// Each node's connections, and whether it trusts what they say.
    pub links: [[Link; PROCESSES]; NODES],
    pub flights: [Option<Flight>; SLOTS],
    pub jobs: [Option<Job>; SLOTS],
    /// A last-seen time on its way to a record that was read there.
    pub touch: Option<(u8, u8)>,
    /// Tokens of which somebody was told, with a 2xx, that they open nothing any more.
    pub dead: [bool; TOKENS],
    pub broken: Option<Promise>,
    pub left: Budget,
}

/// SQL. Every change is one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ledger {
    pub signed_in: bool,
    pub ended: bool,
    /// The token that opens the session; the one before it is the previous one.
    pub current: u8,
    /// The table `pending_invalidations`.
    pub pending: [bool; TOKENS],
    /// Which invalidation of a token is the latest.
    pub number: [u8; TOKENS],
    /// The table `live_store`.
    pub live_store: [ProcessState; PROCESSES],
    /// A transaction that enrols a process and is not committed; how old is the time that it has noted.
    pub enrolling: Option<Enrolling>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Enrolling {
    pub node: u8,
    pub process: u8,
    pub age: Age,
}

/// Whether a lease has passed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Age {
    Fresh,
    Old,
}

/// What `live_store` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessState {
    Unknown,
    Current,
    Retired(Age),
    /// Retired by a transaction; nobody has noted yet that it could be seen.
    Undated,
}

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redis {
    pub up: bool,
    pub cells: [Cell; TOKENS],
}

/// What stands in the place of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    Nothing,
    /// The lease of the fill in this slot.
    Lease(u8),
    /// The lease of a fill that is over.
    OldLease,
    /// A record with the stamp of this process.
    Record(u8),
}

/// One node's connection to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    None,
    /// Enrolled, but its lease is over.
    Connected,
    Trusted,
}

/// A fill: the request that asks, and all who have joined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flight {
    pub node: u8,
    pub token: u8,
    pub leg: Leg,
    /// Where its lease was taken, and its record has not been put yet.
    pub lease: Option<u8>,
    /// Somebody on board started after the token's death was told.
    pub late: bool,
}

/// How far a fill has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// `take` was executed; its answer is on its way.
    Taken,
    /// `take` met a record that can be trusted.
    Shown,
    /// The ledger was read.
    Read { alive: bool },
    /// Everybody has been answered; the put is still on its way.
    Stray,
}

/// A change that ends records: from its transaction to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    pub node: u8,
    pub kind: Kind,
    /// The records to delete, and which invalidations of them were seen.
    pub records: [bool; TOKENS],
    pub numbers: [u8; TOKENS],
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A revocation: what it is answered for are all tokens of the session.
    End,
    /// A renewal: what it is answered for is the token before.
    Renew,
    /// The first data of a session: its record is outdated.
    StoreData,
    Sweep,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Committed; nothing deleted, or to be deleted once more.
    Pending,
    /// Deleted from this process.
    Deleted(u8),
    Settled,
    Superseded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    NoResurrection,
    NoMassLogout,
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    pub tokens: u8,
    /// Restarts, with nothing or with the snapshot.
    pub restarts: u8,
    /// Replicas that are promoted while their master lives.
    pub promotions: u8,
    /// Readings of `live_store` that fail, on a node whose Redis has no replica.
    pub outages: u8,
    pub fills: u8,
    pub touches: u8,
    pub ends: u8,
    pub ends_all: u8,
    pub ends_by_command: u8,
    pub data: u8,
    pub sweeps: u8,
    pub evictions: u8,
    pub copies: u8,
    pub disconnections: u8,
    pub crashes: u8,
}

impl Budget {
    /// Nothing happens but what needs no permission: time, the fence, sign-in.
    pub const NONE: Self = Self {
        tokens: 0,
        restarts: 0,
        promotions: 0,
        outages: 0,
        fills: 0,
        touches: 0,
        ends: 0,
        ends_all: 0,
        ends_by_command: 0,
        data: 0,
        sweeps: 0,
        evictions: 0,
        copies: 0,
        disconnections: 0,
        crashes: 0,
    };
}

impl State {
    /// One Redis, current; both nodes have just connected to it; nobody has signed in.
    pub fn start(left: Budget) -> Self {
        let empty = [Cell::Nothing; TOKENS];
        let ledger = Ledger {
            signed_in: false,
            ended: false,
            current: 0,
            pending: [false; TOKENS],
            number: [0; TOKENS],
            live_store: from_fn(|process| if process == 0 { ProcessState::Current } else { ProcessState::Unknown }),
            enrolling: None,
        };
        Self {
            ledger,
            redis: from_fn(|process| Redis { up: process == 0, cells: empty }),
            born: 1,
            copy: None,
            links: [from_fn(|process| if process == 0 { Link::Trusted } else { Link::None }); NODES],
            flights: [None; SLOTS],
            jobs: [None; SLOTS],
            touch: None,
            dead: [false; TOKENS],
            broken: None,
            left,
        }
    }

    /// What `sessions::find_live` finds.
    pub fn is_live(&self, token: usize) -> bool {
        self.ledger.signed_in && !self.ledger.ended && usize::from(self.ledger.current) == token
    }

    /// Tokens that somebody has.
    pub fn issued(&self) -> std::ops::Range<usize> {
        0..if self.ledger.signed_in { usize::from(self.ledger.current) + 1 } else { 0 }
    }

    pub fn linked(&self, node: usize, process: usize) -> bool {
        node < NODES && self.redis[process].up && self.links[node][process] != Link::None
    }

    pub fn is_current(&self, process: usize) -> bool {
        self.ledger.live_store[process] == ProcessState::Current
    }

    /// A fill is over: its lease, wherever it stands, is nobody's.
    pub fn land(&mut self, slot: usize) {
        self.flights[slot] = None;
        self.rename_leases(|owner| if usize::from(owner) == slot { Cell::OldLease } else { Cell::Lease(owner) });
    }

    /// States that differ only in who sits in which slot are the same. Nor does it matter whose a fill is, once no
    /// node can crash any more; only who reads a counterexample would like to know.
    pub fn normalise(&mut self, named: bool) {
        self.forget_what_cannot_matter();
        self.jobs.sort_unstable();
        if self.left.crashes == 0 && !named {
            self.flights.iter_mut().flatten().for_each(|flight| flight.node = ANY);
        }
        let [first, second] = &mut self.flights;
        if first > second {
            std::mem::swap(first, second);
            self.rename_leases(|owner| Cell::Lease(1 - owner));
        }
    }

    /// A copy that nobody will start from; a retired process that nobody is connected to; a put on its way to a
    /// process that is gone.
    fn forget_what_cannot_matter(&mut self) {
        if self.left.restarts == 0 && self.left.promotions == 0 {
            self.copy = None;
            self.left.copies = 0;
        }
        for process in 0..PROCESSES {
            let retired = matches!(self.ledger.live_store[process], ProcessState::Retired(_) | ProcessState::Undated);
            if retired && self.links.iter().all(|links| links[process] == Link::None) {
                self.redis[process] = Redis { up: false, cells: [Cell::Nothing; TOKENS] };
            }
        }
        for slot in 0..SLOTS {
            let Some(flight) = &mut self.flights[slot] else { continue };
            flight.lease = flight.lease.filter(|process| self.redis[usize::from(*process)].up);
            if flight.leg == Leg::Stray && flight.lease.is_none() {
                self.land(slot);
            }
        }
    }

    fn rename_leases(&mut self, name: impl Fn(u8) -> Cell) {
        let copies = self.copy.iter_mut().flatten();
        for cell in self.redis.iter_mut().flat_map(|redis| &mut redis.cells).chain(copies) {
            if let Cell::Lease(owner) = *cell {
                *cell = name(owner);
            }
        }
    }
}

/// A number that names a participant, as it is kept.
pub fn small(number: usize) -> u8 {
    u8::try_from(number).expect("there are few of each")
}

/// The first place that is free.
pub fn free<T>(slots: &[Option<T>]) -> Option<usize> {
    slots.iter().position(Option::is_none)
}
