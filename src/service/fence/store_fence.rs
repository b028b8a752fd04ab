//! Store fence: which Redis processes this node may trust.
//!
//! Owns the store leases of this node and their renewal from `live_store`. A lease starts with the last read that
//! showed its stamp as current; nothing else may renew it, and a retired one is never renewed. A new connection to a
//! trusted process needs no ledger: it is worth as much as the one before. Until the ledger was compared with what
//! Redis knows of it, and while the ledger is refused, the node connects so that it can ask Redis, but trusts nothing
//! on those connections.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::domain::{Clock, Process, Random, Stamp};
use crate::ledger::live_store::{self, Enrolment};
use crate::ledger::{Ledger, LedgerError};
use crate::live::{Enrolled, Fence, FenceError, StoreLease};

/// The part of a lease after which a silent ledger counts as down: early enough that no lease has run out by then.
const SILENCE: u32 = 3;

/// How many leases a Redis is trusted alone after it last reported how far the ledger was seen to come: by now it might
/// report that the ledger continues elsewhere.
const HEARSAY: u32 = 2;

/// The store fence, backed by SQL.
pub struct StoreFence {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    lease: Duration,
    leases: Mutex<HashMap<Stamp, TrustedProcess>>,
    /// The leases of connections on which nothing is trusted.
    untrusted: Mutex<Vec<Arc<StoreLease>>>,
    judged: AtomicBool,
    /// When Redis last reported how far the ledger was seen to come.
    heard: Mutex<Option<Duration>>,
    /// The runs of processes whose retirement was logged.
    told: Mutex<HashSet<String>>,
}

/// A process that the ledger has named, and its lease.
struct TrustedProcess {
    process: Process,
    lease: Arc<StoreLease>,
}

