//! Brings the schema up to date, once, whoever else starts at the same time.
//!
//! Owns the embedded migrations. Must never run on a pooled connection: those set limits that a long migration
//! would meet.

use std::fs::OpenOptions;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::db::Database;
use super::error::LedgerError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number that nobody else uses as a PostgreSQL advisory lock.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x5e55_1004_d000_0001;

pub(super) fn run(database: &Database) -> Result<(), LedgerError> {
    match database {
        Database::Sqlite { path } => run_sqlite(path),
        #[cfg(feature = "postgres")]
        Database::Postgres { url } => run_postgres(url),
    }
}

/// Two processes that migrate one SQLite file at once see each other's half-made tables: a lock file beside it.
fn run_sqlite(path: &str) -> Result<(), LedgerError> {
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(format!("{path}.migrating"))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| LedgerError::Unavailable(format!("the database file {path} cannot be locked: {error}")))?;
    keep_private(path)?;
    let mut c = SqliteConnection::establish(path).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    c.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    c.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    drop(lock);
    Ok(())
}

/// The file holds addresses and password hashes: a new one is its owner's alone. SQLite gives the files beside it
/// the same mode.
fn keep_private(path: &str) -> Result<(), LedgerError> {
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    let opened = file.open(path);
    opened.map(drop).map_err(|error| LedgerError::Unavailable(format!("{path} cannot be opened: {error}")))
}

#[cfg(feature = "postgres")]
fn run_postgres(url: &str) -> Result<(), LedgerError> {
    let mut c = diesel::PgConnection::establish(url).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    // The lock is the connection's: it is gone with it, whatever happens in between.
    c.batch_execute(&format!("SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK})"))?;
    c.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(())
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> LedgerError {
    LedgerError::Unavailable(format!("migrating failed: {error}"))
}
