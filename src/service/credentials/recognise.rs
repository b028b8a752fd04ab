//! Recognise: which service shows this secret?
//!
//! Owns the age of the list in memory. Must never answer from one that is older than [`TRUST`]: a secret that was removed
//! would open something.

use std::time::Duration;

use tokio::time::timeout;

use super::Credentials;
use super::directory::{Caller, Known, TRUST};
use crate::domain::throttle::Counts;
use crate::domain::{Clock, ServiceSecret};
use crate::ledger::services;
use crate::service::core::denied::Denied;
use crate::service::core::unavailable::Unavailable;

/// From this age on the list is read again in the background.
const STALE: Duration = Duration::from_secs(1);
/// How long a request waits while another one reads: a database that hangs must not make a line of them.
const TURN_WAIT: Duration = Duration::from_secs(2);

impl Credentials {
    /// The service that shows this secret; none when it opens nothing.
    ///
    /// # Errors
    /// When the list is too old and cannot be read.
    pub async fn recognise(&self, secret: &ServiceSecret) -> Result<Option<Caller>, Unavailable> {
        let asked = self.core.clock.monotonic();
        let known = self.since(asked.saturating_sub(TRUST)).await?;
        if let Some(caller) = known.caller(secret, self.core.clock().now()) {
            if known.since < asked.saturating_sub(STALE) {
                self.read_behind();
            }
            return Ok(Some(caller));
        }
        // It may have been made a moment ago.
        let known = self.since(asked).await?;
        Ok(known.caller(secret, self.core.clock().now()))
    }

    /// Whether the secret of this caller still opens what it did.
    pub async fn still_knows(&self, caller: &Caller) -> Result<bool, Unavailable> {
        let known = self.since(self.core.clock.monotonic().saturating_sub(TRUST)).await?;
        Ok(known.has(caller, self.core.clock().now()))
    }

    /// Counts a request to an administrators' route.
    ///
    /// # Errors
    /// When the service has sent too many.
    pub async fn count_administration(&self, caller: &Caller) -> Result<(), Denied> {
        let spans = self.core.spans_of(&format!("service {}", caller.service), Counts::Administration);
        Ok(self.core.count_in(&spans).await.map(drop)?)
    }

    /// A list that was read after this moment.
    async fn since(&self, moment: Duration) -> Result<Known, Unavailable> {
        if let Some(known) = self.read_after(moment) {
            return Ok(known);
        }
        let turn = timeout(TURN_WAIT, self.directory.reading.lock()).await;
        let _turn = turn.map_err(|_| Unavailable::Store("the list of services is not read in time".to_owned()))?;
        // Another request may have read it meanwhile.
        match self.read_after(moment) {
            Some(known) => Ok(known),
            None => self.read().await,
        }
    }

    fn read_after(&self, moment: Duration) -> Option<Known> {
        self.directory.known.lock().clone().filter(|known| known.since > moment)
    }

    /// One at a time, and where strangers ask: any number of wrong secrets never delays a signed-in user.
    async fn read(&self) -> Result<Known, Unavailable> {
        let since = self.core.clock.monotonic();
        let services = self.core.ledger.read_at_entrance(services::all).await?.into();
        let known = Known { since, services };
        *self.directory.known.lock() = Some(known.clone());
        Ok(known)
    }

    fn read_behind(&self) {
        let room = self.clone();
        tokio::spawn(async move {
            if let Ok(_turn) = room.directory.reading.try_lock()
                && let Err(error) = room.read().await
            {
                log::warn!("the list of services cannot be read: {error}");
            }
        });
    }
}
