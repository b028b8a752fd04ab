//! Ledger: the data that must never be lost, in SQL. Users, every session ever issued, the audit log, and which Redis
//! to trust. It is the authority: Redis may only say yes, only the ledger says no.
//!
//! Owns diesel. Must never know Redis, HTTP or a token: it holds hashes. Plain functions in each table's module read
//! and write rows over a [`Db`]; [`Ledger::read`] and [`Ledger::write`] lend one, outside the async threads and with a
//! limit on every wait. The service decides what belongs into one transaction, in one closure.
//!
//! Queries with at most one row use `get_result`, not `first`: `first` adds a `LIMIT` with a parameter, and SQLite
//! prepares such a statement again each time (half of the cost of a look-up).
//!
//! While there is a [`Refusal`], the ledger answers no call: every query and change passes here, so none is missed.

pub mod acting_sessions;
pub mod alerts;
mod asked;
pub mod audit;
mod connections;
mod db;
pub mod erasure;
mod error;
pub mod exchanged_tokens;
mod file;
pub mod issued_keys;
pub mod last_seen;
pub mod lineage;
pub mod live_store;
pub mod locks;
mod migrate;
pub mod node_leases;
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
pub mod services;
pub mod session_data;
pub mod session_history;
pub mod session_location;
mod session_row;
pub mod sessions;
pub mod signing_keys;
pub mod stream_queries;
pub mod subjects;
pub mod timeline;
pub mod tokens;
pub mod user_names;
pub mod user_search;
pub mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use asked::Asked;
pub use db::{Database, Db, now_ms};
pub use error::LedgerError;
pub use migrate::Tables;
#[cfg(feature = "postgres")]
pub use postgres::Servers;
pub use refusal::Refusal;

use connections::Generation;
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
    lease: LedgerPool,
    generation: Generation,
    owners: QueryBatcher<SessionId, Option<(User, Session)>>,
    statements: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
    written: Arc<AtomicU64>,
    file: Arc<file::File>,
}

impl Ledger {
    /// Creates the pools. Opens no connection yet, so a database that is down does not stop a node from starting.
    pub fn open(database: Database) -> Result<Self, LedgerError> {
        let statements = Arc::new(AtomicU64::new(0));
        let generation = Generation::default();
        let pool = |purpose| LedgerPool::new(&database, purpose, &statements, &generation);
        let (reads, watch, writes) = (pool(Purpose::Read), pool(Purpose::Watch), pool(Purpose::Write));
        let (entrance, lease) = (pool(Purpose::Entrance), pool(Purpose::Lease));
        let (refusals, written, file) = (Arc::default(), Arc::default(), Arc::default());
        let owners = QueryBatcher::new(&reads, sessions::find_with_owners);
        Ok(Self {
            reads,
            entrance,
            watch,
            writes,
            lease,
            generation,
            owners,
            refusals,
            written,
            file,
            statements,
            database,
        })
    }

    /// The state of the tables. Creates and changes nothing.
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

    /// Runs short reads, each its own statement. Never waits behind a write.
    ///
    /// Calls `sent` right before the query: the query sees everything that was committed before.
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

