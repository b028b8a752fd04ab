//! Holders: the other nodes that may answer from copies.
//!
//! Owns the wait of every revocation for them: each has acknowledged this very message, or applied a later reading of
//! what is pending, or has no lease for copies any more. Stands directly before the removal of the pending
//! invalidations, for every caller. Must never trust an acknowledgement of another message.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::TokenHash;
use crate::ledger::node_leases::LeaseReading;
use crate::live::{Live, LiveError};
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::fence::lease_watch::Holder;
use crate::service::sessions::Sessions;
use crate::service::sessions::invalidate::InvalidationPending;

/// How often the leases are read while a holder does not answer.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A revocation that waited longer than this is told in the log.
const LONG: Duration = Duration::from_millis(500);
/// How often a node looks whether there are holders to listen to.
const HOLDERS_EVERY: Duration = Duration::from_millis(500);

impl Sessions {
    /// Drops the copies of these tokens on this node and on every other that may have some by this reading, which was
    /// made after their records were deleted. Waits at most for `patience`.
    pub(in crate::service) async fn drop_copies(
        &self,
        hashes: &[TokenHash],
        reading: &LeaseReading,
        patience: Duration,
    ) -> Result<(), InvalidationPending> {
        self.fence.node_lease.drop_copies(hashes);
        let mut holders = self.fence.holders(reading);
        if holders.is_empty() {
            return Ok(());
        }
        let started = self.core.clock().monotonic();
        let message = self.acknowledgements.open();
        if let Some(live) = &self.core.live
            && let Err(error) = live.ask_to_drop(message.number, hashes).await
        {
            log::debug!("other nodes were not asked to drop copies: {error}");
        }
        loop {
            let heard = message.heard();
            holders.retain(|holder| !heard.contains(&holder.name) && !self.fence.lease_watch.is_settled(holder));
            let waited = self.core.clock().monotonic().saturating_sub(started);
            let Some(holder) = holders.first() else { return Ok(()) };
            self.tell_slow(holder, waited);
            if waited >= patience {
                return Err(InvalidationPending(format!("the node {} may still have a copy", holder.name)));
            }
            let pause = LOOK_EVERY.min(patience.saturating_sub(waited));
            if timeout(pause, message.news()).await.is_err()
                && let Err(error) = self.fence.look_at_leases().await
            {
                log::debug!("the leases of the other nodes were not read: {error}");
            }
        }
    }

    fn tell_slow(&self, holder: &Holder, waited: Duration) {
        if waited >= LONG && self.acknowledgements.is_new(&holder.name) {
            log::warn!(
                "a revocation waits for the node {}, which may answer from copies and does not say that it dropped \
                 them: at most until its lease is over",
                holder.name
            );
        }
    }

    /// Listens to the answers until the node stops, from the moment when there is a node that may answer from copies.
    pub(in crate::service) async fn hear_acknowledgements(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(live) = self.core.live.clone() else { return };
        let mut log_on_change = LogOnChange::default();
        let mut pause = Duration::ZERO;
        while !stopped(&mut stop, pause).await {
            pause = HOLDERS_EVERY;
            // Where one node keeps copies, the others will soon.
            let lease = &self.fence.node_lease;
            if !lease.keeps_copies() && !self.fence.lease_watch.sees_holders(&lease.name()) {
                continue;
            }
            let lost = tokio::select! {
                lost = self.listen(&live) => lost,
                _ = stop.changed() => return,
            };
            log_on_change
                .about("hearing the answers of nodes with copies", lost.err().map(|error| live.near_advice(error)));
        }
    }

    async fn listen(&self, live: &Live) -> Result<(), LiveError> {
        let mut listener = live.hear_acknowledgements().await?;
        loop {
            self.acknowledgements.take(listener.acknowledgement().await?);
        }
    }
}
