//! Migrate: brings the schema up to date, once, even when several processes start at the same time.
//!
//! Owns the embedded migrations. When none is pending, it locks and writes nothing: a database user with only read and
//! write rights on rows can start. Must never run on a pooled connection: its limits would stop a long migration.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::sql_types::Text;
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::db::Database;
use super::error::LedgerError;
#[cfg(feature = "postgres")]
use super::postgres::{Servers, within};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// An arbitrary PostgreSQL advisory lock number that no other program uses.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x5e55_1004_d000_0001;
/// How long to wait for another process that migrates.
#[cfg(feature = "postgres")]
const TURN: Duration = Duration::from_secs(60);
/// How much longer the server may take to grant the lock, or to refuse it.
#[cfg(feature = "postgres")]
const ANSWER: Duration = Duration::from_secs(10);
/// How long a migration may take: the rows of many years.
#[cfg(feature = "postgres")]
const LONGEST: Duration = Duration::from_secs(3_600);

/// How often, and after which pause, a locked file is opened again: ten seconds in total, like the busy timeout.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// The state of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// There are none, and there is no file either.
    None,
    /// From an earlier version.
    Behind,
    /// From this version, or a later one.
    Current,
}

impl Tables {
    fn of(known: &[String], ran: &[Ran]) -> Self {
        match ran {
            [] => Self::None,
            ran if known.iter().all(|version| ran.iter().any(|row| row.version == *version)) => Self::Current,
            _ => Self::Behind,
        }
    }
}

/// The state of the tables. Creates and changes nothing.
pub(super) fn tables(database: &Database) -> Result<Tables, LedgerError> {
    match database {
        Database::Sqlite { path } => {
            let unusable = |error: &dyn std::fmt::Display| LedgerError::Unavailable(format!("{path}: {error}"));
            if !fs::exists(path).map_err(|error| unusable(&error))? {
                return Ok(Tables::None);
            }
            let mut c = SqliteConnection::establish(path).map_err(|error| unusable(&error))?;
            let ran = c.batch_execute("PRAGMA busy_timeout = 10000").and_then(|()| ran_in_sqlite(&mut c));
            Ok(Tables::of(&known::<diesel::sqlite::Sqlite>()?, &ran.map_err(|error| unusable(&error))?))
        }
        #[cfg(feature = "postgres")]
        Database::Postgres { servers } => {
            let (_, ran) = look(servers)?;
            Ok(Tables::of(&known::<diesel::pg::Pg>()?, &ran))
        }
    }
}

pub(super) fn run(database: &Database) -> Result<(), LedgerError> {
    match database {
        Database::Sqlite { path } => run_sqlite(path),
        #[cfg(feature = "postgres")]
        Database::Postgres { servers } => run_postgres(servers),
    }
}

/// The versions that this program knows, spelled as in the table of applied migrations.
fn known<DB: Backend>() -> Result<Vec<String>, LedgerError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let all = MigrationSource::<DB>::migrations(&MIGRATIONS).map_err(failed)?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

#[derive(QueryableByName)]
struct Ran {
    #[diesel(sql_type = Text)]
    version: String,
}

const ALL_THAT_RAN: &str = "SELECT version FROM __diesel_schema_migrations";

/// Two processes that migrate one file at once would see each other's half-made tables: one waits until the other's
/// transaction is over.
fn run_sqlite(path: &str) -> Result<(), LedgerError> {
    keep_private(path)?;
    let unusable = |error: &dyn std::fmt::Display| LedgerError::Unavailable(format!("{path}: {error}"));
    let mut c = SqliteConnection::establish(path).map_err(|error| unusable(&error))?;
    let opened = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
    patiently(|| c.batch_execute(opened)).map_err(|error| unusable(&error))?;
    let ran = ran_in_sqlite(&mut c).map_err(|error| unusable(&error))?;
    if Tables::of(&known::<diesel::sqlite::Sqlite>()?, &ran) == Tables::Current {
        return Ok(());
    }
    c.immediate_transaction(|c| {
        c.run_pending_migrations(MIGRATIONS).map_err(|error| LedgerError::Unavailable(format!("{path}: {error}")))?;
        Ok(())
    })
}

