//! The world: time, lost channels, processes that die, a standby that is promoted, a Redis that is replaced.
//!
//! Owns the faults. Must never lose a commit but a renewal: replication is synchronous, and what a failover does to the
//! last renewals is taken at its worst.

use super::action::What;
use super::node::{Fill, Node, Renewal, Row};
use super::protocol::{NearCache, Steps, place};
use super::state::{Redis, Server, Stage, State, Trust};

/// What a failover leaves of a row.
const LEFT: [fn(Row) -> Row; 4] = [
    |row| row,
    |row| Row { copies: true, is_back: true, ..row },
    |row| Row { copies: false, is_back: true, ..row },
    |_| Row::NONE,
];

impl NearCache {
    /// Time passes on this node, or on whoever watches its row.
    pub fn time(&self, state: &State, node: usize, steps: &mut Steps) {
        let it = &state.nodes[node];
        if it.lease.is_some() {
            self.change(state, node, What::LeaseEnds, steps, |it| {
                it.end_lease(&self.guards);
                self.end_trust_by_old_primary(it);
            });
        }
        let server = state.primary();
        let runs = it.lease == Some(server) || it.renews_at(server);
        if it.row.moves && (!runs || !self.guards.own_stopwatch) {
            let what = if runs { What::ClockSteps } else { What::RowIsOver };
            self.change(state, node, what, steps, |it| it.row.moves = false);
        }
        if self.bounds.deletions && it.row.is_there && !it.row.moves && state.revocation.stage != Stage::Told {
            self.change(state, node, What::RowIsDeleted, steps, |it| it.row = Row::NONE);
        }
        self.trust(state, node, steps);
    }

    /// What happens to this node.
    pub fn faults(&self, state: &State, node: usize, steps: &mut Steps) {
        let it = &state.nodes[node];
        let grants = match it.renewal {
            Renewal::Asked { grants, .. } => grants,
            Renewal::Committed(terms) | Renewal::Read(terms, _) => terms.grants,
            Renewal::None | Renewal::Early { .. } => false,
        };
        if it.copies || grants {
            self.change(state, node, What::StopCopies, steps, |it| it.stop_copies(&self.guards));
        }
        if self.bounds.restarts {
            self.restart(state, node, steps);
        }
    }

    /// It has nothing any more but what it has sent. Its row stands still: whoever waits for it waits until that is
    /// over.
    fn restart(&self, state: &State, node: usize, steps: &mut Steps) {
        let mut next = *state;
        let before = state.nodes[node];
        let sent = before.fills.map(|fill| if matches!(fill, Fill::Yes(_)) { fill } else { Fill::None });
        let trust = if state.switched.is_some() { Trust::New } else { Trust::Old };
        next.nodes[node] = Node { fills: sent, leased: None, trust, ..Node::FRESH };
        if before.own && state.revocation.stage != Stage::Told {
            next.start_over();
        }
        self.push(steps, Some(node), What::Restart, next);
    }

    /// A store lease ends, or an old primary extends it.
    fn trust(&self, state: &State, node: usize, steps: &mut Steps) {
        let it = &state.nodes[node];
        if state.switched.is_some() && it.trust != Trust::New {
            self.change(state, node, What::Retire, steps, |it| it.trust = Trust::New);
        }
        let asks_old = state.failed_over && Self::leads_to(it, Server::Old);
        let has_lease = it.lease == Some(Server::Old) || !self.guards.store_lease_within;
        if state.switched == Some(Server::New) && it.trust == Trust::Old && asks_old && has_lease {
            self.change(state, node, What::ExtendedByOldPrimary, steps, |it| it.trust = Trust::ByOldPrimary);
        }
    }

    /// What happens to the stores.
    pub fn world(&self, state: &State, steps: &mut Steps) {
        for redis in [Redis::Old, Redis::New] {
            let holds_nonce = state.nodes.iter().flat_map(|node| node.fills).any(|fill| fill.nonce() == Some(redis));
            if state.records[place(redis)] || holds_nonce {
                let mut next = *state;
                next.records[place(redis)] = false;
                next.nodes.iter_mut().for_each(|node| node.lose_nonces(redis));
                self.push(steps, None, What::Evict(redis), next);
            }
        }
        if self.bounds.second_redis && state.switched.is_none() {
            let mut next = *state;
            next.switched = Some(state.primary());
            // What was deleted from the old one counts for nothing.
            if state.revocation.stage == Stage::Deleted {
                next.start_over();
            }
            self.push(steps, None, What::Switch, next);
        }
        if self.bounds.failover && !state.failed_over {
            self.fail_over(state, 0, false, steps);
        }
    }

    /// The old primary commits nothing more. What it has committed may be lost, if it is a renewal.
    fn fail_over(&self, state: &State, node: usize, loses: bool, steps: &mut Steps) {
        if node == self.bounds.nodes {
            let mut next = *state;
            next.failed_over = true;
            self.push(steps, None, What::FailOver { loses }, next);
            return;
        }
        let row = state.nodes[node].row;
        for left in LEFT.iter().take(if row.is_there { LEFT.len() } else { 1 }) {
            let mut next = *state;
            let it = &mut next.nodes[node];
            (it.row, it.frozen) = (left(row), row.allows_copies());
            it.given_up = Default::default();
            it.renewal = if matches!(it.renewal, Renewal::Asked { .. }) { Renewal::None } else { it.renewal };
            let loses = loses || it.row != row;
            self.fail_over(&next, node + 1, loses, steps);
        }
    }

    fn end_trust_by_old_primary(&self, node: &mut Node) {
        if node.trust == Trust::ByOldPrimary && self.guards.store_lease_within {
            node.trust = Trust::New;
        }
    }
}
