//! Live error: why Redis did not answer.
//!
//! Owns [`LiveError`]. Its texts are for the log; no client ever sees them.

/// Why Redis did not answer. The text is for the log; no client ever sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// This layer cannot use the URL. Only [`Live::open`](super::Live::open) returns this.
    #[error("the URL of Redis cannot be used: {0}")]
    BadUrl(String),
    /// There is no connection, or it broke. The command may have run.
    #[error("Redis cannot be reached: {0}")]
    Down(String),
    /// No answer in time. The command may have run.
    #[error("Redis did not answer in time")]
    Timeout,
    /// Redis answered with this error: `OOM`, `MISCONF`, `READONLY` and so on. That command did nothing.
    #[error("Redis refused ({0})")]
    Refused(String),
    /// The process at that address may not be trusted, or the ledger could not answer whether it may.
    #[error("this Redis may not be used: {0}")]
    FencedOff(String),
}
