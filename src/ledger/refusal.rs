//! Why the ledger answers nobody.
//!
//! Owns the reasons. Each is raised and lifted by whoever watches for it; one is enough to refuse. A place among the nodes is
//! kept for a while only: a process that stood still for longer knows it by its stopwatch, before anything else is done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::error::LedgerError;
use crate::domain::{Clock, SystemClock};

/// A reason to answer nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was found to be an older copy of the ledger.
    Outdated,
    /// This node's clock and the database's disagree, or were never compared.
    Clock,
    /// A node that is set to something else took this node's place while it stood still, or may have.
    Displaced,
}

/// The reasons that there are.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    outdated: AtomicBool,
    clock: AtomicBool,
    displaced: AtomicBool,
    stopwatch: SystemClock,
    /// Until when this node's place is kept, in milliseconds of the stopwatch; zero: it needs none.
    place_until: AtomicU64,
}

impl Refusals {
    /// Raises or lifts a reason. Whether that is news.
    pub(super) fn set(&self, why: Refusal, there: bool) -> bool {
        self.of(why).swap(there, Ordering::SeqCst) != there
    }

    pub(super) fn has(&self, why: Refusal) -> bool {
        self.of(why).load(Ordering::SeqCst)
    }

    pub(super) fn stopwatch(&self) -> Duration {
        self.stopwatch.monotonic()
    }

    /// This node's place is kept until then on the stopwatch.
    pub(super) fn keep_place(&self, until: Duration) {
        self.place_until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether nobody has kept this node's place in time: another may have it.
    pub(super) fn place_ran_out(&self) -> bool {
        let until = self.place_until.load(Ordering::SeqCst);
        until != 0 && self.stopwatch.monotonic() > Duration::from_millis(until)
    }

    /// An error while there is a reason.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        match () {
            () if self.has(Refusal::Outdated) => Err(LedgerError::Outdated),
            () if self.has(Refusal::Clock) => Err(LedgerError::Clock),
            () if self.has(Refusal::Displaced) || self.place_ran_out() => Err(LedgerError::Displaced),
            () => Ok(()),
        }
    }

    fn of(&self, why: Refusal) -> &AtomicBool {
        match why {
            Refusal::Outdated => &self.outdated,
            Refusal::Clock => &self.clock,
            Refusal::Displaced => &self.displaced,
        }
    }
}
