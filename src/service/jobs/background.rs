//! Background: the tasks of a serving node. They renew store leases, watch the ledger's age and the clock, invalidate
//! pending invalidations, write last-seen times and refusals, purge old rows, and notify open pages.
//!
//! Owns these tasks. Each waits, works and waits again; one failure must never end a task, and all stop when
//! [`Background::stop`] is called.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::domain::Clock;
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::{LedgerError, live_store};
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::jobs::Jobs;
use crate::service::jobs::retention::{self};
use crate::service::sessions::invalidate::given_up_after;

/// How often the node reads which Redis to trust, and sweeps pending invalidations.
const EVERY: Duration = Duration::from_secs(1);
/// How soon overdue last-seen times are tried again.
const OVERDUE_AGAIN: Duration = Duration::from_millis(100);
/// How soon an interrupted clean-up is tried again.
const HOUSE_AGAIN: Duration = Duration::from_secs(5);
/// Records that one sweep handles.
const BATCH: i64 = 500;
/// How long stopping waits for the last writes.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// The running background tasks. Stop them before the process ends: they write the most recent last-seen times.
pub struct Background {
    jobs: Arc<Jobs>,
    stopping: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    pub(in crate::service) async fn renew_leases(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(fence) = self.fence.fence.clone() else { return };
        let mut log_on_change = LogOnChange::default();
        while !stopped(&mut stop, EVERY).await {
            let current = fence.renew().await;
            // The sooner the node sees a switch, the shorter a revocation after it has to wait.
            if let Ok(stamps) = &current {
                let stamps = stamps.clone();
                let status = self.core.ledger.watch(move |db| live_store::status(db, &stamps)).await;
                let _seen = status.map(|status| self.sessions.sight(status));
            }
            log_on_change.about("reading the current Redis processes", current.err());
        }
    }

    pub(in crate::service) async fn keep_looking(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut log_on_change = LogOnChange::default();
        while !stopped(&mut stop, EVERY).await {
            log_on_change.about("checking whether the database is an older copy", self.fence.look().await.err());
        }
    }

    pub(in crate::service) async fn keep_comparing_clocks(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut log_on_change = LogOnChange::default();
        while !stopped(&mut stop, EVERY).await {
            log_on_change.about("reading the database's clock", self.fence.compare_clocks().await.err());
        }
    }

    pub(in crate::service) async fn sweep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut log_on_change, mut left_behind) = (LogOnChange::default(), LeftBehind::default());
        let mut unretired = LogOnChange::default();
        while !stopped(&mut stop, EVERY).await {
            let swept = self.sweep_once().await;
            if self.core.live.is_none()
                && swept.is_err()
                && left_behind.is_it(
                    self.oldest_pending_invalidation().await,
                    self.core.clock(),
                    self.left_behind_after(),
                )
            {
                let left = self.leave_redis_behind().await;
                unretired.about("retiring the unused Redis of this deployment", left.err());
            }
            log_on_change.about("confirming revocations", swept.err());
        }
    }

    pub(in crate::service) async fn write_record(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut log_on_change = LogOnChange::default();
        while !stopped(&mut stop, EVERY).await {
            log_on_change.about("writing refusals to the audit log", self.audit.write_refusals(false).await.err());
        }
    }

    pub(in crate::service) async fn housekeep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut log_on_change, mut done, mut pause) = (LogOnChange::default(), None, EVERY);
        while !stopped(&mut stop, pause).await {
            pause = EVERY;
            let now = self.core.clock().now();
            if done.is_none_or(|at| now < at || now.since(at) >= retention::EVERY) {
                let kept = tokio::select! {
                    kept = self.keep_house() => kept.err(),
                    // The next start does the rest.
                    _ = stop.changed() => return,
                };
                match &kept {
                    None => done = Some(now),
                    Some(_) => pause = HOUSE_AGAIN,
                }
                log_on_change.about("purging old data", kept);
            }
        }
    }

    /// An invalidation that stays pending this long means that no node has Redis any more.
    fn left_behind_after(&self) -> Duration {
        given_up_after(self.core.policy.store_lease)
    }

    async fn oldest_pending_invalidation(&self) -> Option<Uuid> {
        let oldest = self.core.ledger.read(|db| pending_invalidations::oldest(db, None, 1)).await.ok()?;
        oldest.first().map(|record| record.id)
    }

    /// This deployment used Redis once and goes on without it: revocations need not wait for it.
    async fn leave_redis_behind(&self) -> Result<(), LedgerError> {
        if self.core.ledger.write(live_store::retire_current).await? {
            log::warn!(
                "no node has confirmed a revocation for {} s: the Redis of this deployment is retired until it is \
                 restarted, and every check reads the ledger",
                self.left_behind_after().as_secs()
            );
        }
        Ok(())
    }

    /// Does the pending invalidations, the oldest first, to the end. One that cannot be done now delays no other: in a
    /// cluster one master may be down. Returns the last failure.
    async fn sweep_once(&self) -> Result<(), String> {
        let (mut after, mut outcome) = (None, Ok(()));
        loop {
            let waiting = self.core.ledger.read(move |db| pending_invalidations::oldest(db, after, BATCH)).await;
            let waiting = waiting.map_err(|error| error.to_string())?;
            let Some(last) = waiting.last() else { return outcome };
            after = Some(last.id);
            let shares = self.shares(&waiting).await;
            let done = join_all(shares.iter().map(|share| self.sessions.invalidate_left_over(share, EVERY))).await;
            let failed = done.into_iter().find_map(Result::err);
            outcome = failed.map_or(outcome, |error| Err(error.to_string()));
        }
    }

    /// The records grouped by the Redis process that holds them, or would.
    async fn shares(&self, records: &[PendingInvalidation]) -> Vec<Vec<PendingInvalidation>> {
        let Some(live) = &self.core.live else { return vec![records.to_vec()] };
        let hashes: Vec<_> = records.iter().map(|record| record.token_hash).collect();
        let shares = live.shares(&hashes).await.into_iter();
        shares.map(|share| share.into_iter().filter_map(|at| records.get(at).copied()).collect()).collect()
    }

    pub(in crate::service) async fn write_last_seen(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut log_on_change = LogOnChange::default();
        while !*stop.borrow_and_update() {
            let pause = if self.core.last_seen.overdue() { OVERDUE_AGAIN } else { EVERY };
            tokio::select! {
                () = self.core.last_seen.until_urgent(pause) => {}
                _ = stop.changed() => {}
            }
            log_on_change.about("writing last-seen times", self.check.flush_last_seen(false).await.err());
        }
    }
}

