//! The revocation: from its commit to its 2xx.
//!
//! Owns the steps of `service/sessions/invalidate.rs` and `service/sessions/holders.rs`. A message or an
//! acknowledgement that never arrives is one that is lost. Must never be answered while a guard of its own forbids it.

use super::action::What;
use super::node::{Awaited, Node, Row};
use super::protocol::{NearCache, Steps, place};
use super::state::{Server, Stage, State, Trust};

impl NearCache {
    /// Whatever the revocation can do next.
    pub fn revocation(&self, state: &State, steps: &mut Steps) {
        let stage = state.revocation.stage;
        match stage {
            Stage::Idle => self.end(state, steps),
            Stage::Pending if self.guards.watched_server && self.guards.watched_before_del => {
                self.watched(state, steps);
            }
            Stage::Pending | Stage::Watched => self.delete(state, steps),
            Stage::Deleted => self.read_holders(state, steps),
            Stage::Read if !trusts_replaced(state) => self.to(state, Stage::Waiting, What::StoreLeaseIsOver, steps),
            Stage::Waiting => self.wait(state, steps),
            Stage::Read | Stage::Told => {}
        }
        if matches!(stage, Stage::Watched | Stage::Deleted | Stage::Read | Stage::Waiting) {
            let mut next = *state;
            next.start_over();
            self.push(steps, None, What::StartOver, next);
        }
        if !self.guards.every_remover_waits && state.is_pending(state.primary()) {
            let mut next = *state;
            next.revocation.swept = true;
            self.push(steps, None, What::SweptByAnother, next);
        }
    }

    fn to(&self, state: &State, stage: Stage, what: What, steps: &mut Steps) {
        let mut next = *state;
        next.revocation.stage = stage;
        if stage == Stage::Waiting {
            self.drop_own_copies(&mut next);
        }
        self.push(steps, None, what, next);
    }

    /// On one of the nodes whose connections lead to the primary, or on none that is looked at here.
    fn end(&self, state: &State, steps: &mut Steps) {
        let server = state.primary();
        let nodes = (0..self.bounds.nodes).filter(|&node| Self::leads_to(&state.nodes[node], server));
        for own in std::iter::once(None).chain(nodes.map(Some)) {
            let mut next = *state;
            (next.revocation.stage, next.revocation.committed) = (Stage::Pending, server);
            if let Some(own) = own {
                next.nodes[own].own = true;
            }
            if !self.guards.own_copies_after_del {
                next.nodes.iter_mut().filter(|node| node.own).for_each(|node| node.void(&self.guards));
            }
            self.push(steps, own, What::End { server, own: own.is_some() }, next);
        }
    }

    /// `Fence::watched_server`.
    fn watched(&self, state: &State, steps: &mut Steps) {
        for &server in state.servers().iter().filter(|server| state.is_watched(**server, &self.guards)) {
            let mut next = *state;
            (next.revocation.stage, next.revocation.reads) = (Stage::Watched, server);
            self.push(steps, None, What::Watched(server), next);
        }
    }

    /// `Live::delete`, at the Redis that may speak: `tests/model` proper has what happens elsewhere.
    fn delete(&self, state: &State, steps: &mut Steps) {
        let redis = state.current_redis();
        let mut next = *state;
        next.revocation.stage = Stage::Deleted;
        next.records[place(redis)] = false;
        next.nodes.iter_mut().for_each(|node| node.lose_nonces(redis));
        self.push(steps, None, What::Delete(redis), next);
    }

    /// `Sessions::standing`, and the message to the holders.
    fn read_holders(&self, state: &State, steps: &mut Steps) {
        let guards = &self.guards;
        // Judged when the reading has come back: by then the lease may be over that was not when the rows were read.
        let must_wait = guards.replaced_store_lease && trusts_replaced(state);
        let is_watched_first = guards.watched_server && guards.watched_before_del && guards.one_server;
        for &server in state.servers() {
            let is_other = is_watched_first && server != state.revocation.reads;
            // Nothing is removed there any more.
            if is_other || (guards.removed_where_read && server != state.primary()) {
                continue;
            }
            let mut next = *state;
            next.revocation.reads = server;
            for node in &mut next.nodes[..self.bounds.nodes] {
                let holds = if server == state.primary() { node.row.allows_copies() } else { node.frozen };
                let waits = holds && !node.own && guards.waits_for_holders;
                node.awaited = if waits { Awaited::Yes } else { Awaited::No };
                node.see_round(node.row.is_back);
            }
            let waits = next.nodes.iter().any(|node| node.awaited != Awaited::No);
            next.revocation.stage = if must_wait { Stage::Read } else { Stage::Waiting };
            if !must_wait {
                self.drop_own_copies(&mut next);
            }
            self.push(steps, None, What::ReadHolders { server, waits }, next);
        }
    }

    fn drop_own_copies(&self, state: &mut State) {
        if self.guards.own_copies_after_del {
            state.nodes.iter_mut().filter(|node| node.own).for_each(|node| node.void(&self.guards));
        }
    }

    /// `Sessions::drop_copies`.
    fn wait(&self, state: &State, steps: &mut Steps) {
        let mut is_settled = true;
        for node in 0..self.bounds.nodes {
            let it = &state.nodes[node];
            if it.awaited == Awaited::No {
                continue;
            }
            is_settled = false;
            if it.awaited == Awaited::Yes {
                self.change(state, node, What::DropAndAcknowledge, steps, |it| {
                    it.void(&self.guards);
                    it.awaited = Awaited::Acknowledged;
                });
            }
            if let Some(why) = self.confirms(state, it) {
                self.change(state, node, What::Confirm(why), steps, |it| it.awaited = Awaited::No);
            }
        }
        let is_there = !self.guards.removed_where_read || state.revocation.reads == state.primary();
        let is_watched = !self.guards.watched_server || state.is_watched(state.revocation.reads, &self.guards);
        if is_settled && is_there && (is_watched || self.guards.watched_before_del) {
            let mut next = *state;
            next.revocation.stage = Stage::Told;
            self.push(steps, None, What::Tell, next);
        }
    }

    /// `LeaseWatch::is_settled`, or the acknowledgement.
    fn confirms(&self, state: &State, node: &Node) -> Option<&'static str> {
        let Row { is_there, copies, moves, newer, says, .. } = node.row;
        if node.awaited == Awaited::Acknowledged {
            return Some("it acknowledged");
        }
        if state.revocation.reads != state.primary() {
            // The rows of the old primary stand still.
            let runs = node.lease == Some(Server::Old) || node.renews_at(Server::Old);
            return (!runs).then_some("its row stood still on the first primary");
        }
        match () {
            () if !is_there => Some("its row is gone"),
            () if !moves => Some("its row stood still"),
            () if newer && !copies => Some("its row allows no copies any more"),
            () if newer && says => Some("it has applied a later round"),
            () if !self.guards.applied_round && node.commits == 2 => Some("it has renewed twice"),
            () => None,
        }
    }
}

/// A node trusts a Redis that may not speak, by a reading from before it was replaced.
fn trusts_replaced(state: &State) -> bool {
    state.switched.is_some() && state.nodes.iter().any(|node| node.trust == Trust::Old)
}
