//! A fence without a ledger: remembers the processes in memory.
//!
//! Owns the leases that the tests play with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sessiond::domain::Process;
use sessiond::domain::{Clock, MovableClock, Stamp, SystemRandom};
use sessiond::live::{Enrolled, Fence, FenceError, StoreLease};

const AN_HOUR: Duration = Duration::from_secs(3_600);

/// Enrols every process, unless told otherwise; a new one retires all others, or in a cluster those that claim the
/// same slots.
#[derive(Default)]
pub struct FakeFence {
    clock: Arc<MovableClock>,
    known: Mutex<Vec<(Process, Enrolled)>>,
    lasting: Mutex<Option<Duration>>,
    asked: AtomicUsize,
    closed: AtomicBool,
    silent: AtomicBool,
}

impl FakeFence {
    /// A fence whose leases last for an hour of this clock's stopwatch.
    pub fn new(clock: Arc<MovableClock>) -> Arc<Self> {
        Arc::new(Self { clock, ..Self::default() })
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The processes that it enrolled, in order.
    pub fn processes(&self) -> Vec<Process> {
        self.known.lock().iter().map(|(process, _)| process.clone()).collect()
    }

    /// The lease in the process that was enrolled last.
    pub fn lease(&self) -> Arc<StoreLease> {
        Arc::clone(&self.last().lease)
    }

    /// The stamp of the process that was enrolled last.
    pub fn stamp(&self) -> Stamp {
        self.last().stamp
    }

    /// The stamps of all processes that it enrolled.
    pub fn stamps(&self) -> Vec<Stamp> {
        self.known.lock().iter().map(|(_, enrolled)| enrolled.stamp).collect()
    }

    /// Retires every process, and forgets it: the next connection gets a new stamp.
    pub fn retire_all(&self) {
        self.known.lock().drain(..).for_each(|(_, enrolled)| enrolled.lease.retire());
    }

    /// Leases of new processes last only for so long.
    pub fn trust_for(&self, duration: Duration) {
        *self.lasting.lock() = Some(duration);
    }

    /// Forgets every process: the next connection gets a new stamp.
    pub fn forget(&self) {
        self.known.lock().clear();
    }

    /// Refuses every process from now on, or no longer.
    pub fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// Does not answer any more.
    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    fn last(&self) -> Enrolled {
        self.known.lock().last().expect("somebody has connected").1.clone()
    }

    fn answer(&self, process: Process) -> Result<Enrolled, FenceError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(FenceError("the test says no".to_owned()));
        }
        let mut known = self.known.lock();
        if let Some((_, enrolled)) = known.iter().find(|(one, _)| *one == process) {
            return Ok(enrolled.clone());
        }
        known.iter().filter(|(other, _)| rivals(other, &process)).for_each(|(_, other)| other.lease.retire());
        let enrolled = Enrolled { stamp: Stamp::generate(&SystemRandom), lease: Arc::default() };
        enrolled.lease.extend_until(self.clock.monotonic() + self.lasting.lock().unwrap_or(AN_HOUR));
        known.push((process, enrolled.clone()));
        Ok(enrolled)
    }
}

impl Fence for FakeFence {
    fn enroll(&self, process: Process) -> BoxFuture<'_, Result<Enrolled, FenceError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            return std::future::pending().boxed();
        }
        std::future::ready(self.answer(process)).boxed()
    }
}

fn rivals(one: &Process, other: &Process) -> bool {
    match (&one.shard, &other.shard) {
        (Some(one), Some(other)) => one.slots.overlaps(&other.slots),
        _ => true,
    }
}
