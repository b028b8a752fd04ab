//! Where a ledger is: a new SQLite file or, if the environment names one, an empty PostgreSQL database.
//!
//! Owns the address, and connections for the benchmark itself. Must never use a database that was not named.

use anyhow::Result;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use sessiond::ledger::{Database, Db};
use tempfile::TempDir;

/// The variable that names an empty PostgreSQL database.
pub const POSTGRES: &str = "SESSIOND_BENCH_POSTGRES";
const BUSY: &str = "PRAGMA busy_timeout = 10000";

/// A ledger's place.
pub struct Place {
    folder: TempDir,
    postgres: Option<String>,
}

impl Place {
    /// The database that the environment names; otherwise a new file.
    pub fn find() -> Result<Self> {
        let postgres = std::env::var(POSTGRES).ok().filter(|_| cfg!(feature = "postgres"));
        Ok(Self { folder: TempDir::new()?, postgres })
    }

    /// What it is called in a report.
    pub fn name(&self) -> &'static str {
        if self.postgres.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// The address, as the program takes it.
    pub fn url(&self) -> String {
        self.postgres.clone().unwrap_or_else(|| format!("sqlite://{}", self.file()))
    }

    fn file(&self) -> String {
        self.folder.path().join("ledger.db").display().to_string()
    }

    /// The same for the library.
    pub fn database(&self) -> Result<Database> {
        #[cfg(feature = "postgres")]
        if let Some(url) = &self.postgres {
            let url = sessiond::domain::PostgresUrl::parse(url).map_err(anyhow::Error::msg)?;
            return Ok(Database::Postgres { servers: sessiond::ledger::Servers::new(url) });
        }
        Ok(Database::Sqlite { path: self.file() })
    }

    /// A connection; the tables must be there. Its commits reach the disk, as those of a node do.
    pub fn connect(&self) -> Result<Db> {
        #[cfg(feature = "postgres")]
        if let Some(url) = &self.postgres {
            return Ok(Db::Pg(diesel::PgConnection::establish(url)?));
        }
        let mut connection = SqliteConnection::establish(&self.file())?;
        connection.batch_execute(BUSY)?;
        Ok(Db::Sqlite(connection))
    }
}
