//! Lease renewal: keeps this node's lease, and reads what the lease obliges it to.
//!
//! Owns the order: stop to use copies where the renewal will not allow them; commit the renewal; only then read what is
//! pending, the other leases and the server; drop what is pending; believe. Must never wait behind other work: every
//! answer from the ledger depends on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::fault_point;
use crate::ledger::node_leases::{self, LeaseReading};
use crate::ledger::{Db, LedgerError, pending_invalidations};
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::fence::Fence;
use crate::service::fence::lease_watch::{Holder, Watched};
use crate::service::fence::node_lease::{Attempt, Grant, TERM};

/// How often a node renews its lease.
const EVERY: Duration = Duration::from_millis(500);
/// The pause before a renewal that somebody waits for.
const AT_LEAST: Duration = Duration::from_millis(20);
/// A renewal that takes longer is given up: another one over another connection may be faster.
const PATIENCE: Duration = Duration::from_secs(1);
/// A node serves for this long before it keeps copies: each process of a crash loop would leave a lease to wait for.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Pending invalidations that are read at a renewal. With more, every copy is dropped: a revocation of very many
/// sessions must not make the renewals slow.
const MOST_PENDING: usize = 1_000;
/// How long a reading of the leases counts as new.
const FRESH: Duration = Duration::from_millis(200);

/// The answer to an attempt; no grant when the row is gone.
struct Renewed {
    grant: Option<Grant>,
    reading: LeaseReading,
}

impl Fence {
    /// Whether this node needs a lease: for its answers from the ledger, for copies, or for both.
    pub(in crate::service) fn needs_row(&self) -> bool {
        self.core.ledger.needs_lease() || self.node_lease.keeps_copies()
    }

    /// Takes the lease before the first request; a database that does not answer now is asked again while the node
    /// serves, and until then the node answers 503.
    pub(in crate::service) async fn take_lease(&self) {
        if self.core.ledger.needs_lease() {
            // Not granted yet: from here on, reads need it.
            self.core.ledger.hold_lease(None, Duration::ZERO);
        }
        if self.needs_row()
            && let Err(error) = self.renew_node_lease_once(false).await
        {
            log::warn!("this node has no lease on the database yet: {error}");
        }
    }

    /// Renews the lease until the node stops.
    pub(in crate::service) async fn renew_node_lease(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if !self.needs_row() {
            return self.bury_others(stop).await;
        }
        let (started, copies_after) = (self.core.clock().monotonic(), fault_point::copies_after(SETTLED_AFTER));
        let (mut log_on_change, mut fails, mut told) = (LogOnChange::default(), false, false);
        loop {
            let stops = tokio::select! {
                stops = stopped(&mut stop, EVERY) => stops,
                () = self.core.ledger.lease_wanted() => stopped(&mut stop, AT_LEAST).await,
            };
            if stops {
                if self.node_lease.keeps_copies() {
                    // Nobody waits for this node while it writes what is left.
                    let _said = self.renew_node_lease_once(false).await;
                }
                return;
            }
            let now = self.core.clock().monotonic();
            let settled = now.saturating_sub(started) >= copies_after;
            self.node_lease.set_should_copy(settled);
            // A row that goes on saying "copies" while nothing is applied would make others wait for ever.
            let goes_on = !fails || self.node_lease.runs(now);
            let copies = goes_on
                && self.node_lease.should_copy()
                && self.node_lease.hears(now)
                && self.core.ledger.check().is_ok();
            let failed = self.renew_node_lease_once(copies).await.err();
            fails = failed.is_some();
            self.core.ledger.tried_lease(fails);
            self.tell_copies(&mut told);
            log_on_change.about("renewing this node's lease on the database", failed);
            self.bury_leases().await;
        }
    }

    async fn renew_node_lease_once(&self, copies: bool) -> Result<(), LedgerError> {
        let (clock, ledger) = (self.core.clock(), &self.core.ledger);
        let asked_at = ledger.stopwatch();
        let attempt = self.node_lease.attempt(copies, clock.monotonic());
        let asked = attempt.clone();
        let renewed = timeout(PATIENCE, ledger.renew_lease(move |db| renew(db, &asked))).await;
        let renewed = renewed.unwrap_or(Err(LedgerError::Silent("the lease was not renewed in time")));
        let returned = clock.monotonic();
        let Renewed { grant, reading } = match renewed {
            Ok(renewed) => renewed,
            Err(error) => return Err(error),
        };
        self.lease_watch.note(&reading, attempt.asked, returned);
        let Some(grant) = grant else {
            self.node_lease.begin_anew(self.core.random());
            return Err(LedgerError::Leaseless);
        };
        if !self.node_lease.apply(&attempt, &grant, returned) {
            return Err(LedgerError::Silent("the lease was renewed too late"));
        }
        if ledger.needs_lease() {
            ledger.hold_lease(Some(&grant.server), asked_at.saturating_add(TERM));
        }
        match self.lease_watch.watched(returned) {
            Watched::Server(server) if !reading.watched => self.note_watched(server).await,
            _ => Ok(()),
        }
    }

