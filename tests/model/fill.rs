//! Check, fill and touch: what a request does with a token.
//!
//! Owns the steps of `service/check/fill.rs`, `service/check/single_flight.rs`, `service/check/touch.rs` and the
//! compare-and-set of `live/store.rs`. A check that a record answers changes nothing, so it is no step: the promises
//! ask for it in every state. Must never read the ledger and write Redis in one step.

use super::action::Action;
use super::protocol::{Protocol, Steps};
use super::state::{Cell, Flight, Leg, Link, NODES, PROCESSES, Promise, State, free, small};

impl Protocol {
    /// Whatever a fill can do next.
    pub fn fills(&self, state: &State, steps: &mut Steps) {
        if let Some(slot) = free(&state.flights).filter(|_| state.left.fills > 0) {
            for node in 0..NODES {
                state.issued().for_each(|token| self.begin(state, slot, [node, token], steps));
            }
        }
        for slot in 0..state.flights.len() {
            let Some(flight) = state.flights[slot] else { continue };
            self.board(state, slot, flight, steps);
            match flight.leg {
                Leg::Taken => self.find_live(state, slot, flight, steps),
                Leg::Shown => Self::answer(state, slot, flight, true, steps),
                Leg::Read { alive } => {
                    self.put(state, slot, flight, steps);
                    Self::answer(state, slot, flight, alive, steps);
                }
                Leg::Stray => self.put(state, slot, flight, steps),
            }
        }
    }

    /// `check` in doubt, `board` as the pilot, and `take`. The doubt counts only if it still stands when `take`
    /// arrives, so the two are one step.
    fn begin(&self, state: &State, slot: usize, [node, token]: [usize; 2], steps: &mut Steps) {
        let mut reachable = (0..PROCESSES).filter(|&process| state.linked(node, process)).peekable();
        let mut next = *state;
        next.left.fills -= 1;
        let late = state.dead[token];
        let flight = Flight { node: small(node), token: small(token), leg: Leg::Taken, lease: None, late };
        next.flights[slot] = Some(flight);
        if reachable.peek().is_none() {
            steps.push((Action::FillWithoutRedis { node, token }, next));
        }
        for process in reachable {
            let mut next = next;
            if next.redis[process].cells[token] == Cell::Nothing && !self.guards.only_the_ledger_says_no {
                next.answer(slot, flight, false);
                steps.push((Action::Answer { node: flight.node, token: flight.token, yes: false }, next));
                continue;
            }
            let got = self.take(&mut next, slot, flight, process);
            steps.push((Action::Take { node, token, process, got }, next));
        }
    }

    /// `Live::take`. What a record shows is trusted or not when it is read.
    fn take(&self, state: &mut State, slot: usize, flight: Flight, process: usize) -> &'static str {
        let token = usize::from(flight.token);
        let trusted = self.trusted(state, usize::from(flight.node), process, token);
        let cell = &mut state.redis[process].cells[token];
        let (leg, lease, got) = match *cell {
            Cell::Lease(_) | Cell::OldLease => (Leg::Taken, None, "busy, another fill's lease"),
            Cell::Record(_) if trusted && self.guards.ledger_after_take => (Leg::Taken, None, "a record; no lease"),
            Cell::Record(_) if trusted => (Leg::Shown, None, "a record that somebody has put meanwhile"),
            Cell::Record(_) | Cell::Nothing => {
                *cell = Cell::Lease(small(slot));
                (Leg::Taken, Some(small(process)), "the lease")
            }
        };
        state.flights[slot] = Some(Flight { leg, lease, ..flight });
        got
    }

    /// `SingleFlight::join`: another request joins. It matters only when that one starts after a 2xx.
    fn board(&self, state: &State, slot: usize, flight: Flight, steps: &mut Steps) {
        let open = match flight.leg {
            Leg::Taken | Leg::Shown => true,
            Leg::Read { .. } => !self.guards.join_only_before_sent,
            Leg::Stray => false,
        };
        if open && !flight.late && state.dead[usize::from(flight.token)] {
            let mut next = *state;
            next.flights[slot] = Some(Flight { late: true, ..flight });
            steps.push((Action::Board { node: flight.node, token: flight.token }, next));
        }
    }

    /// The gate closes, and the ledger is read. Nobody can join any more and nothing else can change the answer, so
    /// that it can as well be given at once; the put is then on its way alone.
    fn find_live(&self, state: &State, slot: usize, flight: Flight, steps: &mut Steps) {
        let alive = state.is_live(usize::from(flight.token));
        let mut next = *state;
        let flight = Flight { leg: Leg::Read { alive }, ..flight };
        next.flights[slot] = Some(flight);
        if self.guards.join_only_before_sent {
            next.answer(slot, flight, alive);
        }
        steps.push((Action::FindLive { node: flight.node, token: flight.token, alive }, next));
    }

    /// `Live::put` arrives, however late: over its own lease, or not at all.
    fn put(&self, state: &State, slot: usize, flight: Flight, steps: &mut Steps) {
        let Some(process) = flight.lease.filter(|_| flight.leg != Leg::Read { alive: false }) else { return };
        let mut next = *state;
        let redis = &mut next.redis[usize::from(process)];
        let cell = &mut redis.cells[usize::from(flight.token)];
        let stored = redis.up && (*cell == Cell::Lease(small(slot)) || !self.guards.nonce);
        if stored {
            *cell = Cell::Record(process);
        }
        next.flights[slot] = Some(Flight { lease: None, ..flight });
        if flight.leg == Leg::Stray {
            next.land(slot);
        }
        steps.push((Action::Put { node: flight.node, token: flight.token, process, stored }, next));
    }

    fn answer(state: &State, slot: usize, flight: Flight, yes: bool, steps: &mut Steps) {
        let mut next = *state;
        next.answer(slot, flight, yes);
        steps.push((Action::Answer { node: flight.node, token: flight.token, yes }, next));
    }

    /// A check that read a record tells it so, off the request's latency.
    pub fn touches(&self, state: &State, steps: &mut Steps) {
        if let Some((process, token)) = state.touch {
            let mut next = *state;
            let redis = &mut next.redis[usize::from(process)];
            let cell = &mut redis.cells[usize::from(token)];
            // The same record with another time in it is the same here.
            let stored = redis.up && (*cell == Cell::Record(process) || !self.guards.touch_over_what_was_read);
            if stored {
                *cell = Cell::Record(process);
            }
            next.touch = None;
            steps.push((Action::Touch { token, process, stored }, next));
        } else if state.left.touches > 0 {
            self.read_for_touch(state, steps);
        }
    }

    fn read_for_touch(&self, state: &State, steps: &mut Steps) {
        for node in 0..NODES {
            for process in (0..PROCESSES).filter(|&process| state.links[node][process] == Link::Trusted) {
                for token in state.issued().filter(|&token| self.trusted(state, node, process, token)) {
                    let mut next = *state;
                    next.left.touches -= 1;
                    next.touch = Some((small(process), small(token)));
                    steps.push((Action::ReadForTouch { node, token, process }, next));
                }
            }
        }
    }
}

impl State {
    /// Everybody on board is answered. A put that has not arrived is on its way without them.
    fn answer(&mut self, slot: usize, flight: Flight, yes: bool) {
        if yes && flight.late {
            self.broken = Some(Promise::NoResurrection);
        }
        if !yes && self.is_live(usize::from(flight.token)) {
            self.broken = Some(Promise::NoMassLogout);
        }
        if yes && flight.lease.is_some() {
            self.flights[slot] = Some(Flight { leg: Leg::Stray, late: false, ..flight });
        } else {
            self.land(slot);
        }
    }
}
