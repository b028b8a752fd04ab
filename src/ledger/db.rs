//! Db: one connection to either database.
//!
//! Owns [`Db`], how it is opened and prepared, and the transaction for writes. Must never hold a query of a table:
//! those are in the table's module.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, InstrumentationEvent, SimpleConnection, TransactionManager};
use diesel::{Connection, ConnectionError, ConnectionResult, QueryResult, SqliteConnection, sql_query};

use super::LedgerError;
#[cfg(feature = "postgres")]
use super::postgres::Servers;

/// A connection to SQLite or PostgreSQL; the same queries run on both.
#[derive(diesel::MultiConnection)]
pub enum Db {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Pg(diesel::PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Evaluates the same expression on the concrete connection, for calls that the enum does not support.
macro_rules! each {
    ($db:expr, $conn:ident => $body:expr) => {
        match $db {
            #[cfg(feature = "postgres")]
            $crate::ledger::Db::Pg($conn) => $body,
            $crate::ledger::Db::Sqlite($conn) => $body,
        }
    };
}
pub(super) use each;

/// The database of the ledger.
#[derive(Clone)]
pub enum Database {
    /// A SQLite file.
    Sqlite {
        /// The file's path.
        path: String,
    },
    /// A PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres {
        /// The server's address, or the addresses of servers with one primary among them.
        servers: Servers,
    },
}

/// The purpose of a pool's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Short reads, each its own statement; never behind a write.
    Read,
    /// The same for clients that are not signed in, so that they never delay signed-in users.
    Entrance,
    /// The query which Redis to trust; never behind a read either.
    Watch,
    /// The renewal of this node's lease; never behind anything else, because every answer depends on it.
    Lease,
    /// Transactions.
    Write,
}

impl Purpose {
    /// Whether its answers are only true of the server that gave them.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Entrance | Self::Watch)
    }
}

impl Db {
    /// Asks whether the server or the file is still there.
    pub(super) fn answers(&mut self) -> bool {
        self.batch_execute("SELECT 1").is_ok()
    }

    /// Whether a transaction was left open, or could not be closed.
    pub(super) fn is_broken(&mut self) -> bool {
        let status = <Self as Connection>::TransactionManager::transaction_manager_status_mut(self);
        !matches!(status.transaction_depth(), Ok(None))
    }
}

impl Database {
    /// Opens one connection, and sets everything that must not be inherited: durable means durable (invariant 9). Calls
    /// `sent` for each statement sent over it.
    pub(super) fn open(&self, purpose: Purpose, sent: impl Fn() + Send + 'static) -> ConnectionResult<Db> {
        let mut db = self.establish(purpose)?;
        db.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                sent();
            }
        });
        Ok(db)
    }

    fn establish(&self, purpose: Purpose) -> ConnectionResult<Db> {
        match self {
            Self::Sqlite { path } => {
                let unusable =
                    |error: &dyn std::fmt::Display| ConnectionError::BadConnection(format!("{path}: {error}"));
                let mut connection = SqliteConnection::establish(path).map_err(|error| unusable(&error))?;
                prepare_sqlite(&mut connection, purpose).map_err(|error| unusable(&error))?;
                Ok(Db::Sqlite(connection))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres { servers } => servers.connect(prepare_postgres).map(Db::Pg),
        }
    }
}

/// How long one statement may wait for another's lock.
const LOCK_WAIT: Duration = Duration::from_secs(3);

#[cfg(feature = "postgres")]
fn prepare_postgres(c: &mut diesel::PgConnection) -> QueryResult<()> {
    c.batch_execute(&format!(
        "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; \
         SET default_transaction_read_only = off; SET statement_timeout = '5s'; \
         SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '{}ms'",
        LOCK_WAIT.as_millis()
    ))?;
    // A standby would answer reads from an old state.
    c.batch_execute("DO $$ BEGIN IF pg_is_in_recovery() THEN RAISE 'this server is a standby'; END IF; END $$")
}

fn prepare_sqlite(c: &mut SqliteConnection, purpose: Purpose) -> QueryResult<()> {
    let query_only = if matches!(purpose, Purpose::Write | Purpose::Lease) { "OFF" } else { "ON" };
    // The busy timeout first: switching to WAL can itself meet a lock.
    c.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA query_only = {query_only}",
        LOCK_WAIT.as_millis()
    ))
}

/// Runs `body` in one transaction. On SQLite it takes the write lock at once: a transaction that starts with a read
/// could not be upgraded after another write.
pub(super) fn write_transaction<T>(
    db: &mut Db,
    body: impl FnOnce(&mut Db) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL READ COMMITTED")?,
        Db::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
    }
    match body(db) {
        Ok(value) => {
            <Db as Connection>::TransactionManager::commit_transaction(db)?;
            Ok(value)
        }
        Err(error) => {
            // If the rollback fails, too, the pool sees a broken connection; the first error tells the caller more.
            if let Err(rollback) = <Db as Connection>::TransactionManager::rollback_transaction(db) {
                log::debug!("rolling a transaction back failed: {rollback}");
            }
            Err(error)
        }
    }
}

/// The database's own wall clock, in milliseconds since the epoch.
pub fn now_ms(db: &mut Db) -> Result<i64, LedgerError> {
    use diesel::RunQueryDsl;

    #[derive(diesel::QueryableByName)]
    struct Now {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        now: i64,
    }

    let sql = match db {
        #[cfg(feature = "postgres")]
        Db::Pg(_) => "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now",
        Db::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now",
    };
    Ok(sql_query(sql).get_result::<Now>(db)?.now)
}
