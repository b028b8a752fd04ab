//! Timeline: which copy of the ledger this connection reads.
//!
//! Owns the reading of it. A PostgreSQL server that is promoted, or restored to a point in time, begins a timeline, and
//! a copy in another cluster has another system identifier; an SQLite file that replaced another one differs in inode
//! and creation time. Must never tell which of two is newer: the lineage does.

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

/// The timeline of this connection. It stays the same while the connection lives.
pub fn read(db: &mut Db) -> Result<String, LedgerError> {
    match db {
        // The checkpoint's timeline (pg_control_checkpoint) lags after a promotion; that of the current WAL file does
        // not. Every role may read it.
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

/// The very server of this connection: its timeline, and when it was started. A server that was restarted may have lost
/// what it had not written, and a restored one goes on from another past.
pub fn server(db: &mut Db) -> Result<String, LedgerError> {
    let timeline = read(db)?;
    match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => {
            let question = "SELECT extract(epoch FROM pg_postmaster_start_time())::text AS text";
            Ok(format!("{timeline}/{}", sql_query(question).get_result::<Answer>(c)?.text))
        }
        Db::Sqlite(_) => Ok(timeline),
    }
}

/// The file with this name now. If the connection has another one open, or there is none, this is the timeline of no
/// ledger that was read.
fn identity(path: &str) -> String {
    let Ok(file) = fs::metadata(path) else { return "no file".to_owned() };
    // Not every file system has it.
    let born = file.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{}/{}", file.ino(), born.map_or(0, |born| born.as_nanos()))
}

/// Whether the ledger's history began here. A ledger without a name has none.
pub fn settled(db: &mut Db) -> Result<bool, LedgerError> {
    let begun: Option<String> = lineage::table.select(lineage::timeline).get_result(db).optional()?;
    match begun {
        Some(begun) => Ok(begun == read(db)?),
        None => Ok(true),
    }
}
