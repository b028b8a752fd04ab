//! File: the identity of an SQLite ledger's file, and whether another file has replaced it.
//!
//! Owns that identity. A process that has a file open keeps using it after another file got its name, and SQLite does
//! not report that. Must never open the file: closing it would drop SQLite's own locks on it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::db::Database;

/// The migrated file, and whether it was replaced.
#[derive(Default)]
pub(super) struct File {
    /// Device and inode.
    identity: OnceLock<(u64, u64)>,
    replaced: AtomicBool,
}

impl File {
    /// Remembers the file that is there now.
    pub(super) fn remember(&self, database: &Database) {
        if let Some(Ok(identity)) = identity(database) {
            let _first = self.identity.get_or_init(|| identity);
        }
    }

    /// Whether another file has its name now, or none. The answer stays true: some connections may have opened the
    /// other file.
    pub(super) fn was_replaced(&self, database: &Database) -> bool {
        let now = || match identity(database) {
            Some(Ok(now)) => self.identity.get().is_some_and(|known| *known != now),
            Some(Err(error)) => self.identity.get().is_some() && error.kind() == ErrorKind::NotFound,
            None => false,
        };
        if !self.replaced.load(Ordering::SeqCst) && now() {
            self.replaced.store(true, Ordering::SeqCst);
        }
        self.replaced.load(Ordering::SeqCst)
    }
}

/// None for a database without a file.
fn identity(database: &Database) -> Option<std::io::Result<(u64, u64)>> {
    match database {
        Database::Sqlite { path } => Some(fs::metadata(path).map(|file| (file.dev(), file.ino()))),
        #[cfg(feature = "postgres")]
        Database::Postgres { .. } => None,
    }
}
