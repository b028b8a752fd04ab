//! Refusal: why the ledger refuses all calls.
//!
//! Owns the reasons. The task that watches for a reason sets and clears it; one is enough to refuse. A place among the
//! nodes is kept only for a while: a process that stood still for longer notices it on its stopwatch before any other
//! work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::error::LedgerError;
use crate::domain::{Clock, SystemClock};

/// A reason to refuse all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The ledger is an older copy.
    Outdated,
    /// This node's clock and the database's differ, or were never compared.
    Clock,
    /// A node with other settings took this node's place while it stood still, or may have.
    Displaced,
}

/// The reasons that apply.
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
    /// Sets or clears a reason. Returns whether that is new.
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

    /// Whether this node's place was not kept in time: another node may have it.
    pub(super) fn place_ran_out(&self) -> bool {
        let until = self.place_until.load(Ordering::SeqCst);
        until != 0 && self.stopwatch.monotonic() > Duration::from_millis(until)
    }

    /// An error while a reason applies.
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
