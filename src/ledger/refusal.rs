//! Refusal: why the ledger refuses all calls.
//!
//! Owns the reasons. The task that watches for a reason sets and clears it; one is enough to refuse. A place among the
//! nodes and the lease for answers are kept only for a while: a process that stood still for longer notices it on its
//! stopwatch before any other work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

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
    /// The same for this node's lease.
    lease_until: AtomicU64,
    /// Whether the last attempt to renew it failed.
    lease_fails: AtomicBool,
    /// Told when it was renewed, and when the attempt failed.
    lease_tried: Notify,
    /// Told when somebody needs it.
    lease_wanted: Notify,
}

/// How long a read waits for a lease that ran out without any failure: this process stood still.
const LEASE_WAIT: Duration = Duration::from_secs(1);
/// The same after a failure: the database may be back.
const FAILING_WAIT: Duration = Duration::from_millis(250);

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
        self.place_until.store(whole_ms(until), Ordering::SeqCst);
    }

    /// This node's lease lasts until then on the stopwatch.
    pub(super) fn hold_lease(&self, until: Duration) {
        self.lease_until.store(whole_ms(until).max(1), Ordering::SeqCst);
    }

    /// An attempt to renew the lease has ended.
    pub(super) fn tried_lease(&self, failed: bool) {
        self.lease_fails.store(failed, Ordering::SeqCst);
        self.lease_tried.notify_waiters();
    }

    /// Waits until somebody needs the lease, and it is over.
    pub(super) async fn lease_wanted(&self) {
        self.lease_wanted.notified().await;
    }

    /// Asks for a lease that is over, and waits for the answer.
    pub(super) async fn want_lease(&self) {
        let tried = self.lease_tried.notified();
        if self.is_over(&self.lease_until) {
            self.lease_wanted.notify_one();
            let wait = if self.lease_fails.load(Ordering::SeqCst) { FAILING_WAIT } else { LEASE_WAIT };
            let _late = timeout(wait, tried).await;
        }
    }

    /// Whether this node's place was not kept in time: another node may have it.
    pub(super) fn place_ran_out(&self) -> bool {
        self.is_over(&self.place_until)
    }

    /// An error while a reason applies, or when this node's lease is over: what it reads may be an old server's word.
    pub(super) fn check_lease(&self) -> Result<(), LedgerError> {
        self.check()?;
        if self.is_over(&self.lease_until) { Err(LedgerError::Leaseless) } else { Ok(()) }
    }

    fn is_over(&self, until: &AtomicU64) -> bool {
        let until = until.load(Ordering::SeqCst);
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

fn whole_ms(until: Duration) -> u64 {
    u64::try_from(until.as_millis()).unwrap_or(u64::MAX)
}