    /// Tells nodes that start later: they need not watch this server for themselves.
    async fn note_watched(&self, server: String) -> Result<(), LedgerError> {
        self.core.ledger.write_aside(move |db| node_leases::note_watched(db, &server)).await
    }

    /// Logs when this node begins to answer from copies, and when it stops.
    fn tell_copies(&self, told: &mut bool) {
        let runs = self.node_lease.runs(self.core.clock().monotonic());
        if runs != std::mem::replace(told, runs) {
            let (name, entries) = (self.node_lease.name(), self.core.policy.near_cache);
            match runs {
                true => log::info!("near cache: up to {entries} sessions, under this node's lease {name}"),
                false => log::info!("near cache: not used until this node has a lease again"),
            }
        }
    }

    /// A node without a lease of its own deletes what dead nodes have left: without that, its first revocation would wait
    /// for them after each start.
    async fn bury_others(&self, mut stop: watch::Receiver<bool>) {
        let mut looked = self.look_at_leases().await;
        while !stopped(&mut stop, EVERY).await {
            if looked.is_err() || self.lease_watch.sees_leases() {
                looked = self.look_at_leases().await;
                self.bury_leases().await;
            }
        }
    }

    async fn bury_leases(&self) {
        let gone = self.lease_watch.buried(&self.node_lease.name());
        if gone.is_empty() {
            return;
        }
        let bury = move |db: &mut Db| gone.iter().try_for_each(|lease| node_leases::remove(db, lease));
        if let Err(error) = self.core.ledger.write_aside(bury).await {
            log::debug!("leases of nodes that are gone were not deleted: {error}");
        }
    }

    /// The node stops: it uses no copies from now on, and only then gives its lease back.
    pub(in crate::service) async fn leave_lease(&self) -> Result<(), LedgerError> {
        self.node_lease.stop_copies();
        if !self.needs_row() {
            return Ok(());
        }
        let name = self.node_lease.name();
        self.core.ledger.write_regardless(move |db| node_leases::leave(db, &name)).await
    }

    /// Adds a reading of the leases that a question of this node brought along.
    pub(in crate::service) fn note_leases(&self, reading: &LeaseReading, sent: Duration) {
        self.lease_watch.note(reading, sent, self.core.clock().monotonic());
    }

    /// Reads the leases, unless somebody on this node just did.
    pub(in crate::service) async fn look_at_leases(&self) -> Result<(), LedgerError> {
        let looked = timeout(PATIENCE, self.look_in_turn()).await;
        looked.unwrap_or(Err(LedgerError::Silent("the leases were not read in time")))
    }

    async fn look_in_turn(&self) -> Result<(), LedgerError> {
        let _turn = self.lease_turn.lock().await;
        let sent = self.core.clock().monotonic();
        if self.lease_watch.sent() != Duration::ZERO && sent.saturating_sub(self.lease_watch.sent()) < FRESH {
            return Ok(());
        }
        let reading = self.core.ledger.watch(node_leases::read).await?;
        self.note_leases(&reading, sent);
        Ok(())
    }

    /// The database server on which no lease of an earlier one is left; a file has no other server. Asked before records
    /// are deleted: a node that is left with an old primary could still fill one from it.
    pub(in crate::service) async fn watched_server(&self) -> Result<Watched, LedgerError> {
        if !self.core.ledger.needs_lease() {
            return Ok(Watched::Server(String::new()));
        }
        if let watched @ Watched::Server(_) = self.lease_watch.watched(Duration::ZERO) {
            return Ok(watched);
        }
        self.look_at_leases().await?;
        Ok(self.lease_watch.watched(self.core.clock().monotonic()))
    }

    /// Whether a reading came from the server that was watched.
    pub(in crate::service) fn is_watched(&self, watched: &str, reading: &LeaseReading) -> bool {
        !self.core.ledger.needs_lease() || reading.server == watched
    }

    /// The other nodes that may answer from copies by this reading.
    pub(in crate::service) fn holders(&self, reading: &LeaseReading) -> Vec<Holder> {
        self.lease_watch.holders(reading, &self.node_lease.name())
    }
}

fn renew(db: &mut Db, attempt: &Attempt) -> Result<Renewed, LedgerError> {
    let is_there = match attempt.is_first {
        true => node_leases::add(db, &attempt.row)?,
        false => node_leases::renew(db, &attempt.row)?,
    };
    // In statements of their own, after the commit: a revocation that was committed before is seen.
    let reading = node_leases::read(db)?;
    let pending = match attempt.row.copies {
        true => pending_invalidations::token_hashes(db, MOST_PENDING)?,
        false => Some(Vec::new()),
    };
    let grant = is_there.then(|| Grant { server: reading.server.clone(), pending });
    Ok(Renewed { grant, reading })
}