impl StoreFence {
    /// A fence that trusts nothing yet. `lease` must be the same on every node.
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>, random: Arc<dyn Random>, lease: Duration) -> Self {
        let (leases, untrusted) = (Mutex::default(), Mutex::default());
        let (judged, heard, told) = (AtomicBool::default(), Mutex::default(), Mutex::default());
        Self { ledger, clock, random, lease, leases, untrusted, judged, heard, told }
    }

    /// Reads which stamps are current, and renews their leases. When the ledger does not answer, a Redis that stands
    /// alone is trusted for as long as it lives: no replica can have taken its place. (An operator who replaces it
    /// while it goes on running can: the manual says so.) Any other is trusted until its lease ends.
    pub(in crate::service) async fn renew(&self) -> Result<Vec<Stamp>, LedgerError> {
        if self.ledger.place_ran_out() {
            self.retire_all();
        }
        let started = self.clock.monotonic();
        // A process that is enrolled while the ledger is read is younger than the answer.
        let known: Vec<Stamp> = self.leases.lock().keys().copied().collect();
        // Without a lease, the server may be an old primary: that it calls a process current counts for nothing.
        let has_lease = self.ledger.has_lease();
        let mut reading = pin!(self.ledger.watch(live_store::current));
        let current = loop {
            match timeout(self.lease / SILENCE, &mut reading).await {
                Ok(current) => break current,
                Err(_) => self.go_on_alone(),
            }
        };
        let until = started.saturating_add(self.lease);
        match &current {
            Ok(current) => {
                self.leases.lock().retain(|stamp, TrustedProcess { lease, .. }| {
                    let holds = current.contains(stamp) || !known.contains(stamp);
                    match holds {
                        true if has_lease => lease.extend_until(until),
                        true => {}
                        false => lease.retire(),
                    }
                    holds
                });
                self.retire_untrusted();
                if !has_lease {
                    self.go_on_alone();
                }
            }
            // No other task of this node asks this way, so the database is the one that does not answer, not a busy
            // node.
            Err(
                LedgerError::Unreachable(_)
                | LedgerError::Unavailable(_)
                | LedgerError::Unfit(_)
                | LedgerError::Silent(_)
                | LedgerError::Busy(_),
            ) => self.go_on_alone(),
            Err(_) => {}
        }
        current
    }

    /// Trusts no Redis process any more: nothing that one says can be checked against the ledger.
    pub(in crate::service) fn retire_all(&self) {
        self.leases.lock().drain().for_each(|(_, trusted)| trusted.lease.retire());
    }

    /// Whether this node trusts any Redis process now.
    pub(in crate::service) fn trusts_any(&self) -> bool {
        let now = self.clock.monotonic();
        self.leases.lock().values().any(|trusted| trusted.lease.holds(now))
    }

    /// The ledger was compared with what Redis knows of it, and is the right one.
    pub(in crate::service) fn set_judged(&self) {
        let _leases = self.leases.lock();
        if !self.judged.swap(true, Ordering::SeqCst) {
            self.retire_untrusted();
        }
    }

    /// Closes the untrusted connections; new ones may be trusted.
    fn retire_untrusted(&self) {
        let untrusted = std::mem::take(&mut *self.untrusted.lock());
        untrusted.iter().for_each(|lease| lease.retire());
    }

    /// Redis has reported how far the ledger was seen to come.
    pub(in crate::service) fn hear(&self) {
        *self.heard.lock() = Some(self.clock.monotonic());
    }

    /// The ledger does not answer: trust a Redis that stands alone for one more lease.
    fn go_on_alone(&self) {
        let now = self.clock.monotonic();
        let until = now.saturating_add(self.lease);
        let heard = *self.heard.lock();
        // A process that stood still may have been replaced meanwhile.
        if self.ledger.place_ran_out()
            || heard.is_none_or(|heard| now > heard.saturating_add(self.lease.saturating_mul(HEARSAY)))
        {
            return;
        }
        let leases = self.leases.lock();
        let solo = leases.values().map(|trusted| &trusted.lease).filter(|lease| lease.solo());
        solo.for_each(|lease| lease.extend_until(until));
    }

    /// Logs once for each process that it was retired: every worker meets it again with each attempt to connect.
    fn tell_retired(&self, run: &str) {
        if self.told.lock().insert(run.to_owned()) {
            log::warn!(
                "the Redis process {run} was retired: it may have missed revocations and stays unused; restart it, or set \
                 another SESSIOND_REDIS_PREFIX on every node; if it was not replaced, REDIS_URL leads to several \
                 servers in turn: name one"
            );
        }
    }

    /// This very process, if it is trusted now. A restarted or promoted process, or one with other slots, is another
    /// one.
    fn known(&self, process: &Process) -> Option<Enrolled> {
        let now = self.clock.monotonic();
        let leases = self.leases.lock();
        let mut known = leases.iter().filter(|(_, it)| it.process == *process && it.lease.holds(now));
        known.next().map(|(stamp, it)| Enrolled { stamp: *stamp, lease: Arc::clone(&it.lease) })
    }

    /// `has_lease`: before the ledger was asked. An old primary calls a process current for ever.
    fn trust(&self, process: Process, stamp: Stamp, (started, has_lease): (Duration, bool)) -> Enrolled {
        let mut leases = self.leases.lock();
        // Checked under the lock: [`StoreFence::retire_all`] runs after the ledger was refused.
        if !has_lease || self.ledger.check().is_err() || !self.judged.load(Ordering::SeqCst) {
            return self.trust_nothing(stamp);
        }
        let lease = leases.get(&stamp).map_or_else(Arc::default, |known| Arc::clone(&known.lease));
        leases.insert(stamp, TrustedProcess { process, lease: Arc::clone(&lease) });
        lease.extend_until(started.saturating_add(self.lease));
        Enrolled { stamp, lease }
    }

    /// A connection on which nothing is trusted, and which is soon replaced.
    fn trust_nothing(&self, stamp: Stamp) -> Enrolled {
        let lease = Arc::default();
        self.untrusted.lock().push(Arc::clone(&lease));
        Enrolled { stamp, lease }
    }
}

impl Fence for StoreFence {
    fn enroll(&self, process: Process) -> BoxFuture<'_, Result<Enrolled, FenceError>> {
        Box::pin(async move {
            if let Some(enrolled) = self.known(&process) {
                return Ok(enrolled);
            }
            let asked_at = (self.clock.monotonic(), self.ledger.has_lease());
            let fresh = Stamp::generate(self.random.as_ref());
            let asked = process.clone();
            let mut enrolment = self.ledger.write_aside(move |db| live_store::enroll(db, &asked, fresh)).await;
            if matches!(enrolment, Err(LedgerError::Outdated | LedgerError::Clock | LedgerError::Displaced)) {
                let asked = process.clone();
                enrolment = self.ledger.read_regardless(move |db| live_store::refused(db, &asked)).await;
            }
            match enrolment {
                Ok(Enrolment::Current(stamp)) => Ok(self.trust(process, stamp, asked_at)),
                Ok(Enrolment::Unsettled) => Ok(self.trust_nothing(fresh)),
                Ok(Enrolment::Retired) => {
                    self.tell_retired(&process.run_id);
                    Err(FenceError("this Redis process was retired".to_owned()))
                }
                Ok(Enrolment::Outranked) => {
                    Err(FenceError("its cluster has moved its slots to another node".to_owned()))
                }
                Err(error) => Err(FenceError(error.to_string())),
            }
        })
    }
}