impl Background {
    pub(in crate::service) fn new(jobs: Arc<Jobs>, stopping: watch::Sender<bool>, tasks: Vec<JoinHandle<()>>) -> Self {
        Self { jobs, stopping, tasks }
    }

    /// Ends the tasks, writes the remaining buffers and sends the remaining notices, within a time limit.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        for task in self.tasks {
            let _ended = tokio::time::timeout(STOP_WAIT, task).await;
        }
        match tokio::time::timeout(STOP_WAIT, self.jobs.check.flush_last_seen(true)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("the remaining last-seen times were not written: {error}"),
            Err(_) => log::warn!("the remaining last-seen times were not written in time"),
        }
        if !matches!(tokio::time::timeout(STOP_WAIT, self.jobs.audit.write_refusals(true)).await, Ok(Ok(()))) {
            log::warn!("the latest refusals are not in the audit log");
        }
        // Redis must know of the last revocation: an older copy may be put back before the next check.
        if !matches!(tokio::time::timeout(STOP_WAIT, self.jobs.fence.look()).await, Ok(Ok(_))) {
            log::warn!("the database's position was not written to Redis");
        }
        // After the last answer.
        if !matches!(tokio::time::timeout(STOP_WAIT, self.jobs.fence.leave_lease()).await, Ok(Ok(()))) {
            log::warn!("this node's lease was not given back: revocations may wait for its end");
        }
        if !matches!(tokio::time::timeout(STOP_WAIT, self.jobs.fence.leave()).await, Ok(Ok(()))) {
            log::warn!("the other nodes were not told that this node stops");
        }
    }
}

/// Detects that a deployment no longer uses Redis: nodes with Redis sweep every second, so a long pending invalidation
/// means that there is no such node. A single node that was started without Redis by mistake changes nothing.
#[derive(Default)]
struct LeftBehind {
    waiting: Option<(Uuid, Duration)>,
}

impl LeftBehind {
    fn is_it(&mut self, oldest: Option<Uuid>, clock: &dyn Clock, after: Duration) -> bool {
        let now = clock.monotonic();
        let since = match (oldest, self.waiting) {
            (Some(id), Some((known, since))) if id == known => since,
            _ => now,
        };
        self.waiting = oldest.map(|id| (id, since));
        oldest.is_some() && now.saturating_sub(since) >= after
    }
}
