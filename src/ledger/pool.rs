//! A bounded number of connections, and a bounded number of callers waiting for one.
//!
//! Owns the bridge from async to diesel's blocking calls. Must never let a caller wait for ever: not for a place
//! in the queue, not for a connection, not for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use diesel::r2d2::Pool;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::db::{Database, Db, DbManager, Purpose};
use super::error::LedgerError;
use crate::domain::SystemClock;

/// Callers that may wait for a connection beyond those that have one.
const MAX_WAITING: usize = 4_096;
/// How long a caller waits for its turn.
const QUEUE_WAIT: Duration = Duration::from_secs(4);
/// How long a caller waits for the database once its turn has come.
const ANSWER_WAIT: Duration = Duration::from_secs(6);
/// How long a caller may wait in all.
pub(super) const LONGEST_WAIT: Duration = QUEUE_WAIT.saturating_add(ANSWER_WAIT);
/// How long opening a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct LedgerPool {
    connections: Pool<DbManager>,
    clock: Arc<SystemClock>,
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Callers that were done with their connection.
    served: Arc<AtomicU64>,
    bound: usize,
}

impl LedgerPool {
    pub(super) fn new(database: &Database, purpose: Purpose, statements: &Arc<AtomicU64>) -> Result<Self, LedgerError> {
        let bound = size(database, purpose);
        let (database, statements) = (database.clone(), Arc::clone(statements));
        let clock = Arc::new(SystemClock::new());
        let manager = DbManager { database, purpose, statements, clock: Arc::clone(&clock) };
        let connections = Pool::builder()
            .max_size(u32::try_from(bound).unwrap_or(u32::MAX))
            .min_idle(Some(0))
            .connection_timeout(CONNECT_WAIT)
            .error_handler(Box::new(LogOnce))
            .build_unchecked(manager);
        Ok(Self {
            connections,
            clock,
            turns: Arc::new(Semaphore::new(bound)),
            waiting: Arc::default(),
            served: Arc::default(),
            bound,
        })
    }

    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Lends a connection to `body`, on a thread that may block.
    pub(super) async fn run<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let turn = {
            let _place = Place::take(&self.waiting)?;
            let before = self.served.load(Ordering::Relaxed);
            timeout(QUEUE_WAIT, Arc::clone(&self.turns).acquire_owned())
                .await
                .map_err(|_| self.no_turn_since(before))?
                .map_err(|_| LedgerError::Busy("stopping"))?
        };
        let (connections, clock) = (self.connections.clone(), Arc::clone(&self.clock));
        let served = Arc::clone(&self.served);
        let job = tokio::task::spawn_blocking(move || {
            // The turn is given back when the work is done, not when the caller has lost patience.
            let _turn = turn;
            let mut pooled = connections.get().map_err(|error| LedgerError::Unreachable(error.to_string()))?;
            let answer = pooled.use_for(&clock, body);
            served.fetch_add(1, Ordering::Relaxed);
            answer
        });
        timeout(ANSWER_WAIT, job)
            .await
            .map_err(|_| LedgerError::Silent("no answer in time"))?
            .map_err(|error| LedgerError::Unavailable(error.to_string()))?
    }

    /// Why a turn did not come: many are asked, or whoever has a turn gets no answer.
    fn no_turn_since(&self, served: u64) -> LedgerError {
        match self.served.load(Ordering::Relaxed) == served {
            true => LedgerError::Silent("nobody was answered in time"),
            false => LedgerError::Busy("no turn in time"),
        }
    }
}

/// SQLite has one writer at a time anyway; here they queue in order instead of polling its lock.
fn size(database: &Database, purpose: Purpose) -> usize {
    match (database, purpose) {
        (Database::Sqlite { .. }, Purpose::Write) => 1,
        (Database::Sqlite { .. }, Purpose::Read) => 4,
        (_, Purpose::Entrance) => 2,
        // Which Redis may speak and what time it is, each asked by one at a time; the third place is for the next,
        // while the database owes the first its answer.
        (_, Purpose::Watch) => 3,
        #[cfg(feature = "postgres")]
        (Database::Postgres { .. }, Purpose::Read | Purpose::Write) => 8,
    }
}

/// One caller's place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, LedgerError> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(LedgerError::Busy("too many are waiting"));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// r2d2 reports each failed attempt to connect; the caller reports the one that matters.
#[derive(Debug)]
struct LogOnce;

impl<E: std::error::Error> diesel::r2d2::HandleError<E> for LogOnce {
    fn handle_error(&self, error: E) {
        log::debug!("connecting to the database failed: {error}");
    }
}
