//! Asked: a question to the ledger that is under way.

use std::pin::Pin;

use super::error::LedgerError;

/// The answer to come. In a box: a question is slow beside an allocation, and every request would have room for its future.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;
