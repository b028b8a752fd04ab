//! Why Redis did not answer.
//!
//! Owns [`LiveError`]. Its words are for the log; no client is ever shown them.

/// Why Redis did not answer. In plain words, for the log; no client is ever shown it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The URL is none that this layer can use. Only [`Live::open`](super::Live::open) gives this.
    #[error("the URL of Redis cannot be used: {0}")]
    BadUrl(String),
    /// There is no connection, or it broke. What was asked may have been done.
    #[error("Redis cannot be reached: {0}")]
    Down(String),
    /// No answer in time. What was asked may have been done.
    #[error("Redis did not answer in time")]
    Timeout,
    /// Redis answered with this error: `OOM`, `MISCONF`, `READONLY` and so on. That command did nothing.
    #[error("Redis refused ({0})")]
    Refused(String),
    /// The process at that address may not speak, or the ledger could not be asked whether it may.
    #[error("this Redis may not be used: {0}")]
    FencedOff(String),
}
