//! File identity: tells one version of a file from another without reading it.
//!
//! Owns what the system says of a file. Must never be asked on a thread that answers requests: a file system may be slow.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Distinguishes one version of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct FileIdentity {
    inode: (u64, u64),
    pub(in crate::service) length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    /// The identity of the file that is there now.
    pub(in crate::service) fn of(path: &Path) -> Result<Self, String> {
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        // A read from a pipe would never end.
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        Ok(Self {
            inode: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
