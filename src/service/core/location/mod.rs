//! Location: finds the place of an address in this node's location files, held in memory and reloaded on change.
//!
//! Owns which version of each file is in use: the last valid one. A lookup touches no disk and takes microseconds. Must
//! never fail: a broken file means no places, or the places of the version in use.

mod file;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use file::LocationFile;
use parking_lot::Mutex;

use crate::domain::Place;
use crate::service::core::file_identity::FileIdentity;

/// The location files of a node; the first file that knows an address wins.
pub struct Locator {
    sources: Vec<Source>,
}

struct Source {
    path: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    file: Arc<LocationFile>,
    /// The version that was last validated, good or bad; none when there was no file.
    judged: Option<FileIdentity>,
}

impl Locator {
    /// Reads the files; the first missing or invalid file is the error, in one sentence.
    pub fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let open = |path: &PathBuf| {
            let read = FileIdentity::of(path).and_then(|judged| LocationFile::read(path).map(|file| (judged, file)));
            let (judged, file) = read.map_err(|why| format!("{}: {why}.", path.display()))?;
            log::info!("locations are read from {}: {}", path.display(), file.description());
            let current = Mutex::new(Current { file: Arc::new(file), judged: Some(judged) });
            Ok(Source { path: path.clone(), current })
        };
        Ok(Self { sources: paths.iter().map(open).collect::<Result<_, String>>()? })
    }

    /// The location of an address.
    pub fn place(&self, ip: IpAddr) -> Place {
        self.sources.iter().fold(Place::default(), |known, source| {
            let file = Arc::clone(&source.current.lock().file);
            let more = file.place(ip);
            // A point belongs to its city: never mix two files that disagree.
            let point = if known.country.is_some() { known.point } else { more.point };
            Place {
                city: if known.country.is_some() { known.city } else { more.city },
                country: known.country.or(more.country),
                network: if known.asn.is_some() { known.network } else { more.network },
                asn: known.asn.or(more.asn),
                point,
            }
        })
    }

    /// Checks whether a file has changed, and loads the new one if it is valid. Slow: reads from disk. Logs an invalid
    /// file once.
    pub fn reload(&self) {
        self.sources.iter().for_each(Source::reload);
    }
}

impl Source {
    fn reload(&self) {
        let found = FileIdentity::of(&self.path);
        let stands = found.as_ref().ok().copied();
        if stands == self.current.lock().judged {
            return;
        }
        let read = found.and_then(|_| LocationFile::read(&self.path));
        // The file changed during the read, so the result may mix two versions. The next check comes soon.
        if read.is_ok() && FileIdentity::of(&self.path).ok() != stands {
            return;
        }
        let path = self.path.display();
        match read {
            Ok(file) => {
                log::info!("locations are read again from {path}: {}", file.description());
                *self.current.lock() = Current { file: Arc::new(file), judged: stands };
            }
            Err(why) => {
                log::warn!("SESSIOND_GEOIP_DB: {path}: {why}; the previous file stays in use");
                self.current.lock().judged = stands;
            }
        }
    }
}
