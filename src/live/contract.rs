//! What passes between the records and whoever uses them.
//!
//! Owns the answers of [`Live`](super::Live), with what they remember for the next step: the exact text and the
//! connection. Must never let either out.

use std::fmt;
use std::sync::Arc;

use super::connection::Stamped;
use super::record::Record;
use crate::domain::TokenHash;

/// What a read found.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A live session, beyond doubt.
    Record(SeenRecord),
    /// Anything else: only the ledger can tell.
    Doubt(Doubt),
}

/// A record that was believed. Remembers the exact text and the connection, for [`Live::touch`](super::Live::touch).
#[derive(Clone)]
pub struct SeenRecord {
    /// The record.
    pub record: Record,
    pub(super) hash: TokenHash,
    pub(super) text: Vec<u8>,
    pub(super) connection: Arc<Stamped>,
}

impl fmt::Debug for SeenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeenRecord").field(&self.record).finish()
    }
}

/// What stands in a record's place and is not to be believed, for [`Live::take`](super::Live::take) to replace.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    /// A record that is merely past one of its deadlines: its last-seen time is exact.
    pub stale: Option<Record>,
    pub(super) text: Option<Vec<u8>>,
}

/// What came of the attempt to take the lease of a fill.
#[derive(Debug)]
pub enum Taken {
    /// It is taken: read the ledger now, then [`Live::put`](super::Live::put).
    Lease(Lease),
    /// Somebody has filled it meanwhile.
    Record(SeenRecord),
    /// Somebody else is at it: read the ledger, and fill nothing.
    Busy,
}

/// The right to put one record in one place, as long as the nonce stands there. Lasts five seconds.
pub struct Lease {
    pub(super) hash: TokenHash,
    pub(super) text: Vec<u8>,
    /// The connection that took it: the record's stamp must be that of the process that holds the nonce.
    pub(super) connection: Arc<Stamped>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.hash).finish()
    }
}
