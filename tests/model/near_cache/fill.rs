//! Checks and fills: how a record becomes a copy, and the ledger's answer a record.
//!
//! Owns the steps of `service/near_cache/recall.rs` and of `service/check/fill.rs`. A hit changes nothing, so it is no
//! step: the promise asks for it in every state. Must never note the mark and read the record in one step, nor read the
//! ledger and put the record.

use super::action::What;
use super::node::Fill;
use super::protocol::{NearCache, Steps, place};
use super::state::{Redis, Server, State};

impl NearCache {
    /// Whatever the checks on this node can do next.
    pub fn fills(&self, state: &State, node: usize, steps: &mut Steps) {
        let it = &state.nodes[node];
        let under_way = state.nodes.iter().flat_map(|node| node.fills).filter(|fill| *fill != Fill::None).count();
        if let Some(free) =
            it.fills.iter().position(|fill| *fill == Fill::None).filter(|_| under_way < self.bounds.fills)
        {
            if it.copies && it.copy.is_none() {
                self.set(state, [node, free], Fill::Begun, What::Begin, steps);
            }
            let redis = it.redis();
            if !state.records[place(redis)] && !is_taken(state, redis) {
                self.set(state, [node, free], Fill::Taken(redis), What::Take(redis), steps);
            }
        }
        for slot in 0..it.fills.len() {
            self.goes_on(state, node, slot, steps);
        }
    }

    fn goes_on(&self, state: &State, node: usize, slot: usize, steps: &mut Steps) {
        let it = &state.nodes[node];
        match it.fills[slot] {
            Fill::None => {}
            Fill::Begun => {
                let redis = it.redis();
                if state.records[place(redis)] {
                    self.set(state, [node, slot], Fill::Shown(redis), What::ReadRecord(redis), steps);
                }
            }
            Fill::Shown(redis) => self.change(state, node, What::Keep, steps, |it| {
                (it.copy, it.fills[slot]) = (Some(redis), Fill::None);
            }),
            Fill::Taken(redis) if self.bounds.failover => {
                for &server in state.servers().iter().filter(|server| Self::leads_to(it, **server)) {
                    self.set(state, [node, slot], Fill::Lent(redis, server), What::Lend(server), steps);
                }
            }
            Fill::Taken(redis) => self.read_ledger(state, [node, slot], (redis, Server::Old), steps),
            Fill::Lent(redis, server) => self.read_ledger(state, [node, slot], (redis, server), steps),
            Fill::Yes(redis) => {
                let mut next = *state;
                next.nodes[node].fills[slot] = Fill::None;
                next.records[place(redis)] = true;
                self.push(steps, Some(node), What::Put(redis), next);
            }
        }
    }

    /// `find_live`, and whether its answer counts when it has come back.
    fn read_ledger(&self, state: &State, at: [usize; 2], (redis, server): (Redis, Server), steps: &mut Steps) {
        let yes = state.is_live(server);
        let (fill, what) = match self.ledger_counts(&state.nodes[at[0]], server) {
            true if yes => (Fill::Yes(redis), What::ReadLedger { server, yes }),
            true => (Fill::None, What::ReadLedger { server, yes }),
            false => (Fill::None, What::Refused),
        };
        self.set(state, at, fill, what, steps);
    }

    fn set(&self, state: &State, [node, slot]: [usize; 2], fill: Fill, what: What, steps: &mut Steps) {
        self.change(state, node, what, steps, |it| it.fills[slot] = fill);
    }
}

/// The nonce of another fill stands there.
fn is_taken(state: &State, redis: Redis) -> bool {
    state.nodes.iter().flat_map(|node| node.fills).any(|fill| fill.nonce() == Some(redis))
}
