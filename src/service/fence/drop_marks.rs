//! Drop marks: what was dropped since a fill began.
//!
//! Owns one counter for each of 65 536 groups of token hashes. A copy carries the mark that its fill read first, and
//! counts only while that mark stands: so a drop finds and removes nothing, and a fill under way is dropped with the
//! rest. Sessions that share a counter are only read again. Must never lower a counter.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::domain::TokenHash;

const GROUPS: usize = 1 << 16;

/// The counters.
pub(in crate::service) struct DropMarks(Box<[AtomicU32]>);

impl Default for DropMarks {
    fn default() -> Self {
        Self((0..GROUPS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl DropMarks {
    /// The present mark of a token hash.
    pub(in crate::service) fn of(&self, hash: &TokenHash) -> u32 {
        self.counter(hash).map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    /// Drops every copy of this token, and every fill of it that has begun.
    pub(in crate::service) fn drop_copies(&self, hash: &TokenHash) {
        if let Some(counter) = self.counter(hash) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter(&self, hash: &TokenHash) -> Option<&AtomicU32> {
        let [first, second, ..] = hash.as_bytes();
        self.0.get(usize::from(u16::from_be_bytes([*first, *second])))
    }
}
