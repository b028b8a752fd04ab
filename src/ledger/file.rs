//! Which file an SQLite ledger is kept in, and whether another one has been put in its place.
//!
//! Owns the file's identity. Whoever has a file open goes on in it after another one got its name, and nothing that
//! SQLite says tells. Must never open the file: to close it again would drop SQLite's own locks on it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::db::Database;

/// The file that was migrated, and what has become of it.
#[derive(Default)]
pub(super) struct File {
    /// Device and inode.
    identity: OnceLock<(u64, u64)>,
    replaced: AtomicBool,
}

impl File {
    /// This is the file, from now on.
    pub(super) fn remember(&self, database: &Database) {
        if let Some(Ok(identity)) = identity(database) {
            let _first = self.identity.get_or_init(|| identity);
        }
    }

    /// Whether another file has its name now, or none has. For ever then: some connections may have met the other one.
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

/// None when it is kept in no file.
fn identity(database: &Database) -> Option<std::io::Result<(u64, u64)>> {
    match database {
        Database::Sqlite { path } => Some(fs::metadata(path).map(|file| (file.dev(), file.ino()))),
        #[cfg(feature = "postgres")]
        Database::Postgres { .. } => None,
    }
}
