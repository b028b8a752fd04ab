//! Invalidate: after the ledger has ended a session, make sure that no record and no copy still says it is live.
//!
//! Owns the second half of every revocation: delete the records, then read in SQL that the Redis process that lost them
//! is the one that nodes may trust, then have every node drop its copies, then remove the pending invalidations. Must
//! never report success without that read (guard of the model: "check after the DEL"), and never before it is known
//! that no node is left with an earlier database server.

use std::time::Duration;

use crate::domain::{SessionId, Stamp, TokenHash};
use crate::fault_point;
use crate::ledger::live_store::{self, FenceStatus};
use crate::ledger::node_leases::{self, LeaseReading};
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::live::Live;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::fence::lease_watch::Watched;
use crate::service::fence::node_lease;
use crate::service::sessions::Sessions;

/// Time for the questions to the stores, on top of the time that has to be waited for.
const TIME_TO_ASK: Duration = Duration::from_secs(2);
/// The limit for any lease: the client gets an answer before common proxies give up (the least patient after 30 s).
const LONGEST: Duration = Duration::from_secs(20);
/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(50);
/// Every attempt waits this long for the nodes with copies: they answer in a few milliseconds.
const TIME_TO_DROP: Duration = Duration::from_millis(100);
/// In this time every node with copies has answered, or its lease is over.
const TIME_FOR_LEASES: Duration = node_lease::LENGTH.saturating_add(Duration::from_secs(1));

/// The ledger has ended the session, but a record or a copy may still stand. The sweeper goes on; a repeated request
/// does, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not confirmed: {0}")]
pub(in crate::service) struct InvalidationPending(pub(in crate::service) String);

impl From<InvalidationPending> for Denied {
    fn from(error: InvalidationPending) -> Self {
        Self::Unconfirmed(error.to_string())
    }
}

/// How long to wait for a node that reaches the Redis which this one does not: each sweeps every second, and may itself
/// have to wait for a lease.
const ELSEWHERE: Duration = Duration::from_millis(1_500);

/// The result of one attempt.
enum Progress {
    /// No node can trust the deleted records any more, and none has a copy.
    Done,
    /// It takes this long until no node can trust what it should not.
    Wait(Duration, InvalidationPending),
    /// Nodes may trust another Redis than the one that this node reaches, if any: a node that reaches it sweeps.
    Elsewhere(InvalidationPending),
}

/// What SQL says after the records were deleted.
enum Standing {
    /// No node trusts another Redis process: who has copies is in the reading.
    Clear(LeaseReading),
    /// A node may, for this long.
    Wait(Duration, InvalidationPending),
    /// The deleted records were not those that nodes trust.
    Superseded,
}

impl Sessions {
    /// Deletes these records for good. Their rows in `pending_invalidations` exist already.
    pub(in crate::service) async fn invalidate(
        &self,
        records: &[PendingInvalidation],
    ) -> Result<(), InvalidationPending> {
        self.invalidate_within(records, deadline(self.core.policy.store_lease)).await
    }

    /// Like [`Sessions::invalidate`], with the caller's deadline. Tells this node's own streams first, and
    /// even if it fails: the ledger has already ended the sessions.
    pub(in crate::service) async fn invalidate_within(
        &self,
        records: &[PendingInvalidation],
        deadline: Duration,
    ) -> Result<(), InvalidationPending> {
        let sessions = sessions_of(records);
        self.events.hub.hint(sessions.iter().copied());
        self.delete_for_good(records, deadline, TIME_TO_DROP).await?;
        self.events.spread_to_others(&sessions).await;
        fault_point::reach("invalidate: announced");
        Ok(())
    }

    /// The same for pending invalidations that another request left, with time for a lease of a node with copies to end.
    /// Tells every node once they are done.
    pub(in crate::service) async fn invalidate_left_over(
        &self,
        records: &[PendingInvalidation],
        deadline: Duration,
    ) -> Result<(), InvalidationPending> {
        self.delete_for_good(records, deadline, TIME_FOR_LEASES).await?;
        let sessions = sessions_of(records);
        self.events.hub.hint(sessions.iter().copied());
        self.events.spread_to_others(&sessions).await;
        Ok(())
    }

