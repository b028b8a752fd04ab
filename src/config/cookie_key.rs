//! The key that signs the cookie.
//!
//! Owns [`CookieKey`] and its sources. Must never print the key, never accept a guessable one, and never let two
//! processes that start together create different ones.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::{Random, random};

use super::given::{ConfigError, Given};
use super::secret_file::{self, Fault};
use super::settings::{Settings, var};
use super::stores::Database;

const MIN_BYTES: usize = 64;
/// Bytes of a fingerprint: too few to reveal the key, enough that no two keys share one.
const FINGERPRINT: usize = 12;
/// 64 random bytes have about 57 different values, and fewer than 32 less than once in 10¹⁸ draws: a key with fewer was
/// not drawn at random.
const MIN_DIFFERENT: usize = 32;
const HOW_TO_MAKE: &str = "make one with `openssl rand -base64 64 | tr -d '\\n'`";

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ANY_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
const ANY_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// At least 64 random bytes. Wiped from memory when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieKey(Zeroizing<Vec<u8>>);

impl CookieKey {
    /// The key's bytes, at least 64.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Distinguishes the key from others and reveals nothing about it.
    pub fn fingerprint(&self) -> String {
        // The key is longer than a block, and HMAC accepts any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(b"sessiond: which cookie key this is");
        let mac = mac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(mac.get(..FINGERPRINT).unwrap_or_default())
    }

    /// Parses base64, standard or URL-safe, padded or not; ignores white space (a file's line ends).
    fn parse(text: &str) -> Result<Self, &'static str> {
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let engine = if text.contains(['-', '_']) { ANY_URL_SAFE } else { ANY_STANDARD };
        let bytes = engine.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| "is not base64")?;
        if bytes.len() < MIN_BYTES {
            return Err("has fewer than 64 bytes");
        }
        let different = (0..=u8::MAX).filter(|value| bytes.contains(value)).count();
        if different < MIN_DIFFERENT { Err("is not random") } else { Ok(Self(bytes)) }
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(***)")
    }
}

/// The source of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieKeySource {
    /// The operator set it.
    Given(CookieKey),
    /// A file beside the database; the first server to start creates it.
    Beside(KeyFile),
    /// Not read: the command needs no key.
    Unread,
}

impl CookieKeySource {
    /// The key. Creates the file if it is missing; only a server needs that.
    pub fn open(&self, random: &dyn Random) -> Result<CookieKey, ConfigError> {
        match self {
            Self::Given(key) => Ok(key.clone()),
            Self::Beside(file) => file.open(random),
            Self::Unread => Err(ConfigError::new(var::COOKIE_KEY, "was not read, because no server was asked for.")),
        }
    }

    /// The key, if there is one. Creates nothing.
    pub fn find(&self) -> Result<Option<CookieKey>, ConfigError> {
        match self {
            Self::Given(key) => Ok(Some(key.clone())),
            Self::Beside(file) if file.path.exists() => file.read().map(Some),
            Self::Beside(_) | Self::Unread => Ok(None),
        }
    }
}

/// The file beside the database, and the key once it is read: all servers in this process share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    key: Arc<OnceLock<CookieKey>>,
}

impl fmt::Display for CookieKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("***"),
            Self::Beside(file) => write!(f, "(in {})", file.path.display()),
            Self::Unread => f.write_str("(not read)"),
        }
    }
}

/// Determines the key's source. Reads a file that the operator named; creates none.
pub(super) fn source(
    settings: &Settings,
    database: &Database,
    has_redis: bool,
    of_group: &mut Vec<&'static str>,
) -> Result<CookieKeySource, ConfigError> {
    let key = settings.given(var::COOKIE_KEY);
    let file = settings.given(var::COOKIE_KEY_FILE);
    match (key.text(), file.text(), database) {
        (Some(_), Some(_), _) => Err(key.bad(format!("and {} are both set: unset one of them.", var::COOKIE_KEY_FILE))),
        (Some(text), None, _) => given_key(&key, text),
        (None, Some(_), _) => given_key(&file, &file.secret_file(of_group)?),
        (None, None, Database::Sqlite { path }) if !has_redis => Ok(CookieKeySource::Beside(KeyFile::of(path))),
        (None, None, _) => Err(key.bad(format!(
            "is needed with Redis or PostgreSQL, so that all servers sign with the same key: {HOW_TO_MAKE} and give it \
                to all servers."
        ))),
    }
}

