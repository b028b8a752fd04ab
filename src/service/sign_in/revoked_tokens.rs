//! Revoked tokens: the old tokens that the operator has revoked, from a file with one `jti` in each line.
//!
//! Owns which version of the file counts: the one that is there when a token comes. Must never take a file that cannot be
//! read for an empty one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::service::core::file_identity::FileIdentity;

/// Largest file that is read.
const MOST_BYTES: u64 = 64 << 20;
/// Most lines; sixteen bytes of memory each.
const MOST_TOKENS: usize = 1_000_000;

/// How long the file may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A hash of a token's id: ids may be long.
type Mark = [u8; 16];

/// The file, and what was read of it.
pub struct RevokedTokens {
    path: PathBuf,
    read: Arc<tokio::sync::Mutex<Read>>,
}

/// One version of the file.
struct Read {
    identity: FileIdentity,
    marks: Vec<Mark>,
}

impl RevokedTokens {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is too large, in one sentence.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let read = Read::of(&path).map_err(|why| format!("{}: {why}.", path.display()))?;
        Ok(Self { path, read: Arc::new(tokio::sync::Mutex::new(read)) })
    }

    /// Whether this token is revoked, by the file that is there now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(in crate::service) async fn has(&self, id: &str) -> Result<bool, String> {
        let (path, mark) = (self.path.clone(), mark(id));
        let asked = async {
            // One thread at a time: a file system that hangs must not hold those that ask the database.
            let mut known = Arc::clone(&self.read).lock_owned().await;
            tokio::task::spawn_blocking(move || known.holds(&path, mark)).await
        };
        let answer = tokio::time::timeout(TIMEOUT, asked).await.map_err(|_| "it takes too long to read".to_owned())?;
        answer.map_err(|error| error.to_string())?
    }
}

impl Read {
    fn of(path: &Path) -> Result<Self, String> {
        // First: if the file changes while it is read, the next token has it read again.
        let identity = FileIdentity::of(path)?;
        Ok(Self { marks: marks(&read(path, identity.length)?, MOST_TOKENS)?, identity })
    }

    fn holds(&mut self, path: &Path, mark: Mark) -> Result<bool, String> {
        if FileIdentity::of(path)? != self.identity {
            *self = Self::of(path)?;
            log::info!("SESSIOND_EXCHANGE_REVOKED_FILE has changed: {} tokens are revoked", self.marks.len());
        }
        Ok(self.marks.binary_search(&mark).is_ok())
    }
}

fn mark(id: &str) -> Mark {
    let hash: [u8; 32] = Sha256::digest(id).into();
    let mut mark = Mark::default();
    mark.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    mark
}

fn read(path: &Path, length: u64) -> Result<String, String> {
    if length > MOST_BYTES {
        return Err(format!("it has {length} bytes, which is more than the limit of {MOST_BYTES}"));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// The marks of the ids, in order; an error if there are more than this.
fn marks(text: &str, most: usize) -> Result<Vec<Mark>, String> {
    // Some editors begin a file with a mark of their own.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ids = text.lines().filter(|id| !id.is_empty());
    let mut marks: Vec<Mark> = ids.take(most + 1).map(mark).collect();
    if marks.len() > most {
        return Err(format!("it has more than {most} lines"));
    }
    marks.sort_unstable();
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn the_file_that_is_there_counts_and_a_missing_one_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        assert!(RevokedTokens::open(path.clone()).err().unwrap().contains("revoked: "));
        fs::write(&path, "\u{feff}one\r\n\ntwo\n").unwrap();
        let revoked = RevokedTokens::open(path.clone()).unwrap();
        let has = async |id: &str| revoked.has(id).await;
        assert_eq!(
            (has("one").await, has("two").await, has("three").await, has("").await),
            (Ok(true), Ok(true), Ok(false), Ok(false))
        );
        // Replaced by one of the same length.
        fs::write(folder.path().join("next"), "\u{feff}six\r\n\nten\n").unwrap();
        fs::rename(folder.path().join("next"), &path).unwrap();
        assert_eq!((has("one").await, has("ten").await), (Ok(false), Ok(true)));
        fs::remove_file(&path).unwrap();
        assert!(has("one").await.is_err());
        assert_eq!(marks("a\n\nb\n", 2).map(|them| them.len()), Ok(2));
        assert_eq!(marks("a\nb\nc", 2), Err("it has more than 2 lines".to_owned()));
    }
}
