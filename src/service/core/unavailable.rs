//! Unavailable: the answer is unknown, because a store fails or too many requests wait.
//!
//! Owns [`Unavailable`]. It is neither yes nor no, and no caller may turn it into one.

use crate::ledger::LedgerError;

/// The question could not be answered. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// A store does not answer.
    #[error("{0}")]
    Store(String),
    /// Too many requests wait: nothing is broken, try again a little later.
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
