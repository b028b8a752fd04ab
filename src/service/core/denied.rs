//! Why a use case did nothing, or cannot confirm all that it did.
//!
//! Owns [`Denied`], the reasons that use cases share: each embeds it and adds only its own. Each reason has one answer over
//! HTTP and one at the command line.

use std::time::Duration;

use crate::ledger::LedgerError;
use crate::service::core::throttled::Throttled;
use crate::service::core::unavailable::Unavailable;

/// The change requires a newer proof: give the password again, then repeat the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's owner has to prove their identity again")]
pub struct StepUpRequired {
    /// How old a proof may be.
    pub max_age: Duration,
}

/// A reason that use cases share. Only after [`Denied::Unconfirmed`] has anything happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The session that asks has ended, has another token by now, or its account may no longer act.
    #[error("the requesting session has ended")]
    Ended,
    /// The account no longer has the role that this needs.
    #[error("the account no longer has the required role")]
    Forbidden,
    /// The proof of who the session's owner is does not count, or is too old.
    #[error(transparent)]
    StepUpRequired(#[from] StepUpRequired),
    /// There were too many attempts.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The ledger has the change, but a record may still stand in Redis. A node deletes it; asking again is safe.
    #[error("{0}")]
    Unconfirmed(String),
    /// A store does not answer, or too much is asked at once.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<LedgerError> for Denied {
    fn from(error: LedgerError) -> Self {
        Self::Unavailable(error.into())
    }
}