/// A file that another process is switching to WAL is locked, and SQLite ignores the busy timeout then.
fn patiently<T>(mut act: impl FnMut() -> QueryResult<T>) -> QueryResult<T> {
    let is_locked = |error: &diesel::result::Error| matches!(error, diesel::result::Error::DatabaseError(_, said) if said.message().contains("locked"));
    for _ in 0..TRIES {
        match act() {
            Err(error) if is_locked(&error) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    act()
}

fn ran_in_sqlite(c: &mut SqliteConnection) -> QueryResult<Vec<Ran>> {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = Text)]
        #[expect(dead_code, reason = "whether there is a row is what counts")]
        name: String,
    }
    let table = "SELECT name FROM sqlite_master WHERE name = '__diesel_schema_migrations'";
    match sql_query(table).load::<Table>(c)?.is_empty() {
        true => Ok(Vec::new()),
        false => sql_query(ALL_THAT_RAN).load(c),
    }
}

/// The file holds addresses and password hashes, so only its owner may access a new one. SQLite copies the mode to the
/// files beside it.
fn keep_private(path: &str) -> Result<(), LedgerError> {
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    let opened = file.open(path);
    opened.map(drop).map_err(|error| LedgerError::Unavailable(format!("{path} cannot be opened: {error}")))
}

#[cfg(feature = "postgres")]
fn run_postgres(servers: &Servers) -> Result<(), LedgerError> {
    let (mut c, ran) = look(servers)?;
    if Tables::of(&known::<diesel::pg::Pg>()?, &ran) == Tables::Current {
        return Ok(());
    }
    log::info!("migrating the tables");
    let mut c = within(TURN.saturating_add(ANSWER), move || {
        // The lock belongs to the connection, and always ends with it.
        let turn = format!("SET lock_timeout = '{}s'; SELECT pg_advisory_lock({LOCK})", TURN.as_secs());
        c.batch_execute(&turn)
            .map_err(|error| LedgerError::Unfit(format!("another process is still migrating the tables: {error}")))?;
        Ok(c)
    })?;
    within(LONGEST, move || {
        c.run_pending_migrations(MIGRATIONS).map(drop).map_err(|error| {
            LedgerError::Unfit(format!(
                "its tables cannot be migrated: {error} (run `sessiond migrate` as the tables' owner; a node itself \
                 needs only SELECT, INSERT, UPDATE and DELETE on them)"
            ))
        })
    })
}

/// A connection to a server that can hold a ledger, and the migrations that ran there.
#[cfg(feature = "postgres")]
fn look(servers: &Servers) -> Result<(diesel::PgConnection, Vec<Ran>), LedgerError> {
    let mut c = servers.look()?;
    within(ANSWER, move || {
        let ran = ran_in_postgres(&mut c)?;
        Ok((c, ran))
    })
}

#[cfg(feature = "postgres")]
fn ran_in_postgres(c: &mut diesel::PgConnection) -> QueryResult<Vec<Ran>> {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        is_there: bool,
    }
    let table = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS is_there";
    match sql_query(table).get_result::<Table>(c)?.is_there {
        true => sql_query(ALL_THAT_RAN).load(c),
        false => Ok(Vec::new()),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> LedgerError {
    LedgerError::Unavailable(format!("migrating failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_at_once_migrate_one_file_once() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s.db").display().to_string();
            std::thread::scope(|scope| {
                let starts: Vec<_> = (0..6).map(|_| scope.spawn(|| run_sqlite(&path))).collect();
                for start in starts {
                    start.join().unwrap().unwrap();
                }
            });
            let mut left: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
            left.retain(|name| name != "s.db-wal" && name != "s.db-shm");
            assert_eq!(left, ["s.db"], "nothing else is left beside it");
        }
    }
}
