//! Worker connection: the connection of one worker.
//!
//! Owns the open connection, and the backoff after a failure: while Redis is down, requests fail at once, and now and
//! then one of them tries to connect. Must never hand a connection to another worker: the runtime that made it drives
//! it.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Manager;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::LiveError;
use super::connection::Stamped;
use super::manager::StampedPool;
use crate::domain::{Clock, SystemRandom, random};

/// The first pause is between half of this and this; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that breaks sooner counts as a failed attempt, or each request would open another one.
const TOO_SOON: Duration = Duration::from_secs(1);

/// One worker's connection, opened on first use and replaced when it breaks.
pub(super) struct WorkerConnection {
    pool: StampedPool,
    clock: Arc<dyn Clock>,
    /// Longer than one attempt can take.
    patience: Duration,
    parked: Mutex<Option<Parked>>,
    outage: Mutex<Option<Outage>>,
    connecting: tokio::sync::Mutex<()>,
}

struct Parked {
    connection: Arc<Stamped>,
    since: Duration,
}

struct Outage {
    cause: LiveError,
    pause: Duration,
    until: Duration,
}

impl WorkerConnection {
    /// A worker connection that is not open yet.
    pub(super) fn new(pool: StampedPool, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        let (parked, outage) = (Mutex::default(), Mutex::default());
        Self { pool, clock, patience, parked, outage, connecting: tokio::sync::Mutex::default() }
    }

    /// The connection; a new one when there is none to use.
    pub(super) async fn connection(&self) -> Result<Arc<Stamped>, LiveError> {
        match self.parked() {
            Some(connection) => Ok(connection),
            None => self.reconnect().boxed().await,
        }
    }

    /// The open connection, if there is one to use.
    pub(super) fn parked(&self) -> Option<Arc<Stamped>> {
        let mut spot = self.parked.lock();
        if let Some(gone) = spot.take_if(|parked| !parked.connection.usable()) {
            self.part_with(&gone);
        }
        spot.as_ref().map(|parked| Arc::clone(&parked.connection))
    }

    fn part_with(&self, gone: &Parked) {
        if gone.connection.broken() && self.clock.monotonic() < gone.since + TOO_SOON {
            self.hold_back(LiveError::Down("the connection broke as soon as it was made".to_owned()));
        }
    }

    async fn reconnect(&self) -> Result<Arc<Stamped>, LiveError> {
        let _turn = self.turn().await?;
        // Another request may have connected, or failed to, while this one waited for its turn.
        if let Some(connection) = self.parked() {
            return Ok(connection);
        }
        self.not_too_soon()?;
        // Created by the pool's manager on this worker: a pooled one might be driven by another worker.
        let attempt = self.pool.manager().create().await;
        match attempt.and_then(not_retired) {
            Ok(connection) => {
                self.park(&connection);
                Ok(connection)
            }
            Err(error) => {
                self.hold_back(error.clone());
                Err(error)
            }
        }
    }

    /// One attempt at a time. The first request after a loss waits for it; while Redis is known to be down, no request
    /// waits for another one's attempt.
    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, LiveError> {
        if self.outage.lock().is_none() {
            return timeout(self.patience, self.connecting.lock()).await.map_err(|_| LiveError::Timeout);
        }
        self.not_too_soon()?;
        let turn = self.connecting.try_lock();
        turn.map_err(|_| LiveError::Down("another request is trying to connect".to_owned()))
    }

    fn not_too_soon(&self) -> Result<(), LiveError> {
        match self.outage.lock().as_ref() {
            Some(outage) if self.clock.monotonic() < outage.until => {
                Err(LiveError::Down(format!("not tried again yet ({})", outage.cause)))
            }
            _ => Ok(()),
        }
    }

    fn hold_back(&self, cause: LiveError) {
        let mut outage = self.outage.lock();
        let pause = match outage.as_ref() {
            Some(before) => (before.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        if outage.is_none() {
            log::warn!("continuing without Redis: {cause}");
        }
        *outage = Some(Outage { cause, pause, until: self.clock.monotonic() + jittered(pause) });
    }

    fn park(&self, connection: &Arc<Stamped>) {
        let parked = Parked { connection: Arc::clone(connection), since: self.clock.monotonic() };
        *self.parked.lock() = Some(parked);
        if self.outage.lock().take().is_some() {
            log::info!("Redis is used again");
        }
    }
}

/// Rejects a lease that was retired during the connection attempt; otherwise every request would connect again.
fn not_retired(connection: Arc<Stamped>) -> Result<Arc<Stamped>, LiveError> {
    let retired = || LiveError::FencedOff("another process has taken its place".to_owned());
    if connection.usable() { Ok(connection) } else { Err(retired()) }
}

/// Between half of the pause and all of it, so that the workers do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let [chance] = random::bytes(&SystemRandom);
    pause / 2 + pause / 2 * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_and_all_of_what_it_may_be() {
        for _ in 0..1_000 {
            let pause = jittered(FIRST_PAUSE);
            assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause), "{pause:?}");
        }
    }
}
