//! Invalidate: after the ledger has ended a session, make sure that no record still says it is live.
//!
//! Owns the second half of every revocation: delete the records, then read in SQL that the Redis process that lost them
//! is the one that nodes may trust, then remove the pending invalidations. Must never report success without that read
//! (guard of the model: "check after the DEL").

use std::time::Duration;

use crate::domain::{SessionId, Stamp, TokenHash};
use crate::fault_point;
use crate::ledger::live_store::{self, FenceStatus};
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::live::Live;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;
use crate::service::sessions::Sessions;

/// Time for the questions to the stores, on top of the time that has to be waited for.
const TIME_TO_ASK: Duration = Duration::from_secs(2);
/// The limit for any lease: the client gets an answer before common proxies give up (the least patient after 30 s).
const LONGEST: Duration = Duration::from_secs(20);
/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// The ledger has ended the session, but a record may still stand. The sweeper goes on; a repeated request does, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not confirmed: {0}")]
pub(in crate::service) struct InvalidationPending(pub(in crate::service) String);

impl From<InvalidationPending> for Denied {
    fn from(error: InvalidationPending) -> Self {
        Self::Unconfirmed(error.to_string())
    }
}

/// How long to wait for a node that reaches the Redis which this one does not: each sweeps every second.
const ELSEWHERE: Duration = Duration::from_millis(1_500);

/// The result of one attempt.
enum Progress {
    /// No node can trust the deleted records any more.
    Done,
    /// The records are deleted, but a node may trust a retired Redis for this long.
    Wait(Duration),
    /// Nodes may trust another Redis than the one that this node reaches, if any: a node that reaches it sweeps.
    Elsewhere(InvalidationPending),
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
        self.delete_for_good(records, deadline).await?;
        self.events.spread_to_others(&sessions).await;
        fault_point::reach("invalidate: announced");
        Ok(())
    }

    /// The same for pending invalidations that another request left. Tells every node once they are done.
    pub(in crate::service) async fn invalidate_left_over(
        &self,
        records: &[PendingInvalidation],
        deadline: Duration,
    ) -> Result<(), InvalidationPending> {
        self.delete_for_good(records, deadline).await?;
        let sessions = sessions_of(records);
        self.events.hub.hint(sessions.iter().copied());
        self.events.spread_to_others(&sessions).await;
        Ok(())
    }

    async fn delete_for_good(
        &self,
        records: &[PendingInvalidation],
        deadline: Duration,
    ) -> Result<(), InvalidationPending> {
        if records.is_empty() {
            return Ok(());
        }
        let started = self.core.clock().monotonic();
        loop {
            let (pause, patience, why) = match self.invalidate_once(records).await? {
                Progress::Done => return Ok(()),
                Progress::Wait(left) => (left, deadline, still_trusted()),
                Progress::Elsewhere(why) => (PAUSE, deadline.min(ELSEWHERE), why),
            };
            let elapsed = self.core.clock().monotonic().saturating_sub(started);
            if elapsed.saturating_add(pause) >= patience {
                return Err(why);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes once more the records of tokens that are over. Returns whether no node can trust one any more.
    pub(in crate::service) async fn invalidate_again(&self, hashes: &[TokenHash]) -> bool {
        let deleted = match &self.core.live {
            Some(live) => live.delete(hashes).await,
            None => Ok(Vec::new()),
        };
        let Ok(stamps) = deleted else { return false };
        matches!(self.grace_left(stamps).await, Ok(Some(Duration::ZERO)))
    }

    async fn invalidate_once(&self, records: &[PendingInvalidation]) -> Result<Progress, InvalidationPending> {
        let deleted = match &self.core.live {
            Some(live) => delete(live, records).await,
            None => Ok(Vec::new()),
        };
        fault_point::reach("invalidate: deleted");
        // If nothing could be deleted, the invalidation is done only if no node may trust any Redis.
        let stamps = deleted.clone().unwrap_or_default();
        match self.grace_left(stamps).await? {
            Some(Duration::ZERO) => {
                fault_point::reach("invalidate: may be removed");
                let records = records.to_vec();
                self.core.write(move |db| pending_invalidations::remove(db, &records)).await.map_err(unknown)?;
                fault_point::reach("invalidate: removed");
                Ok(Progress::Done)
            }
            Some(left) => Ok(Progress::Wait(left)),
            None if self.swept(records).await? => Ok(Progress::Done),
            None => Ok(Progress::Elsewhere(deleted.err().unwrap_or_else(still_trusted))),
        }
    }

    /// How long a node may still trust another Redis than those of `stamps`; none when one of `stamps` is not current.
    async fn grace_left(&self, stamps: Vec<Stamp>) -> Result<Option<Duration>, InvalidationPending> {
        let status = self.core.ledger.read(move |db| live_store::status(db, &stamps)).await.map_err(unknown)?;
        Ok(self.sight(status))
    }

    /// What follows from the fence status, and since when this node has seen it.
    pub(in crate::service) fn sight(&self, status: FenceStatus) -> Option<Duration> {
        let (lease, now) = (self.core.policy.store_lease, self.core.clock().monotonic());
        self.lease_grace.remaining(status, lease, now)
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

/// How long an invalidation may take: the longest time that a node can trust a retired Redis, and the time
/// to ask. If the lease is longer than a client waits, a revocation right after a switch is 503 at once, until the rest
/// of the lease is short enough to wait for.
fn deadline(lease: Duration) -> Duration {
    lease.saturating_add(TIME_TO_ASK).min(LONGEST)
}

async fn delete(live: &Live, records: &[PendingInvalidation]) -> Result<Vec<Stamp>, InvalidationPending> {
    let hashes: Vec<_> = records.iter().map(|record| record.token_hash).collect();
    live.delete(&hashes).await.map_err(|error| InvalidationPending(error.to_string()))
}

fn still_trusted() -> InvalidationPending {
    InvalidationPending("a node may still trust another Redis".to_owned())
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
        for (lease, waited) in [(2, 4), (3, 5), (18, 20), (30, 20)] {
            assert_eq!(deadline(seconds(lease)), seconds(waited), "a lease of {lease} s");
        }
    }
}
