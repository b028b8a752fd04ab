//! The protocol: who can do what next, and what must never be.
//!
//! Owns the list of participants and the two promises. The steps themselves are with whoever takes them: fills,
//! changes, the fence, and the world with its faults. Must never treat a promise more kindly than the manual does.

use super::action::Action;
use super::checker::Model;
use super::guards::Guards;
use super::state::{Budget, Cell, Link, NODES, PROCESSES, Promise, State};

/// The steps that are possible in one state, and where each leads.
pub type Steps = Vec<(Action, State)>;

/// The protocol under these guards, within this budget.
#[derive(Clone, Copy)]
pub struct Protocol {
    pub guards: Guards,
    pub budget: Budget,
    /// Whether time can pass between an enrolment and its commit.
    pub slow_commits: bool,
    /// Whether it counts that a record of an ended session stands although nobody was told a 2xx.
    pub settles: bool,
    /// Whether each fill keeps the name of its node, for people to read.
    pub named: bool,
}

impl Protocol {
    /// Whether a node says yes to what it reads there: `Live::trusted`.
    pub fn trusted(&self, state: &State, node: usize, process: usize, token: usize) -> bool {
        let Cell::Record(stamp) = state.redis[process].cells[token] else { return false };
        let fits = usize::from(stamp) == process || !self.guards.stamp;
        fits && state.redis[process].up && state.links[node][process] == Link::Trusted
    }

    /// Whether a check that starts now is answered yes, by the record alone.
    pub fn says_yes(&self, state: &State, token: usize) -> bool {
        (0..NODES).any(|node| (0..PROCESSES).any(|process| self.trusted(state, node, process, token)))
    }

    /// What the ledger does not want any more is gone, or its invalidation is pending, or its deletion is under way.
    fn forgotten(&self, state: &State) -> bool {
        let gone = |token: &usize| !state.is_live(*token) && !state.ledger.pending[*token];
        state.issued().filter(gone).any(|token| self.says_yes(state, token))
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn start(&self) -> State {
        State::start(self.budget)
    }

    fn steps(&self, state: &State, steps: &mut Steps) {
        if !state.ledger.signed_in {
            let mut next = *state;
            next.ledger.signed_in = true;
            steps.push((Action::SignIn, next));
        }
        self.fills(state, steps);
        self.touches(state, steps);
        self.changes(state, steps);
        self.invalidations(state, steps);
        self.fence(state, steps);
        self.world(state, steps);
        steps.iter_mut().for_each(|(_, next)| next.normalise(self.named));
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        match state.broken {
            Some(Promise::NoResurrection) => return Some("P1, a check that started after the 2xx was answered yes"),
            Some(Promise::NoMassLogout) => return Some("P2, a live session was answered no"),
            None => {}
        }
        let dead = |token: &usize| state.dead[*token];
        if state.issued().filter(dead).any(|token| self.says_yes(state, token)) {
            return Some("P1, a check that starts now, after the 2xx, is answered yes by a record");
        }
        (self.settles && self.forgotten(state))
            .then_some("settled: a record outlives its session, and nobody will delete it")
    }
}
