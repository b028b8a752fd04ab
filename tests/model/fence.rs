//! The fence: which process may speak, and how long a node trusts it.
//!
//! Owns the steps of `service/fence/store_fence.rs`, `ledger/live_store.rs` and `live/connection.rs`. A lease begins
//! with the read that allows it; in the code it begins later or lasts shorter, never the other way. Must never extend a
//! lease without a read.

use super::action::Action;
use super::protocol::{Protocol, Steps};
use super::state::{Age, Enrolling, Link, NODES, PROCESSES, ProcessState, State, small};

impl Protocol {
    /// Whatever the fence can do next, and the time.
    pub fn fence(&self, state: &State, steps: &mut Steps) {
        for node in 0..NODES {
            for process in 0..PROCESSES {
                if state.redis[process].up && state.links[node][process] == Link::None {
                    self.enroll(state, node, process, steps);
                }
            }
            self.renew_leases(state, node, steps);
            outage(state, node, steps);
        }
        self.commit(state, steps);
        self.date_retirements(state, steps);
        self.tick(state, steps);
    }

    /// `live_store::enroll`, up to the commit; of a known process there is nothing to commit.
    fn enroll(&self, state: &State, node: usize, process: usize, steps: &mut Steps) {
        let mut next = *state;
        let found = match state.ledger.live_store[process] {
            ProcessState::Current => {
                next.links[node][process] = Link::Trusted;
                "it is current"
            }
            ProcessState::Unknown if state.ledger.enrolling.is_none() => {
                let enrolling = Enrolling { node: small(node), process: small(process), age: Age::Fresh };
                next.ledger.enrolling = Some(enrolling);
                if !self.slow_commits {
                    self.commit_now(&mut next, enrolling);
                    steps.push((Action::Commit { node: enrolling.node, process: enrolling.process }, next));
                    return;
                }
                "it is new; its predecessor is to be retired"
            }
            // Refused, or behind the lock of another enrolment.
            _ => return,
        };
        steps.push((Action::Enroll { node, process, found }, next));
    }

    fn commit(&self, state: &State, steps: &mut Steps) {
        let Some(enrolling) = state.ledger.enrolling else { return };
        let mut next = *state;
        self.commit_now(&mut next, enrolling);
        steps.push((Action::Commit { node: enrolling.node, process: enrolling.process }, next));
    }

    fn commit_now(&self, state: &mut State, Enrolling { node, process, age }: Enrolling) {
        let retired = match self.guards.dated_after_commit {
            true => ProcessState::Undated,
            false => ProcessState::Retired(age),
        };
        for state_of in &mut state.ledger.live_store {
            if *state_of == ProcessState::Current && self.guards.retirement {
                *state_of = retired;
            }
        }
        state.ledger.live_store[usize::from(process)] = ProcessState::Current;
        let trusted = if age == Age::Fresh { Link::Trusted } else { Link::Connected };
        state.links[usize::from(node)][usize::from(process)] = trusted;
        state.ledger.enrolling = None;
    }

    /// After the commit of whoever enrols, or by whoever finds it undone.
    fn date_retirements(&self, state: &State, steps: &mut Steps) {
        if state.ledger.live_store.contains(&ProcessState::Undated) {
            let mut next = *state;
            let undated = |state_of: &&mut ProcessState| **state_of == ProcessState::Undated;
            next.ledger.live_store.iter_mut().filter(undated).for_each(|it| *it = ProcessState::Retired(Age::Fresh));
            steps.push((Action::DateRetirements, next));
        }
    }

    /// `StoreFence::renew`: what is current is trusted for another lease, what is retired is dropped.
    fn renew_leases(&self, state: &State, node: usize, steps: &mut Steps) {
        let mut next = *state;
        for process in (0..PROCESSES).filter(|&process| state.links[node][process] != Link::None) {
            next.links[node][process] = if state.is_current(process) { Link::Trusted } else { Link::None };
        }
        if next.links != state.links {
            steps.push((Action::RenewLeases { node }, next));
        }
    }

    /// A lease passes for everybody: leases are over, retirements are old.
    fn tick(&self, state: &State, steps: &mut Steps) {
        let mut next = *state;
        if self.guards.store_lease {
            let lapsed = |link: &&mut Link| **link == Link::Trusted;
            next.links.iter_mut().flatten().filter(lapsed).for_each(|link| *link = Link::Connected);
        }
        let fresh = |state_of: &&mut ProcessState| **state_of == ProcessState::Retired(Age::Fresh);
        next.ledger.live_store.iter_mut().filter(fresh).for_each(|it| *it = ProcessState::Retired(Age::Old));
        if let Some(enrolling) = &mut next.ledger.enrolling {
            enrolling.age = Age::Old;
        }
        if next != *state {
            steps.push((Action::Tick, next));
        }
    }
}

/// `StoreFence::renew` when the ledger does not answer: a Redis without a replica (`StoreLease::solo`) goes on being
/// trusted while its connections live.
fn outage(state: &State, node: usize, steps: &mut Steps) {
    let lapsed = (0..PROCESSES).find(|&process| state.links[node][process] == Link::Connected);
    if let Some(process) = lapsed.filter(|_| state.left.outages > 0) {
        let mut next = *state;
        next.left.outages -= 1;
        next.links[node][process] = Link::Trusted;
        steps.push((Action::Outage { node, process }, next));
    }
}
