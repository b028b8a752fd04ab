//! The ledger: what must never be lost, in SQL. Users, every session ever issued, the audit log, and which Redis
//! may speak. It is the authority: Redis may only say yes, only the ledger says no.
//!
//! Owns diesel. Must never know Redis, HTTP or a token: it holds hashes. Rows are read and written by the plain
//! functions of the table's module over a [`Db`]; [`Ledger::read`] and [`Ledger::write`] lend one, off the async
//! threads and with a bound on every wait. What belongs into one transaction is decided above, in one closure.
//!
//! What can have one answer only is asked for with `get_result`, not with `first`: `first` adds a `LIMIT` whose number is
//! a parameter, and SQLite prepares a statement with one anew each time (half of what a look-up costs).
//!
//! While there is a [`Refusal`] it answers nobody: all questions and changes pass here, so none is missed.

pub mod alerts;
pub mod audit;
mod connections;
mod db;
pub mod erasure;
mod error;
mod file;
pub mod last_seen;
pub mod lineage;
pub mod live_store;
pub mod locks;
mod migrate;
pub mod nodes;
pub mod outbox;
pub mod pending_invalidations;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
pub mod proofs;
mod query_batcher;
mod refusal;
pub mod resets;
pub mod retention;
mod schema;
pub mod search;
pub mod session_data;
pub mod session_history;
pub mod session_location;
pub mod sessions;
pub mod stream_queries;
pub mod timeline;
pub mod tokens;
pub mod user_names;
pub mod user_search;
pub mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use db::{Database, Db, now_ms};
pub use error::LedgerError;
pub use migrate::Tables;
#[cfg(feature = "postgres")]
pub use postgres::Servers;
pub use refusal::Refusal;

use connections::Era;
use db::Purpose;
use pool::LedgerPool;
use query_batcher::QueryBatcher;
use refusal::Refusals;
use sessions::Session;
use users::User;

use crate::domain::SessionId;

/// Handle to the ledger; cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
    reads: LedgerPool,
    entrance: LedgerPool,
    watch: LedgerPool,
    writes: LedgerPool,
    owners: QueryBatcher<SessionId, Option<(User, Session)>>,
    statements: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
    written: Arc<AtomicU64>,
    file: Arc<file::File>,
}

impl Ledger {
    /// Makes the pools. No connection is opened yet, so a database that is down does not keep a node from starting.
    pub fn open(database: Database) -> Result<Self, LedgerError> {
        let statements = Arc::new(AtomicU64::new(0));
        let era = Era::default();
        let pool = |purpose| LedgerPool::new(&database, purpose, &statements, &era);
        let (reads, watch, writes) = (pool(Purpose::Read), pool(Purpose::Watch), pool(Purpose::Write));
        let entrance = pool(Purpose::Entrance);
        let (refusals, written, file) = (Arc::default(), Arc::default(), Arc::default());
        let owners = QueryBatcher::new(&reads, sessions::find_with_owners);
        Ok(Self { reads, entrance, watch, writes, owners, refusals, written, file, statements, database })
    }

    /// What is there of the tables. Makes nothing and changes nothing.
    pub async fn tables(&self) -> Result<Tables, LedgerError> {
        let (database, file) = (self.database.clone(), Arc::clone(&self.file));
        let looked = tokio::task::spawn_blocking(move || {
            let tables = migrate::tables(&database)?;
            if tables == Tables::Current {
                file.remember(&database);
            }
            Ok(tables)
        });
        looked.await.map_err(|error| LedgerError::Unavailable(error.to_string()))?
    }

    /// Brings the schema up to date. Safe to run in several processes at once.
    pub async fn migrate(&self) -> Result<(), LedgerError> {
        let (database, file) = (self.database.clone(), Arc::clone(&self.file));
        tokio::task::spawn_blocking(move || migrate::run(&database).map(|()| file.remember(&database)))
            .await
            .map_err(|error| LedgerError::Unavailable(error.to_string()))?
    }

