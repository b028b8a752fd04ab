//! Pool: a bounded number of connections, and a bounded number of waiting callers.
//!
//! Owns the bridge from async to diesel's blocking calls. Must never let a caller wait without a limit: not for a place
//! in the queue, a connection, or the database. The driver itself may block forever: a call that exceeds its limit
//! gives its turn to the next caller, which gets another connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connections::{Connections, Generation};
use super::db::{Database, Db, Purpose};
use super::error::LedgerError;

/// Callers that may wait for a connection, besides those that have one.
const MAX_WAITING: usize = 4_096;
/// How long a caller waits for its turn.
const QUEUE_WAIT: Duration = Duration::from_secs(4);
/// How long a caller waits for the database once its turn has come.
const ANSWER_WAIT: Duration = Duration::from_secs(6);
/// How long a caller may wait in total.
pub(super) const LONGEST_WAIT: Duration = QUEUE_WAIT.saturating_add(ANSWER_WAIT);
/// How many calls may go on without a turn, each with a thread and a connection. Further ones keep their turn: when all
/// turns are kept, a caller gets the error that the database is too busy.
const MAX_LOST: usize = 16;

#[derive(Clone)]
pub(super) struct LedgerPool {
    connections: Arc<Connections>,
    generation: Generation,
    turns: Arc<Semaphore>,
    lost: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Calls that have finished.
    served: Arc<AtomicU64>,
    bound: usize,
    answer_wait: Duration,
}

impl LedgerPool {
    pub(super) fn new(
        database: &Database,
        purpose: Purpose,
        statements: &Arc<AtomicU64>,
        generation: &Generation,
    ) -> Self {
        let bound = size(database, purpose);
        let connections = Connections::new(database.clone(), purpose, Arc::clone(statements), generation.clone());
        let connections = Arc::new(connections);
        let (turns, lost) = (Arc::new(Semaphore::new(bound)), Arc::new(Semaphore::new(MAX_LOST)));
        Self {
            connections,
            generation: generation.clone(),
            turns,
            lost,
            waiting: Arc::default(),
            served: Arc::default(),
            bound,
            answer_wait: ANSWER_WAIT,
        }
    }

    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// How many threads may be blocked at once.
    pub(super) fn thread_bound(&self) -> usize {
        self.bound + MAX_LOST
    }

    /// Lends a connection to `body`, on a thread that may block.
    pub(super) async fn run<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let turn = {
            let _waiting = WaitingCaller::take(&self.waiting)?;
            let before = self.served.load(Ordering::Relaxed);
            timeout(QUEUE_WAIT, Arc::clone(&self.turns).acquire_owned())
                .await
                .map_err(|_| self.no_turn_since(before))?
                .map_err(|_| LedgerError::Busy("stopping"))?
        };
        // A separate task: the turn ends with the work or at its time limit, not when a client hangs up.
        let call = tokio::spawn(self.clone().call(turn, body));
        call.await.map_err(|error| LedgerError::Unavailable(error.to_string()))?
    }

    async fn call<T, F>(self, turn: OwnedSemaphorePermit, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let (connections, generation) = (Arc::clone(&self.connections), self.generation.now());
        let given_up = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given_up);
        let is_awaited = move || !seen.load(Ordering::SeqCst);
        let served = Arc::clone(&self.served);
        let mut job = tokio::task::spawn_blocking(move || {
            let answer = connections.lend(is_awaited, body);
            if !matches!(answer, Err(LedgerError::Unreachable(_))) {
                served.fetch_add(1, Ordering::Relaxed);
            }
            answer
        });
        if let Ok(ended) = timeout(self.answer_wait, &mut job).await {
            return ended.map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        }
        given_up.store(true, Ordering::SeqCst);
        self.generation.end(generation);
        let lost = self.lost.try_acquire_owned();
        let turn = lost.is_err().then_some(turn);
        drop(tokio::spawn(async move {
            let _ended = job.await;
            drop((lost, turn));
        }));
        Err(LedgerError::Silent("no answer in time"))
    }

    /// Why no turn came: the database has many callers, or does not answer those that have a turn.
    fn no_turn_since(&self, served: u64) -> LedgerError {
        match self.served.load(Ordering::Relaxed) == served {
            true => LedgerError::Silent("no query was answered in time"),
            false => LedgerError::Busy("no turn in time"),
        }
    }
}

