//! The wall clock of one process, as libfaketime makes it: wrong from the start, or by a jump while the process runs.
//!
//! Owns the file that says what the clock shows. The process' stopwatch stays right.
#![cfg(feature = "postgres")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::settings::Settings;

/// The clock; it can be moved while the process runs.
pub struct Wall(TempDir);

impl Wall {
    /// A clock that is so far off: `+45` seconds, `-2h`, `+500d`.
    pub fn showing(offset: &str) -> Self {
        let wall = Self(TempDir::with_prefix("wall-").expect("a folder"));
        // PostgreSQL runs as another user.
        fs::set_permissions(wall.0.path(), PermissionsExt::from_mode(0o755)).expect("everybody may read it");
        wall.show(offset);
        wall
    }

    /// Moves it.
    pub fn show(&self, offset: &str) {
        // Renamed over, so that nobody reads half of it.
        let new = self.0.path().join("new");
        fs::write(&new, format!("{offset}\n")).expect("the offset is written");
        fs::rename(new, self.file()).expect("the offset is there");
    }

    /// Settings for a process that looks at it.
    pub fn of(&self, settings: &Settings) -> Settings {
        let variables = self.variables();
        settings.clone().with_all(&variables.each_ref().map(|(name, value)| (*name, value.as_str())))
    }

    /// Environment variables for a process that looks at it.
    pub fn variables(&self) -> [(&'static str, String); 6] {
        let yes = || "1".to_owned();
        [
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", yes()),
            ("FAKETIME_DISABLE_SHM", yes()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", yes()),
            ("DONT_FAKE_MONOTONIC", yes()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }
}

fn library() -> String {
    let folders = fs::read_dir("/usr/lib").expect("libraries").flatten().map(|entry| entry.path());
    let of_folder = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    let found = folders.map(of_folder).find(|library| library.exists());
    found.expect("libfaketime is there; tests/run installs Debian's package faketime").display().to_string()
}
