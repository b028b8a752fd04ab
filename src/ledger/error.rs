//! Ledger error: what can fail, for callers that still have to answer.
//!
//! Owns [`LedgerError`]. Its texts are for the log; no text may reach a client.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why the ledger did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database refuses, is gone, or gave an answer that makes no sense. The result is unknown.
    #[error("the database failed: {0}")]
    Unavailable(String),
    /// No connection is available: nothing was sent, and nothing has happened.
    #[error("no connection to the database: {0}")]
    Unreachable(String),
    /// The server cannot hold a ledger, lacks a right, or does not answer at startup: the reason, and what to do.
    #[error("{0}")]
    Unfit(String),
    /// The database does not answer a statement. A write may have happened.
    #[error("the database does not answer: {0}")]
    Silent(&'static str),
    /// The database answers others, but too many calls wait. Nothing was sent, and nothing has happened.
    #[error("the database is too busy: {0}")]
    Busy(&'static str),
    /// The transaction conflicted with another one and was rolled back; it can run again.
    #[error("the transaction was rolled back: {0}")]
    Conflict(String),
    /// The ledger is an older copy: its content may have been revoked since.
    #[error(
        "the database is older than the one that Redis last saw; if it was restored, run `sessiond ledger restored`"
    )]
    Outdated,
    /// This node's clock and the database's differ, or were never compared: no stored time can be judged.
    #[error("this node's clock and the database's disagree, or have not been compared yet")]
    Clock,
    /// A node with other settings took this node's place while it stood still.
    #[error("a node with different settings has taken this node's place")]
    Displaced,
    /// This node's lease ran out: another node may have confirmed since that a session is over.
    #[error("this node's lease on the database ran out and was not renewed")]
    Leaseless,
    /// A row holds a value that this version never writes.
    #[error("the database contains unreadable data: {0}")]
    Corrupt(String),
}

impl From<DieselError> for LedgerError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, info) => {
                Self::Conflict(info.message().to_owned())
            }
            // Diesel has no error kind for PostgreSQL's 40P01.
            DieselError::DatabaseError(_, info) if info.message().contains("deadlock detected") => {
                Self::Conflict(info.message().to_owned())
            }
            DieselError::DatabaseError(_, info) if info.message().starts_with("permission denied for table ") => {
                Self::Unfit(format!(
                    "the database's role lacks a privilege: {}; as the owner of the tables, GRANT SELECT, INSERT, \
                     UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO it",
                    info.message()
                ))
            }
            DieselError::DeserializationError(cause) => Self::Corrupt(cause.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