    async fn delete_for_good(
        &self,
        records: &[PendingInvalidation],
        deadline: Duration,
        for_copies: Duration,
    ) -> Result<(), InvalidationPending> {
        if records.is_empty() {
            return Ok(());
        }
        let started = self.core.clock().monotonic();
        loop {
            let elapsed = self.core.clock().monotonic().saturating_sub(started);
            let left = deadline.saturating_sub(elapsed).max(for_copies);
            let (pause, patience, why) = match self.invalidate_once(records, left).await? {
                Progress::Done => return Ok(()),
                Progress::Wait(left, why) => (left, deadline, why),
                Progress::Elsewhere(why) => (PAUSE, deadline.min(self.patience_elsewhere()), why),
            };
            let elapsed = self.core.clock().monotonic().saturating_sub(started);
            if elapsed.saturating_add(pause) >= patience {
                return Err(why);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes once more the records of tokens that are over, and drops the copies. Returns whether no node can trust
    /// one any more.
    pub(in crate::service) async fn invalidate_again(&self, hashes: &[TokenHash]) -> bool {
        let Ok(Watched::Server(watched)) = self.fence.watched_server().await else { return false };
        let deleted = match &self.core.live {
            Some(live) => live.delete(hashes).await,
            None => Ok(Vec::new()),
        };
        let Ok(stamps) = deleted else { return false };
        match self.standing(stamps, &watched).await {
            Ok(Standing::Clear(reading)) => self.drop_copies(hashes, &reading, node_lease::LENGTH).await.is_ok(),
            _ => false,
        }
    }

    async fn invalidate_once(
        &self,
        records: &[PendingInvalidation],
        patience: Duration,
    ) -> Result<Progress, InvalidationPending> {
        let watched = match self.fence.watched_server().await.map_err(unknown)? {
            Watched::Server(server) => server,
            Watched::NotFor(left) => return Ok(Progress::Wait(left.max(PAUSE), unwatched())),
        };
        let hashes: Vec<_> = records.iter().map(|record| record.token_hash).collect();
        let deleted = match &self.core.live {
            Some(live) => delete(live, &hashes).await,
            None => Ok(Vec::new()),
        };
        fault_point::reach("invalidate: deleted");
        // If nothing could be deleted, the invalidation is done only if no node may trust any Redis.
        let stamps = deleted.clone().unwrap_or_default();
        match self.standing(stamps, &watched).await? {
            Standing::Clear(reading) => {
                self.drop_copies(&hashes, &reading, patience).await?;
                fault_point::reach("invalidate: may be removed");
                let (records, server) = (records.to_vec(), reading.server);
                let removed = self.core.write(move |db| {
                    let is_there = node_leases::is_at(db, &server)?;
                    if is_there {
                        pending_invalidations::remove(db, &records)?;
                    }
                    Ok(is_there)
                });
                // Whoever has copies was judged on one server; on another, other nodes may have some.
                if !removed.await.map_err(unknown)? {
                    return Ok(Progress::Wait(PAUSE, unwatched()));
                }
                fault_point::reach("invalidate: removed");
                Ok(Progress::Done)
            }
            Standing::Wait(left, why) => Ok(Progress::Wait(left, why)),
            Standing::Superseded if self.swept(records).await? => Ok(Progress::Done),
            Standing::Superseded => Ok(Progress::Elsewhere(deleted.err().unwrap_or_else(still_trusted))),
        }
    }

    /// Reads whether a node may still trust another Redis than those of `stamps`, and which nodes may have copies.
    async fn standing(&self, stamps: Vec<Stamp>, watched: &str) -> Result<Standing, InvalidationPending> {
        let sent = self.core.clock().monotonic();
        let read = move |db: &mut _| Ok((live_store::status(db, &stamps)?, node_leases::read(db)?));
        let (status, reading) = self.core.ledger.read(read).await.map_err(unknown)?;
        self.fence.note_leases(&reading, sent);
        if !self.fence.is_watched(watched, &reading) {
            return Ok(Standing::Wait(PAUSE, unwatched()));
        }
        Ok(match self.sight(status) {
            Some(Duration::ZERO) => Standing::Clear(reading),
            Some(left) => Standing::Wait(left, still_trusted()),
            None => Standing::Superseded,
        })
    }

    /// What follows from the fence status, and since when this node has seen it.
    pub(in crate::service) fn sight(&self, status: FenceStatus) -> Option<Duration> {
        let (lease, now) = (self.core.policy.store_lease, self.core.clock().monotonic());
        // Under a lease of an earlier server, a node may have read there that another process is current.
        let longest = lease.saturating_add(node_lease::TERM);
        let is_new = self.core.ledger.needs_lease() && self.fence.lease_watch.age(now) < longest;
        self.lease_grace.remaining(status, if is_new { longest } else { lease }, now)
    }

    /// How long another node may take: it waits for a lease if a node may have copies, or if the server is new.
    fn patience_elsewhere(&self) -> Duration {
        let waits = self.fence.lease_watch.sees_holders(&self.fence.node_lease.name());
        if waits { ELSEWHERE.saturating_add(node_lease::LENGTH) } else { ELSEWHERE }
    }

    async fn swept(&self, records: &[PendingInvalidation]) -> Result<bool, InvalidationPending> {
        let records = records.to_vec();
        let waiting =
            self.core.ledger.read(move |db| pending_invalidations::any(db, &records)).await.map_err(unknown)?;
        Ok(!waiting)
    }
}

/// Each session once.
fn sessions_of(records: &[PendingInvalidation]) -> Vec<SessionId> {
    let mut sessions: Vec<_> = records.iter().map(|record| record.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    sessions
}

/// How long an invalidation may take: the longest time that a node can trust a retired Redis, the longest time that a
/// node can use its copies, and the time to ask. If the lease is longer than a client waits, a revocation right after a switch is 503 at once, until the rest
/// of the lease is short enough to wait for.
fn deadline(lease: Duration) -> Duration {
    lease.saturating_add(node_lease::LENGTH).saturating_add(TIME_TO_ASK).min(LONGEST)
}

/// After this time without a confirmation no node works on it any more: longer than any of them takes.
pub(in crate::service) fn given_up_after(lease: Duration) -> Duration {
    deadline(lease).saturating_add(node_lease::LENGTH).saturating_add(TIME_TO_ASK)
}

async fn delete(live: &Live, hashes: &[TokenHash]) -> Result<Vec<Stamp>, InvalidationPending> {
    live.delete(hashes).await.map_err(|error| InvalidationPending(error.to_string()))
}

fn still_trusted() -> InvalidationPending {
    InvalidationPending("a node may still trust another Redis".to_owned())
}

fn unwatched() -> InvalidationPending {
    InvalidationPending("a node may still answer from an earlier database server".to_owned())
}

fn unknown(error: impl Into<Unavailable>) -> InvalidationPending {
    InvalidationPending(error.into().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_waited_out_unless_it_is_longer_than_a_client_waits() {
        let seconds = Duration::from_secs;
        for (lease, waited) in [(2, 7), (3, 8), (15, 20), (30, 20)] {
            assert_eq!(deadline(seconds(lease)), seconds(waited), "a lease of {lease} s");
        }
    }
}
