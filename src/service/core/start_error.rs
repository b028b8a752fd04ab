//! Start error: why a node does not start.
//!
//! Owns the one-line message for the operator. Must never contain a secret.

use crate::ledger::LedgerError;
use crate::live::LiveError;

/// Why sessiond could not start, in one sentence for the operator. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub(crate) String);

impl From<LedgerError> for StartError {
    fn from(error: LedgerError) -> Self {
        Self(format!("The database cannot be used: {error}."))
    }
}

impl From<LiveError> for StartError {
    fn from(error: LiveError) -> Self {
        Self(format!("REDIS_URL: {error}."))
    }
}
