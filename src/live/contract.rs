//! Contract: what passes between the records and their callers.
//!
//! Owns the answers of [`Live`](super::Live), with the data for the next step: the exact text and the connection. Must
//! never let either out.

use std::fmt;
use std::sync::Arc;

use super::StoreLease;
use super::connection::Stamped;
use super::record::Record;
use crate::domain::TokenHash;

/// The result of a read.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A live session, without doubt.
    Record(SeenRecord),
    /// Anything else: only the ledger knows.
    Doubt(Doubt),
}

/// A trusted record. Keeps the exact text and the connection, for [`Live::touch`](super::Live::touch).
#[derive(Clone)]
pub struct SeenRecord {
    /// The record.
    pub record: Record,
    pub(super) hash: TokenHash,
    pub(super) text: Vec<u8>,
    pub(super) connection: Arc<Stamped>,
}

impl SeenRecord {
    /// How long the process that it was read from is trusted.
    pub fn trust(&self) -> Arc<StoreLease> {
        self.connection.store_lease()
    }
}

impl fmt::Debug for SeenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeenRecord").field(&self.record).finish()
    }
}

/// An untrusted text in a record's place, for [`Live::take`](super::Live::take) to replace.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    /// A record that is only past one of its deadlines: its last-seen time is exact.
    pub stale: Option<Record>,
    pub(super) text: Option<Vec<u8>>,
}

/// The result of an attempt to take the lease of a fill.
#[derive(Debug)]
pub enum Taken {
    /// The lease is taken: read the ledger now, then call [`Live::put`](super::Live::put).
    Lease(Lease),
    /// Another fill has stored a record meanwhile.
    Record(SeenRecord),
    /// Another fill is in progress: read the ledger, and store nothing.
    Busy,
}

/// The right to put one record in one place, while the nonce stands there. Lasts five seconds.
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
