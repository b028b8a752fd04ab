//! Store lease: how long a node may trust one Redis process.
//!
//! Owns [`StoreLease`], and the question that every new connection puts to the ledger ([`Fence`]). Must never extend a
//! lease by itself: only a read of the ledger may.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::{Process, Stamp};

/// Whether records of one Redis process may be trusted now. Shared by all connections to that process, and by the task
/// that watches the ledger.
#[derive(Debug, Default)]
pub struct StoreLease {
    /// Milliseconds on the clock's stopwatch; zero at first, so that a new lease does not hold.
    until: AtomicU64,
    retired: AtomicBool,
    solo: AtomicBool,
}

impl StoreLease {
    /// Extends the lease until the stopwatch shows `monotonic`. Never shortens it, and never revives a retired one.
    pub fn extend_until(&self, monotonic: Duration) {
        self.until.fetch_max(ms(monotonic), Ordering::SeqCst);
    }

    /// Ends the lease for good: another process took this one's place.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Whether another process took this one's place.
    pub fn retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Whether records may be trusted when the stopwatch shows `monotonic`.
    pub fn holds(&self, monotonic: Duration) -> bool {
        ms(monotonic) < self.until.load(Ordering::SeqCst) && !self.retired()
    }

    /// Records whether the process has had a replica under its replication id. If it never had one, no replica can have
    /// replaced it unnoticed.
    pub fn set_solo(&self, solo: bool) {
        self.solo.store(solo, Ordering::SeqCst);
    }

    /// Whether no replica can have taken the process' place.
    pub fn solo(&self) -> bool {
        self.solo.load(Ordering::SeqCst)
    }
}

/// Milliseconds, rounded down.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Decides which Redis process may be trusted: the ledger, behind a trait so that this layer does not know it.
pub trait Fence: Send + Sync {
    /// Asks for the stamp of a process that a new connection found. The process retires its predecessor for good;
    /// repeating the question for one process returns the same stamp.
    fn enroll(&self, process: Process) -> BoxFuture<'_, Result<Enrolled, FenceError>>;
}

/// A process that may be trusted.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The stamp of the records that are written to it.
    pub stamp: Stamp,
    /// How long it is trusted.
    pub lease: std::sync::Arc<StoreLease>,
}

/// Why a process may not be trusted, in plain words for the log.
#[derive(Clone, Debug)]
pub struct FenceError(pub String);

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FenceError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_new_lease_does_not_hold() {
        assert!(!StoreLease::default().holds(Duration::ZERO));
        assert!(!StoreLease::default().solo());
    }

    #[test]
    fn a_lease_holds_up_to_its_end_and_not_at_it() {
        let lease = StoreLease::default();
        lease.extend_until(3 * SECOND);
        assert!(lease.holds(3 * SECOND - Duration::from_millis(1)));
        assert!(!lease.holds(3 * SECOND));
    }

    #[test]
    fn an_earlier_end_that_arrives_late_shortens_nothing() {
        let lease = StoreLease::default();
        lease.extend_until(4 * SECOND);
        lease.extend_until(3 * SECOND);
        assert!(lease.holds(3 * SECOND));
    }

    #[test]
    fn a_retired_lease_never_comes_back() {
        let lease = StoreLease::default();
        lease.extend_until(SECOND);
        lease.retire();
        lease.extend_until(9 * SECOND);
        assert!(lease.retired() && !lease.holds(Duration::ZERO));
    }
}
