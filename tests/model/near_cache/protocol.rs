//! The near cache: who can do what next, and what must never be.
//!
//! Owns the list of participants and the promise. The steps are with whoever takes them. Must never treat the promise
//! more kindly than the manual does.

use super::action::{Action, What};
use super::guards::NearCacheGuards;
use super::node::Node;
use super::state::{Redis, Server, Stage, State, Trust};
use crate::checker::Model;

/// The steps that are possible in one state, and where each leads.
pub type Steps = Vec<(Action, State)>;

/// What may happen.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub nodes: usize,
    /// Fills of all nodes at once.
    pub fills: usize,
    /// Renewals of one node that are given up and may still arrive, at once.
    pub given_up: usize,
    /// Whether time can pass between a renewal's question and its commit.
    pub slow_commits: bool,
    /// Processes that die and come back.
    pub restarts: bool,
    /// Rows that stood still for long and are deleted.
    pub deletions: bool,
    /// A standby that is promoted while the old primary lives on.
    pub failover: bool,
    /// A Redis that takes the place of another one, which lives on.
    pub second_redis: bool,
    /// Whether each node keeps its name, for people to read.
    pub named: bool,
}

impl Bounds {
    /// One node, one fill; nothing else.
    pub const ONE_NODE: Self = Self {
        nodes: 1,
        fills: 1,
        given_up: 0,
        slow_commits: false,
        restarts: false,
        deletions: false,
        failover: false,
        second_redis: false,
        named: false,
    };
}

/// The protocol under these guards, within these bounds.
#[derive(Clone, Copy)]
pub struct NearCache {
    pub guards: NearCacheGuards,
    pub bounds: Bounds,
}

const COPY: &str = "P1, a check that starts now, after the 2xx, is answered yes by a copy";
const RECORD: &str = "P1, a check that starts now, after the 2xx, is answered yes by a record";
const LEDGER: &str = "P1, a check that starts now, after the 2xx, is answered yes by the old primary";

impl NearCache {
    pub fn push(&self, steps: &mut Steps, node: Option<usize>, what: What, mut next: State) {
        next.normalise(&self.bounds, &self.guards);
        let node = node.map(|node| u8::try_from(node).expect("there are few nodes"));
        steps.push((Action { node, what }, next));
    }

    /// A step that changes one node alone.
    pub fn change(&self, state: &State, node: usize, what: What, steps: &mut Steps, change: impl FnOnce(&mut Node)) {
        let mut next = *state;
        change(&mut next.nodes[node]);
        self.push(steps, Some(node), what, next);
    }

    /// Whether a hit says yes: `NearCache::answer`.
    fn copy_says_yes(&self, node: &Node) -> bool {
        let trusted = |copy| !self.guards.trust_of_the_copy || copy == node.redis();
        node.copies && node.copy.is_some_and(trusted)
    }

    fn record_says_yes(state: &State, node: &Node) -> bool {
        match node.trust {
            Trust::New => state.records[1],
            Trust::Old | Trust::ByOldPrimary => state.records[0],
        }
    }

    /// Whether an answer from this server counts on this node now.
    pub fn ledger_counts(&self, node: &Node, server: Server) -> bool {
        let guards = &self.guards;
        // Without a failover, who has a lease is nothing to the answer: there is one server, and it knows.
        !self.bounds.failover
            || !guards.ledger_lease
            || node.lease.is_some_and(|lease| lease == server || !guards.lease_of_that_server)
    }

    /// Whether the node's connections may lead there: only to the server of its last lease.
    pub fn leads_to(node: &Node, server: Server) -> bool {
        node.leased.is_none_or(|leased| leased == server)
    }
}

impl Model for NearCache {
    type State = State;
    type Action = Action;

    fn start(&self) -> State {
        State::start(self.bounds.nodes)
    }

    fn steps(&self, state: &State, steps: &mut Steps) {
        for node in 0..self.bounds.nodes {
            self.renewals(state, node, steps);
            self.fills(state, node, steps);
            self.time(state, node, steps);
            self.faults(state, node, steps);
        }
        self.revocation(state, steps);
        self.world(state, steps);
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        if state.revocation.stage != Stage::Told {
            return None;
        }
        let mut nodes = state.nodes[..self.bounds.nodes].iter();
        let old = |node: &Node| {
            state.servers().iter().any(|&server| {
                state.is_live(server) && Self::leads_to(node, server) && self.ledger_counts(node, server)
            })
        };
        nodes.find_map(|node| match () {
            () if self.copy_says_yes(node) => Some(COPY),
            () if Self::record_says_yes(state, node) => Some(RECORD),
            () if old(node) => Some(LEDGER),
            () => None,
        })
    }
}

/// The place of a Redis in the state.
pub fn place(redis: Redis) -> usize {
    usize::from(redis == Redis::New)
}