/// SQLite has one writer at a time; here writers queue in order instead of polling its lock.
fn size(database: &Database, purpose: Purpose) -> usize {
    match (database, purpose) {
        (Database::Sqlite { .. }, Purpose::Write) => 1,
        (Database::Sqlite { .. }, Purpose::Read) => 4,
        (_, Purpose::Entrance) => 2,
        // The trusted Redis and the time, one query each; the third place is for the next query while the database does
        // not answer the first.
        (_, Purpose::Watch) => 3,
        // A renewal that hangs is given up, and keeps its place until the driver gives up, too.
        (_, Purpose::Lease) => 8,
        #[cfg(feature = "postgres")]
        (Database::Postgres { .. }, Purpose::Read | Purpose::Write) => 8,
    }
}

/// A caller that waits for its turn.
struct WaitingCaller<'a>(&'a AtomicUsize);

impl<'a> WaitingCaller<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, LedgerError> {
        let caller = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(LedgerError::Busy("too many queries are waiting"));
        }
        Ok(caller)
    }
}

impl Drop for WaitingCaller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(1);

    fn writes() -> LedgerPool {
        let database = Database::Sqlite { path: ":memory:".to_owned() };
        let mut pool = LedgerPool::new(&database, Purpose::Write, &Arc::default(), &Generation::default());
        assert_eq!(pool.bound(), 1);
        pool.answer_wait = Duration::from_millis(50);
        pool
    }

    /// A call that hangs until it is released.
    async fn hang(pool: &LedgerPool, free: &Arc<AtomicBool>) -> Result<(), LedgerError> {
        let free = Arc::clone(free);
        let body = move |_: &mut Db| {
            while !free.load(Ordering::SeqCst) {
                thread::sleep(PAUSE);
            }
            Ok(())
        };
        pool.run(body).await
    }

    #[tokio::test]
    async fn calls_that_hang_give_their_turn_to_the_next_as_long_as_they_are_few() {
        let (pool, free) = (writes(), Arc::new(AtomicBool::new(false)));
        for number in 0..MAX_LOST {
            let error = hang(&pool, &free).await.expect_err("it hangs");
            assert!(matches!(error, LedgerError::Silent("no answer in time")), "{number}: {error}");
            pool.run(|_| Ok(())).await.expect("the next one has its turn");
        }
        hang(&pool, &free).await.expect_err("it hangs");
        let error = pool.run(|_| Ok(())).await.expect_err("this one has kept its turn");
        assert!(matches!(error, LedgerError::Silent(_)), "{error}");
        free.store(true, Ordering::SeqCst);
        while pool.lost.available_permits() < MAX_LOST || pool.turns.available_permits() < 1 {
            tokio::time::sleep(PAUSE).await;
        }
        hang(&pool, &free).await.expect("it does not hang any more");
    }

    /// A client that hangs up does not free its call's turn.
    #[tokio::test]
    async fn a_client_that_hangs_up_takes_no_turn_along() {
        let (mut pool, free) = (writes(), Arc::new(AtomicBool::new(false)));
        pool.answer_wait = ANSWER_WAIT;
        for _ in 0..3 {
            timeout(Duration::from_millis(20), hang(&pool, &free)).await.expect_err("it hangs");
            assert_eq!((pool.turns.available_permits(), pool.lost.available_permits()), (0, MAX_LOST));
        }
        free.store(true, Ordering::SeqCst);
        pool.run(|_| Ok(())).await.expect("it was given back");
    }

    /// The server may be frozen, or no longer the primary when it continues.
    #[tokio::test]
    async fn no_connection_of_before_a_call_that_hung_is_lent_again() {
        use diesel::RunQueryDsl;
        use diesel::connection::SimpleConnection;

        let (pool, free) = (writes(), Arc::new(AtomicBool::new(false)));
        pool.run(|db| Ok(db.batch_execute("CREATE TABLE mine (x)")?)).await.expect("a table of this connection alone");
        let look = |db: &mut Db| Ok(diesel::sql_query("INSERT INTO mine VALUES (1)").execute(db)?);
        pool.run(look).await.expect("it is lent again");
        hang(&pool, &free).await.expect_err("it hangs");
        free.store(true, Ordering::SeqCst);
        while pool.lost.available_permits() < MAX_LOST {
            tokio::time::sleep(PAUSE).await;
        }
        pool.run(look).await.expect_err("another one");
    }
}
