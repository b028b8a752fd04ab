//! The honest "I do not know": a store is sick or too much is asked at once.
//!
//! Owns [`Unavailable`]. It is neither a yes nor a no, and nothing may turn it into one.

use crate::ledger::LedgerError;

/// The question could not be answered. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// A store does not answer.
    #[error("{0}")]
    Store(String),
    /// Too many are asking: nothing is broken, a little later it will be answered.
    #[error("too busy: {0}")]
    Busy(&'static str),
}

impl From<LedgerError> for Unavailable {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Busy(what) => Self::Busy(what),
            other => Self::Store(other.to_string()),
        }
    }
}
