//! Files that hold a secret.
//!
//! Owns the one rule for who may reach them: a file that everybody can read or write is refused, one that its group can is
//! taken, and told. Must never put anything that stands in one into a sentence.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// What stands in a file.
pub(super) struct SecretFile {
    pub text: Zeroizing<String>,
    /// Whether its group can reach it, as Kubernetes sets it with `fsGroup`: nobody inside can take that back.
    pub of_group: bool,
}

/// Why a file is not taken.
pub(super) enum Fault {
    /// Everybody can read or write it.
    Open,
    /// It is not there, or not for this process to read.
    Unreadable(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Reads a file, if nobody but its owner and its group can reach it.
pub(super) fn read(path: &Path) -> Result<SecretFile, Fault> {
    let mut file = File::open(path)?;
    let mode = mode(&file.metadata()?);
    if mode & 0o007 != 0 {
        return Err(Fault::Open);
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    Ok(SecretFile { text, of_group: mode & 0o070 != 0 })
}

#[cfg(unix)]
fn mode(file: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions())
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0
}
