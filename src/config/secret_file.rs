//! Files that hold a secret or a key.
//!
//! Owns the rule for their permissions: a file that others can read or write is refused; a file that its group can
//! reach is accepted with a warning. Must never put a file's content into an error.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// What is read of a file that holds no secret; no set of keys is longer.
const MOST_BYTES: u64 = 1 << 20;

/// A file's content.
pub(super) struct SecretFile {
    pub text: Zeroizing<String>,
    /// Whether its group can reach it, as with Kubernetes' `fsGroup`, which the container cannot change.
    pub of_group: bool,
}

/// Why a file is refused.
pub(super) enum Fault {
    /// Everyone can read or write it.
    Open,
    /// It is missing, or this process may not read it.
    Unreadable(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Reads a file if only its owner and its group can reach it.
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

/// Reads a file that holds no secret, if nobody but its owner and its group can change it.
pub(super) fn read_public(path: &Path) -> Result<String, Fault> {
    let file = File::open(path)?;
    if mode(&file.metadata()?) & 0o002 != 0 {
        return Err(Fault::Open);
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(unix)]
fn mode(file: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions())
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0
}
