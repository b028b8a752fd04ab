//! Changes: everything that makes a record wrong, and its way to a 2xx.
//!
//! Owns the steps of `service/sessions/{end,invalidate}.rs`, `service/sign_in/session_data.rs`,
//! `service/users/account.rs` and `service/jobs/background.rs` over
//! `ledger/{sessions,pending_invalidations,live_store}.rs`. Each transaction is one step, and each command to Redis
//! another. Must never answer 2xx but where the code does.

use std::array::from_fn;

use super::action::Action;
use super::protocol::{Protocol, Steps};
use super::state::{
    Age, COMMAND_LINE, Cell, Job, Kind, NODES, PROCESSES, ProcessState, Stage, State, TOKENS, free, small,
};

impl Protocol {
    /// The transactions that somebody can begin.
    pub fn changes(&self, state: &State, steps: &mut Steps) {
        if free(&state.jobs).is_none() || !state.ledger.signed_in {
            return;
        }
        if state.left.ends_by_command > 0 {
            let mut next = *state;
            next.left.ends_by_command -= 1;
            self.end(next, COMMAND_LINE, Action::End { node: COMMAND_LINE }, steps);
        }
        for node in 0..NODES {
            self.revocations(state, node, steps);
            self.renewal(state, node, steps);
            self.store_data(state, node, steps);
            self.sweep(state, node, steps);
        }
    }

    fn revocations(&self, state: &State, node: usize, steps: &mut Steps) {
        let mut next = *state;
        if state.left.ends > 0 {
            next.left.ends -= 1;
            self.end(next, node, Action::End { node }, steps);
        }
        next = *state;
        if state.left.ends_all > 0 {
            next.left.ends_all -= 1;
            self.end(next, node, Action::EndAll { node, nothing: false }, steps);
        }
    }

    /// `Sessions::end_rows`. What has ended before is invalidated again; of all of a user's sessions only what is
    /// pending.
    fn end(&self, mut state: State, node: usize, action: Action, steps: &mut Steps) {
        let current = usize::from(state.ledger.current);
        let again = state.ledger.ended;
        let mut records = [false; TOKENS];
        if !again || matches!(action, Action::End { .. }) {
            records[current] = true;
        }
        if self.guards.what_is_pending {
            state.ledger.pending.iter().zip(&mut records).for_each(|(pending, record)| *record |= pending);
        }
        state.ledger.ended = true;
        self.begin_job(&mut state, node, Kind::End, records);
        let nothing = records == [false; TOKENS];
        steps.push((if nothing { Action::EndAll { node, nothing } } else { action }, state));
    }

    /// `SignIns::renew_token`.
    fn renewal(&self, state: &State, node: usize, steps: &mut Steps) {
        let old = usize::from(state.ledger.current);
        if state.left.tokens == 0 || !state.is_live(old) {
            return;
        }
        let mut next = *state;
        next.left.tokens -= 1;
        next.ledger.current += 1;
        self.begin_job(&mut next, node, Kind::Renew, only(old));
        steps.push((Action::Renew { node }, next));
    }

    /// `SignIns::store_data`, the first time.
    fn store_data(&self, state: &State, node: usize, steps: &mut Steps) {
        let token = usize::from(state.ledger.current);
        if state.left.data == 0 || !state.is_live(token) {
            return;
        }
        let mut next = *state;
        next.left.data -= 1;
        self.begin_job(&mut next, node, Kind::StoreData, only(token));
        steps.push((Action::StoreData { node }, next));
    }

    /// `Jobs::sweep_once`, one at a time here.
    fn sweep(&self, state: &State, node: usize, steps: &mut Steps) {
        let waiting = state.ledger.pending;
        let sweeping = state.jobs.iter().flatten().any(|job| job.kind == Kind::Sweep);
        if state.left.sweeps == 0 || sweeping || waiting == [false; TOKENS] {
            return;
        }
        let mut next = *state;
        next.left.sweeps -= 1;
        let job = job(&next, node, Kind::Sweep, waiting);
        place(&mut next, job);
        steps.push((Action::Sweep { node }, next));
    }

    /// `pending_invalidations::add`, at the end of the transaction.
    fn begin_job(&self, state: &mut State, node: usize, kind: Kind, records: [bool; TOKENS]) {
        for token in (0..TOKENS).filter(|&token| records[token]) {
            state.ledger.pending[token] = true;
            state.ledger.number[token] += u8::from(self.guards.numbered_invalidations);
        }
        let job = job(state, node, kind, records);
        match records == [false; TOKENS] {
            // `Sessions::invalidate` of nothing: answered at once.
            true => tell(state, &job),
            false => place(state, job),
        }
    }