fn given_key(given: &Given<'_>, text: &str) -> Result<CookieKeySource, ConfigError> {
    let key = CookieKey::parse(text).map_err(|fault| {
        given.bad(format!("{fault}, but must be base64 of at least 64 random bytes: {HOW_TO_MAKE}."))
    })?;
    Ok(CookieKeySource::Given(key))
}

impl KeyFile {
    fn of(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".cookie-key");
        Self { path: PathBuf::from(name), key: Arc::default() }
    }

    fn open(&self, random: &dyn Random) -> Result<CookieKey, ConfigError> {
        if !self.path.exists() {
            create(&self.path, random).map_err(|error| {
                self.refuse(&format!("cannot be created: {error}; make its folder writable or set the key."))
            })?;
        }
        self.read()
    }

    fn read(&self) -> Result<CookieKey, ConfigError> {
        if let Some(key) = self.key.get() {
            return Ok(key.clone());
        }
        let shown = self.path.display();
        let file = secret_file::read(&self.path).map_err(|fault| match fault {
            Fault::Open => self.refuse(&format!("can be read or written by every user: run `chmod 600 {shown}`.")),
            Fault::Unreadable(error) => self.refuse(&format!("cannot be read: {error}.")),
        })?;
        let key = CookieKey::parse(&file.text).map_err(|fault| {
            self.refuse(&format!("{fault}: delete the file to get a new key (all users have to sign in again)."))
        })?;
        if file.of_group {
            log::warn!("{shown}, which holds the cookie key, can be read or written by its group");
        }
        Ok(self.key.get_or_init(|| key).clone())
    }

    fn refuse(&self, problem: &str) -> ConfigError {
        ConfigError::new(var::COOKIE_KEY, format!("is not set, and {} {problem}", self.path.display()))
    }
}

/// Writes a new key to a temporary file, then links it into place: a link never replaces a file, so of two processes
/// the first one's whole key stays, and the second process reads it.
fn create(path: &Path, random: &dyn Random) -> io::Result<()> {
    let aside = aside(path, random);
    let linked = write_key(&aside, random).and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => removed,
    }
}

fn aside(path: &Path, random: &dyn Random) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:032x}", u128::from_ne_bytes(random::bytes(random))));
    PathBuf::from(name)
}

fn write_key(path: &Path, random: &dyn Random) -> io::Result<()> {
    let key: Zeroizing<[u8; MIN_BYTES]> = Zeroizing::new(random::bytes(random));
    let text = Zeroizing::new(STANDARD.encode(key.as_slice()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", text.as_str())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn a_key_is_read_in_every_form_of_base64() {
        let bytes: Vec<u8> = (180..=255).collect();
        let standard = STANDARD.encode(&bytes);
        for text in [
            standard.clone(),
            standard.trim_end_matches('=').to_owned(),
            standard.replace('+', "-").replace('/', "_"),
            format!("{}\n", standard.replace("s", "s\n")),
        ] {
            assert_eq!(CookieKey::parse(&text).unwrap().as_bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        assert_eq!(CookieKey::parse("secret!"), Err("is not base64"));
        assert_eq!(CookieKey::parse(&STANDARD.encode([7; 63])), Err("has fewer than 64 bytes"));
        assert_eq!(CookieKey::parse(&STANDARD.encode([7; 64])), Err("is not random"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db.cookie-key");
        let opened = || CookieKeySource::Beside(KeyFile::of(&folder.path().join("s.db"))).open(&SystemRandom);
        let key = opened().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(opened().unwrap(), key);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        for mode in [0o640, 0o660, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(opened().unwrap(), key, "a group, as Kubernetes sets it: {mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o601, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = opened().unwrap_err().to_string();
            assert!(refused.contains("can be read or written by every user: run `chmod 600 "), "{mode:o}: {refused}");
        }
    }

    #[test]
    fn servers_that_start_at_once_agree_on_one_key() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let open = || KeyFile::of(&folder.path().join("s.db")).open(&SystemRandom).unwrap();
            let keys: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn an_unusable_place_or_file_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = KeyFile::of(&folder.path().join("none/s.db"));
        let refused = nowhere.open(&SystemRandom).unwrap_err().to_string();
        assert!(refused.starts_with("SESSIOND_COOKIE_KEY is not set, and /"), "{refused}");
        assert!(refused.contains("cannot be created: No such file or directory"), "{refused}");
    }
}
