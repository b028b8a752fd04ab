//! The world: what happens to Redis, to connections and to nodes without anybody's wanting it.
//!
//! Owns the faults. Must never touch the ledger: what is committed there is never lost.

use super::action::Action;
use super::protocol::{Protocol, Steps};
use super::state::{Cell, Leg, Link, NODES, PROCESSES, Redis, State, TOKENS};

impl Protocol {
    /// Every fault that the budget allows.
    pub fn world(&self, state: &State, steps: &mut Steps) {
        evictions(state, steps);
        copy(state, steps);
        successions(state, steps);
        for node in 0..NODES {
            disconnections(state, node, steps);
            crash(state, node, steps);
        }
    }
}

const BLANK: Redis = Redis { up: false, cells: [Cell::Nothing; TOKENS] };

/// Eviction, expiry, and with one token also FLUSHALL.
fn evictions(state: &State, steps: &mut Steps) {
    for process in (0..PROCESSES).filter(|_| state.left.evictions > 0) {
        for token in (0..TOKENS).filter(|&token| state.redis[process].cells[token] != Cell::Nothing) {
            let mut next = *state;
            next.left.evictions -= 1;
            next.redis[process].cells[token] = Cell::Nothing;
            steps.push((Action::Evict { process, token }, next));
        }
    }
}

/// A snapshot is written, or the replica has caught up.
fn copy(state: &State, steps: &mut Steps) {
    let newest = usize::from(state.born) - 1;
    let cells = state.redis[newest].cells;
    if state.left.copies > 0 && state.copy != Some(cells) && cells != [Cell::Nothing; TOKENS] {
        let mut next = *state;
        next.left.copies -= 1;
        next.copy = Some(cells);
        steps.push((Action::Copy { process: newest }, next));
    }
}

/// A restart, with nothing or with the snapshot; or the replica is promoted beside the old master.
fn successions(state: &State, steps: &mut Steps) {
    let successor = usize::from(state.born);
    if successor >= PROCESSES {
        return;
    }
    let born = |cells| {
        let mut next = *state;
        next.born += 1;
        next.redis[successor] = Redis { up: true, cells };
        next
    };
    let contents = [Some(([Cell::Nothing; TOKENS], "nothing")), state.copy.map(|cells| (cells, "an old snapshot"))];
    for process in (0..PROCESSES).filter(|&process| state.left.restarts > 0 && state.redis[process].up) {
        for (cells, with) in contents.into_iter().flatten() {
            let mut next = born(cells);
            next.left.restarts -= 1;
            next.redis[process] = BLANK;
            next.links.iter_mut().for_each(|links| links[process] = Link::None);
            steps.push((Action::Restart { process, successor, with }, next));
        }
    }
    if state.left.promotions > 0 {
        let mut next = born(state.copy.unwrap_or([Cell::Nothing; TOKENS]));
        next.left.promotions -= 1;
        steps.push((Action::Promote { successor }, next));
    }
}

fn disconnections(state: &State, node: usize, steps: &mut Steps) {
    for process in (0..PROCESSES).filter(|_| state.left.disconnections > 0) {
        if state.links[node][process] != Link::None {
            let mut next = *state;
            next.left.disconnections -= 1;
            next.links[node][process] = Link::None;
            steps.push((Action::Disconnect { node, process }, next));
        }
    }
}

/// A node dies between any two steps. What it has sent still arrives.
fn crash(state: &State, node: usize, steps: &mut Steps) {
    if state.left.crashes == 0 {
        return;
    }
    let mut next = *state;
    next.left.crashes -= 1;
    next.links[node] = [Link::None; PROCESSES];
    next.ledger.enrolling = state.ledger.enrolling.filter(|enrolling| usize::from(enrolling.node) != node);
    for slot in 0..state.flights.len() {
        if state.flights[slot].is_some_and(|flight| usize::from(flight.node) == node && flight.leg != Leg::Stray) {
            next.land(slot);
        }
    }
    for job in &mut next.jobs {
        *job = job.filter(|job| usize::from(job.node) != node);
    }
    if next.links != state.links || next.flights != state.flights || next.jobs != state.jobs {
        steps.push((Action::Crash { node }, next));
    }
}