    /// `Sessions::invalidate`, one attempt after the other.
    pub fn invalidations(&self, state: &State, steps: &mut Steps) {
        for slot in 0..state.jobs.len() {
            let Some(job) = state.jobs[slot] else { continue };
            match job.stage {
                Stage::Pending => self.delete(state, slot, job, steps),
                Stage::Deleted(_) => self.status(state, slot, job, steps),
                Stage::Settled => self.remove(state, slot, job, steps),
                Stage::Superseded => Self::swept(state, slot, job, steps),
            }
            let mut next = *state;
            next.jobs[slot] = None;
            steps.push((Action::GiveUp { node: job.node }, next));
        }
    }

    /// `Live::delete`, over any connection that the node has.
    fn delete(&self, state: &State, slot: usize, job: Job, steps: &mut Steps) {
        if usize::from(job.node) == COMMAND_LINE {
            return self.status(state, slot, job, steps);
        }
        for process in (0..PROCESSES).filter(|&process| state.linked(usize::from(job.node), process)) {
            let mut next = *state;
            for token in (0..TOKENS).filter(|&token| job.records[token]) {
                next.redis[process].cells[token] = Cell::Nothing;
            }
            next.jobs[slot] = Some(Job { stage: Stage::Deleted(small(process)), ..job });
            steps.push((Action::Delete { node: job.node, process }, next));
        }
    }

    /// `live_store::status`. What deleted nothing has no Redis.
    fn status(&self, state: &State, slot: usize, job: Job, steps: &mut Steps) {
        let store = &state.ledger.live_store;
        let speaks = match job.stage {
            Stage::Deleted(process) => state.is_current(usize::from(process)),
            _ => !store.contains(&ProcessState::Current),
        };
        let recent = store.contains(&ProcessState::Retired(Age::Fresh)) || store.contains(&ProcessState::Undated);
        let (stage, found) = match (speaks, recent && self.guards.waits_out_the_lease) {
            _ if !self.guards.check_after_del => (Stage::Settled, "not asked"),
            (false, _) => (Stage::Superseded, "another process may speak"),
            (true, true) => (Stage::Pending, "wait, somebody may still trust a retired one"),
            (true, false) => (Stage::Settled, "settled"),
        };
        let mut next = *state;
        next.jobs[slot] = Some(Job { stage, ..job });
        steps.push((Action::Status { node: job.node, found }, next));
    }

    /// `pending_invalidations::remove`, and the answer.
    fn remove(&self, state: &State, slot: usize, job: Job, steps: &mut Steps) {
        let mut next = *state;
        for token in (0..TOKENS).filter(|&token| job.records[token]) {
            let same = job.numbers[token] == state.ledger.number[token];
            next.ledger.pending[token] &= self.guards.numbered_invalidations && !same;
        }
        next.jobs[slot] = None;
        tell(&mut next, &job);
        steps.push((Action::Remove { node: job.node }, next));
    }

    /// `Sessions::swept`: another node has done it.
    fn swept(state: &State, slot: usize, job: Job, steps: &mut Steps) {
        let yes = !(0..TOKENS).any(|token| job.records[token] && state.ledger.pending[token]);
        let mut next = *state;
        next.jobs[slot] = (!yes).then_some(Job { stage: Stage::Pending, ..job });
        if yes {
            tell(&mut next, &job);
        }
        steps.push((Action::Swept { node: job.node, yes }, next));
    }
}

fn job(state: &State, node: usize, kind: Kind, records: [bool; TOKENS]) -> Job {
    let numbers = from_fn(|token| if records[token] { state.ledger.number[token] } else { 0 });
    Job { node: small(node), kind, records, numbers, stage: Stage::Pending }
}

fn only(token: usize) -> [bool; TOKENS] {
    from_fn(|each| each == token)
}

fn place(state: &mut State, job: Job) {
    let slot = free(&state.jobs).expect("the caller has looked");
    state.jobs[slot] = Some(job);
}

/// The 2xx: from here on, what it promises must hold.
fn tell(state: &mut State, job: &Job) {
    match job.kind {
        Kind::End => state.dead = [true; TOKENS],
        Kind::Renew => (0..TOKENS).filter(|&token| job.records[token]).for_each(|token| state.dead[token] = true),
        Kind::StoreData | Kind::Sweep => {}
    }
}
