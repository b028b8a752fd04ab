//! Renewals: how a node gets and keeps its lease.
//!
//! Owns the steps of `service/fence/lease_renewal.rs`, `service/fence/node_lease.rs` and `ledger/node_leases.rs`. Without
//! slow commits a renewal is asked for and committed in one step. Must never commit and read what is pending in one
//! step.

use super::action::What;
use super::node::{GivenUp, Node, Renewal, Row, Terms};
use super::protocol::{NearCache, Steps};
use super::state::{Stage, State};

impl NearCache {
    /// Whatever a node's renewals can do next.
    pub fn renewals(&self, state: &State, node: usize, steps: &mut Steps) {
        self.given_up(state, node, steps);
        let renewal = state.nodes[node].renewal;
        match renewal {
            Renewal::None => self.attempts(state, node, steps),
            Renewal::Asked { copies, .. } => self.commits(state, node, copies, steps),
            Renewal::Early { .. } => self.renew(state, node, true, true, steps),
            Renewal::Committed(terms) => self.read_pending(state, node, terms, steps),
            Renewal::Read(terms, seen) => self.apply(state, node, terms, seen, steps),
        }
        if renewal != Renewal::None {
            self.change(state, node, What::TooLate, steps, |it| it.renewal = Renewal::None);
        }
    }

    fn attempts(&self, state: &State, node: usize, steps: &mut Steps) {
        let server = state.primary();
        if !self.guards.pending_after_commit {
            let seen = state.is_pending(server);
            let early = Renewal::Early { seen };
            self.change(state, node, What::ReadPendingFirst { seen }, steps, |it| it.renewal = early);
        }
        for copies in [true, false] {
            if self.bounds.slow_commits {
                self.change(state, node, What::Ask { copies }, steps, |it| {
                    self.stop_first(it, copies);
                    it.renewal = Renewal::Asked { copies, grants: copies, says: it.applied };
                });
            } else if self.guards.pending_after_commit || !copies {
                self.commits(state, node, copies, steps);
            }
        }
    }

    /// The answer comes in time, or not; or the node gives it up first.
    fn commits(&self, state: &State, node: usize, copies: bool, steps: &mut Steps) {
        self.renew(state, node, copies, true, steps);
        // The first attempt of a name that comes too late leaves a row that belongs to no node.
        if state.nodes[node].added && state.revocation.stage != Stage::Told {
            self.renew(state, node, copies, false, steps);
            self.give_up(state, node, copies, steps);
        }
    }

    /// `NodeLease::attempt`.
    fn stop_first(&self, node: &mut Node, copies: bool) {
        if !copies && self.guards.stop_before_release {
            node.stop_copies(&self.guards);
        }
    }

    /// The statement is committed, by itself.
    fn renew(&self, state: &State, node: usize, copies: bool, in_time: bool, steps: &mut Steps) {
        let server = state.primary();
        let before = &state.nodes[node];
        if before.added && !before.row.is_there && self.guards.row_is_there {
            self.change(state, node, What::RenewedNothing, steps, |it| {
                it.renewal = Renewal::None;
                self.begin_anew(it);
            });
            return;
        }
        let kept = before.row.allows_copies() && !self.guards.lapse_where_applied;
        let (grants, says) = match before.renewal {
            Renewal::Asked { grants, says, .. } => (grants, says),
            _ => (copies, before.applied),
        };
        let terms = Terms { server, grants, newer: true, kept };
        let renewal = match before.renewal {
            _ if !in_time => Renewal::None,
            Renewal::Early { seen } => Renewal::Read(terms, seen),
            _ => Renewal::Committed(terms),
        };
        self.change(state, node, What::Renew { copies, server, in_time }, steps, |it| {
            self.stop_first(it, copies);
            if !it.added || it.row.is_there {
                it.row = Row { is_there: true, copies, moves: true, newer: true, says, is_back: false };
                self.count_commit(it);
            }
            it.added = true;
            it.renewal = renewal;
            for given_up in &mut it.given_up {
                self.overtake(given_up);
            }
        });
    }

    fn count_commit(&self, node: &mut Node) {
        if !self.guards.applied_round {
            node.commits = (node.commits + 1).min(2);
        }
    }

    /// A later round was committed.
    fn overtake(&self, given_up: &mut Option<GivenUp>) {
        *given_up = given_up.filter(|_| !self.guards.round_order).map(|it| GivenUp { overtaken: true, ..it });
    }

    fn begin_anew(&self, node: &mut Node) {
        node.stop_copies(&self.guards);
        node.added = false;
        node.row = Row::NONE;
        node.given_up = Default::default();
    }

    fn read_pending(&self, state: &State, node: usize, terms: Terms, steps: &mut Steps) {
        let is_pending = terms.grants && state.is_pending(terms.server);
        let what = What::ReadPending { server: terms.server, seen: is_pending };
        self.change(state, node, what, steps, |it| it.renewal = Renewal::Read(terms, is_pending));
        // With the guard the node drops everything, this session too.
        if is_pending && !self.guards.too_many_pending {
            self.change(state, node, What::TooManyPending, steps, |it| it.renewal = Renewal::Read(terms, false));
        }
    }

    /// `NodeLease::apply`, in time. The code also begins a new epoch when another server than before grants the lease:
    /// the promise does not depend on it.
    fn apply(&self, state: &State, node: usize, terms: Terms, seen: bool, steps: &mut Steps) {
        let Terms { server, grants, newer, kept } = terms;
        let before = &state.nodes[node];
        let new_epoch = !if self.guards.lapse_where_applied { before.copies } else { kept };
        let what = What::Apply { server, new_epoch, drops: seen, grants };
        self.change(state, node, what, steps, |it| {
            if new_epoch || seen {
                it.void(&self.guards);
            }
            it.renewal = Renewal::None;
            it.applied |= newer;
            (it.lease, it.leased, it.copies) = (Some(server), Some(server), grants);
        });
    }

    fn give_up(&self, state: &State, node: usize, copies: bool, steps: &mut Steps) {
        let slots = &state.nodes[node].given_up[..self.bounds.given_up];
        let Some(slot) = slots.iter().position(Option::is_none) else { return };
        let says = match state.nodes[node].renewal {
            Renewal::Asked { says, .. } => says,
            _ => state.nodes[node].applied,
        };
        self.change(state, node, What::GiveUp { copies }, steps, |it| {
            self.stop_first(it, copies);
            it.renewal = Renewal::None;
            it.given_up[slot] = Some(GivenUp { copies, says, overtaken: false, behind: false });
        });
    }

    fn given_up(&self, state: &State, node: usize, steps: &mut Steps) {
        for slot in 0..self.bounds.given_up {
            let Some(given_up) = state.nodes[node].given_up[slot] else { continue };
            let GivenUp { copies, says, overtaken, behind } = given_up;
            let finds_row = state.nodes[node].row.is_there;
            let what = if finds_row { What::GivenUpCommits { copies } } else { What::GivenUpChangesNothing };
            self.change(state, node, what, steps, |it| {
                it.given_up[..slot].iter_mut().for_each(|older| self.overtake(older));
                it.given_up[slot..].rotate_left(1);
                it.given_up[it.given_up.len() - 1] = None;
                if finds_row {
                    let is_back = overtaken || it.row.is_back;
                    it.row = Row { is_there: true, copies, moves: true, newer: !behind, says, is_back };
                    self.count_commit(it);
                }
                // An older one that changes nothing now is gone; the rest closes up.
                it.given_up.sort_by_key(Option::is_none);
            });
        }
    }
}