    /// Runs short reads, each a statement of its own. Never waits behind a write.
    ///
    /// `sent` is called when the question is about to be asked: what was committed before that is seen.
    pub async fn read_noting<T, F>(&self, sent: impl FnOnce() + Send + 'static, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.read(move |db| {
            sent();
            body(db)
        })
        .await
    }

    /// Runs short reads, each a statement of its own. Never waits behind a write.
    pub async fn read<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.read_from(&self.reads, body).await
    }

    /// The same for people who are not signed in, over connections of their own: however many come, they never keep
    /// anybody who is signed in waiting.
    pub async fn read_at_entrance<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.read_from(&self.entrance, body).await
    }

    async fn read_from<T, F>(&self, pool: &LedgerPool, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let refusals = Arc::clone(&self.refusals);
        let answer = pool.run(move |db| {
            refusals.check()?;
            let answer = body(db)?;
            // What was read meanwhile may be the past, too.
            refusals.check()?;
            Ok(answer)
        });
        answer.await
    }

    /// A session with its owner, unless it was ended, as both are now. Asked all the time, so the questions of several
    /// requests go out together.
    pub async fn find_with_owner(&self, id: SessionId) -> Result<Option<(User, Session)>, LedgerError> {
        self.refusals.check()?;
        let found = self.owners.ask(id).await?;
        self.refusals.check()?;
        Ok(found)
    }

    /// Runs short reads for whoever has to know what stands in it, whether it counts or not.
    pub async fn read_regardless<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.reads.run(body).await
    }

    /// Runs the short read by which a node watches the database. Never waits behind the requests' own: what they are
    /// answered depends on it.
    pub async fn watch<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.watch.run(body).await
    }

    /// Runs one transaction, again if the database rolled it back to let another one pass. An error means that
    /// it has not happened, except [`LedgerError::Silent`] and a connection that broke while committing: then it
    /// may have.
    pub async fn write<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let written = Arc::clone(&self.written);
        self.transact(body, move || {
            written.fetch_add(1, Ordering::SeqCst);
        })
        .await
    }

    /// The same for what may be forgotten when an older copy of the ledger is put back: it is not counted.
    pub async fn write_aside<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.transact(body, || ()).await
    }

    async fn transact<T, F>(&self, body: F, done: impl FnOnce() + Send + 'static) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let refusals = Arc::clone(&self.refusals);
        self.transact_if(move || refusals.check(), body, done).await
    }

    /// Runs the transaction by which a ledger is accepted: while it counts for nobody yet.
    pub async fn write_regardless<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.transact_if(|| Ok(()), body, || ()).await
    }

    async fn transact_if<T, F>(
        &self,
        counts: impl FnOnce() -> Result<(), LedgerError> + Send + 'static,
        body: F,
        done: impl FnOnce() + Send + 'static,
    ) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        const ATTEMPTS: usize = 4;
        self.writes
            .run(move |db| {
                counts()?;
                let mut result = db::write_transaction(db, &body);
                for _ in 1..ATTEMPTS {
                    if !matches!(result, Err(LedgerError::Conflict(_))) {
                        break;
                    }
                    result = db::write_transaction(db, &body);
                }
                // Also after an error: it may have happened.
                done();
                result
            })
            .await
    }

    /// How many changes were made through this handle that must not be forgotten.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Says whether there is this reason to answer nobody and to take nothing. Whether that is news.
    pub fn refuse(&self, why: Refusal, refuse: bool) -> bool {
        self.refusals.set(why, refuse)
    }

    /// Whether there is this reason.
    pub fn refuses(&self, why: Refusal) -> bool {
        self.refusals.has(why)
    }

    /// By which a place is kept.
    pub fn stopwatch(&self) -> Duration {
        self.refusals.stopwatch()
    }

    /// From then on nobody is answered, unless this is said again.
    pub fn keep_place(&self, until: Duration) {
        self.refusals.keep_place(until);
    }

    /// Whether it was not said again in time.
    pub fn place_ran_out(&self) -> bool {
        self.refusals.place_ran_out()
    }

    /// An error while there is any reason.
    pub fn check(&self) -> Result<(), LedgerError> {
        self.refusals.check()
    }

    /// Whether the SQLite file that was migrated has made way for another one: what stands in that, nobody here sees.
    pub fn file_was_replaced(&self) -> bool {
        self.file.was_replaced(&self.database)
    }

    /// How many SQL statements were sent since the ledger was opened.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// How many connections there may be at once.
    pub fn connection_bound(&self) -> usize {
        self.reads.bound() + self.entrance.bound() + self.writes.bound()
    }
    /// How many threads it may block at once. A worker has fewer, where there are many, and would be without SQL while a
    /// server that is frozen holds them all.
    pub fn thread_bound(&self) -> usize {
        [&self.reads, &self.entrance, &self.watch, &self.writes].iter().map(|pool| pool.thread_bound()).sum()
    }
}
