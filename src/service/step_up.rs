//! Step-up: some changes want a proof that is younger than the session.
//!
//! Owns the one question that they all ask, inside of their own transaction and anew each time: how old is the proof of
//! the session that asks, in the ledger, at this moment? Must never be asked before the transaction, nor of a record.

use std::time::Duration;

use super::{App, Cause, Checked};
use crate::domain::Proof;
use crate::fault_point;
use crate::ledger::{Db, LedgerError, proofs};

/// A change that needs a younger proof: give the password again, then repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's owner has to prove again who they are")]
pub struct StepUpRequired {
    /// How old a proof may be.
    pub max_age: Duration,
}

/// Why a session may not change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// The proof is too old, or does not count any more.
    StepUp(StepUpRequired),
    /// The session has ended since it was checked, or has another token now.
    Ended,
}

/// What a transaction did, or why it did nothing.
pub(super) type Granted<T> = Result<T, Unproven>;

impl App {
    /// Whether whoever causes a change has proven who they are a short while ago, where that is wanted of them.
    pub(super) fn require_proof(&self, db: &mut Db, cause: &Cause) -> Result<Granted<()>, LedgerError> {
        let Some((session, token_hash)) = cause.proof_of else { return Ok(Ok(())) };
        let (age, now) = (self.shared.policy.step_up_age, self.clock().now());
        let proof = proofs::find(db, session, &token_hash)?;
        fault_point::reach("step-up: judged");
        Ok(self.judge_proof(proof, |proof| proof.is_younger_than(age, now)))
    }

    /// The same for the lesser changes: a proof of any age will do, unless it does not count any more.
    pub(super) fn require_unchallenged(&self, db: &mut Db, checked: &Checked) -> Result<Granted<()>, LedgerError> {
        let proof = proofs::find(db, checked.session, &checked.token_hash)?;
        Ok(self.judge_proof(proof, |proof| !proof.challenged))
    }

    fn judge_proof(&self, proof: Option<Proof>, suffices: impl FnOnce(&Proof) -> bool) -> Granted<()> {
        let proof = proof.ok_or(Unproven::Ended)?;
        let required = StepUpRequired { max_age: self.shared.policy.step_up_age };
        if suffices(&proof) { Ok(()) } else { Err(Unproven::StepUp(required)) }
    }
}