    /// Runs short reads, each its own statement. Never waits behind a write.
    pub fn read<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.read_from(&self.reads, body)
    }

    /// The same for clients that are not signed in, over separate connections: any number of them never delays a
    /// signed-in user.
    pub fn read_at_entrance<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.read_from(&self.entrance, body)
    }

    fn read_from<'a, T, F>(&'a self, pool: &'a LedgerPool, body: F) -> Asked<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let refusals = Arc::clone(&self.refusals);
        let answer = pool.run(move |db| {
            refusals.check_lease()?;
            let answer = body(db)?;
            // The ledger may have been refused during the read, or the lease may have run out.
            refusals.check_lease()?;
            Ok(answer)
        });
        Box::pin(async move {
            self.refusals.want_lease().await;
            self.refusals.check_lease()?;
            answer.await
        })
    }

    /// A session with its owner, unless it was ended, as both are now. Very frequent, so the queries of several
    /// requests are batched.
    pub async fn find_with_owner(&self, id: SessionId) -> Result<Option<(User, Session)>, LedgerError> {
        self.refusals.want_lease().await;
        self.refusals.check_lease()?;
        let found = self.owners.ask(id).await?;
        self.refusals.check_lease()?;
        Ok(found)
    }

    /// Runs short reads even while the ledger is refused.
    pub async fn read_regardless<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.reads.run(body).await
    }

    /// Runs the short read by which a node watches the database. Never waits behind the requests' own reads, because
    /// their answers depend on it.
    pub async fn watch<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.watch.run(body).await
    }

    /// Runs the statements that renew this node's lease, each its own transaction, over connections of its own.
    pub async fn renew_lease<T, F>(&self, body: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.lease.run(body).await
    }

    /// Runs one transaction, again if the database rolled it back in favour of another one. An error means that it has
    /// not happened, except [`LedgerError::Silent`] and a connection that broke during the commit: then it may have.
    pub fn write<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let written = Arc::clone(&self.written);
        self.transact(body, move || {
            written.fetch_add(1, Ordering::SeqCst);
        })
    }

    /// The same for a change that may be lost when an older copy of the ledger is put back: it is not counted.
    pub fn write_aside<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.transact(body, || ())
    }

    fn transact<T, F>(&self, body: F, done: impl FnOnce() + Send + 'static) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        let refusals = Arc::clone(&self.refusals);
        self.transact_if(move || refusals.check(), body, done)
    }

    /// Runs the transaction that accepts a ledger, while the ledger is still refused.
    pub fn write_regardless<T, F>(&self, body: F) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        self.transact_if(|| Ok(()), body, || ())
    }

    fn transact_if<T, F>(
        &self,
        counts: impl FnOnce() -> Result<(), LedgerError> + Send + 'static,
        body: F,
        done: impl FnOnce() + Send + 'static,
    ) -> Asked<'_, T>
    where
        T: Send + 'static,
        F: Fn(&mut Db) -> Result<T, LedgerError> + Send + 'static,
    {
        const ATTEMPTS: usize = 4;
        Box::pin(self.writes.run(move |db| {
            counts()?;
            let mut result = db::write_transaction(db, &body);
            for _ in 1..ATTEMPTS {
                if !matches!(result, Err(LedgerError::Conflict(_))) {
                    break;
                }
                result = db::write_transaction(db, &body);
            }
            // Also after an error: the change may have happened.
            done();
            result
        }))
    }

    /// How many changes that must not be lost were made through this handle.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Sets or clears a reason to refuse all calls. Returns whether that is new.
    pub fn refuse(&self, why: Refusal, refuse: bool) -> bool {
        self.refusals.set(why, refuse)
    }

    /// Whether this reason applies.
    pub fn refuses(&self, why: Refusal) -> bool {
        self.refusals.has(why)
    }

    /// The stopwatch for the node's place.
    pub fn stopwatch(&self) -> Duration {
        self.refusals.stopwatch()
    }

    /// Whether nodes need a lease for their answers: another server may have taken this one's place, but no other file.
    pub fn needs_lease(&self) -> bool {
        match self.database {
            Database::Sqlite { .. } => false,
            #[cfg(feature = "postgres")]
            Database::Postgres { .. } => true,
        }
    }

    /// From this time on reads are refused, unless the lease is renewed; only the server that granted it is asked.
    pub fn hold_lease(&self, server: Option<&str>, until: Duration) {
        if let Some(server) = server {
            self.generation.lease(server);
        }
        self.refusals.hold_lease(until);
    }

    /// Asks only one server from now on, the one that answers now: for a command, which has no lease.
    pub async fn pin_server(&self) -> Result<(), LedgerError> {
        if self.needs_lease() {
            let server = self.read(timeline::server).await?;
            self.generation.lease(&server);
        }
        Ok(())
    }

    /// An attempt to renew the lease has ended.
    pub fn tried_lease(&self, failed: bool) {
        self.refusals.tried_lease(failed);
    }

    /// Waits until a read needs a lease that is over.
    pub async fn lease_wanted(&self) {
        self.refusals.lease_wanted().await;
    }

    /// Whether this node may answer from the ledger: it holds a lease, or needs none.
    pub fn has_lease(&self) -> bool {
        !matches!(self.refusals.check_lease(), Err(LedgerError::Leaseless))
    }

    /// From this time on all calls are refused, unless the place is kept again.
    pub fn keep_place(&self, until: Duration) {
        self.refusals.keep_place(until);
    }

    /// Whether the place was not kept in time.
    pub fn place_ran_out(&self) -> bool {
        self.refusals.place_ran_out()
    }

    /// An error while any reason applies.
    pub fn check(&self) -> Result<(), LedgerError> {
        self.refusals.check()
    }

    /// Whether another file has replaced the migrated SQLite file: this node does not see what that one holds.
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

    /// How many threads it may block at once. A worker's own blocking threads may be fewer, and a frozen server that
    /// holds them all would leave it without SQL.
    pub fn thread_bound(&self) -> usize {
        let pools = [&self.reads, &self.entrance, &self.watch, &self.writes, &self.lease];
        pools.iter().map(|pool| pool.thread_bound()).sum()
    }
}
