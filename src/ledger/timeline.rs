//! Which copy of the ledger this connection reads: its timeline.
//!
//! Owns the reading of it. A PostgreSQL that is promoted, or restored to a point in time, begins a timeline, and a copy in
//! another cluster has another system identifier; of an SQLite file that was put in another one's place, inode and time
//! of birth differ. Must never tell which of two is the newer: that is the lineage's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;

use super::db::Db;
use super::error::LedgerError;
use super::schema::lineage;

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The timeline that this connection reads and writes. It stays the same for as long as the connection lives.
pub fn read(db: &mut Db) -> Result<String, LedgerError> {
    match db {
        // The checkpoint's timeline, which pg_control_checkpoint tells, is behind after a promotion; the current WAL file's
        // is not. Everybody may ask.
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            let question = "SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS text \
                FROM pg_control_system()";
            Ok(sql_query(question).get_result::<Answer>(c)?.text)
        }
        Db::Sqlite(c) => {
            let question = "SELECT coalesce(file, '') AS text FROM pragma_database_list WHERE name = 'main'";
            Ok(identity(&sql_query(question).get_result::<Answer>(c)?.text))
        }
    }
}

/// The file that has this name now. Where the connection has another one open, or there is none, it is the timeline of
/// no ledger that was read.
fn identity(path: &str) -> String {
    let Ok(file) = fs::metadata(path) else { return "no file".to_owned() };
    // Not every file system knows it.
    let born = file.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{}/{}", file.ino(), born.map_or(0, |born| born.as_nanos()))
}

/// Whether the ledger's history was begun here. A ledger without a name has none.
pub fn settled(db: &mut Db) -> Result<bool, LedgerError> {
    let begun: Option<String> = lineage::table.select(lineage::timeline).get_result(db).optional()?;
    match begun {
        Some(begun) => Ok(begun == read(db)?),
        None => Ok(true),
    }
}
