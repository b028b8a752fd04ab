//! Stored hashes: the forms in which a password's hash may lie here, ours and those that other systems made.
//!
//! Owns the reading of each form, and the bounds on what a hash may cost: a stored text says how much work a sign-in does.
//! Must never put any part of a hash into an error.
//!
//! Bounds: Argon2 and scrypt take at most 64 MiB, bcrypt a cost of 14, PBKDF2 two million rounds. Each is about a second of
//! one core, and less than the hash pool waits for.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params, Version};
use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::cost::today;

/// The lanes of our hashes.
pub(super) const LANES: u32 = 1;
/// The length of our salts.
pub(super) const SALT: usize = 16;
/// Salt of the hash that is computed for an unknown user. Its output is discarded.
pub(super) const NOBODYS_SALT: [u8; SALT] = *b"nobody at all...";

/// Most memory of one hash.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;
const MIN_BCRYPT_COST: u32 = 4;
const MAX_BCRYPT_COST: u32 = 14;
/// Most that scrypt may write in all lanes together, in KiB.
const MAX_SCRYPT_WORK_KIB: u64 = 4 * 65_536;
const MAX_ROUNDS: u32 = 2_000_000;

/// Longest text of a stored hash.
const MAX_TEXT: usize = 512;
const MAX_SALT: usize = 64;
/// The output's length: a shorter one would match many passwords.
const MIN_OUTPUT: usize = 16;
const MAX_OUTPUT: usize = 64;

/// bcrypt's output; the last byte of the cipher text is not stored.
pub(super) const BCRYPT_OUTPUT: usize = 23;
/// bcrypt's salt.
const BCRYPT_SALT: usize = 16;

/// Spare bits at the end differ between libraries, and so does padding.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&BCRYPT_ALPHABET, LENIENT);
const BCRYPT_ALPHABET: Alphabet = alphabet::BCRYPT;

/// A text that is no hash which can be verified here; why, without any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableHash(pub &'static str);

const NO_FORM: UnusableHash =
    UnusableHash("the hash is none of argon2, bcrypt, scrypt ($scrypt$) and PBKDF2 ($pbkdf2-… or pbkdf2_…)");
const DAMAGED: UnusableHash = UnusableHash("the hash is damaged");
const TOO_DEAR: UnusableHash = UnusableHash("the hash costs more than a sign-in may: see docs/operations.md");

/// What is done with a password: an algorithm and its cost.
#[derive(Clone, Debug)]
pub(super) enum Recipe {
    /// Argon2, in any of its variants and versions.
    Argon2(Algorithm, Version, Params),
    /// bcrypt, with 2 to this power rounds.
    Bcrypt(u32),
    /// scrypt.
    Scrypt(scrypt::Params),
    /// PBKDF2 with HMAC over SHA-256 or SHA-512.
    Pbkdf2(pbkdf2::Algorithm, pbkdf2::Params),
}

/// A stored hash, read and bounded.
#[derive(Clone)]
pub struct StoredHash {
    /// What made it.
    pub(super) recipe: Recipe,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl StoredHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// If it has no known form, is damaged, or costs too much.
    pub fn parse(text: &str) -> Result<Self, UnusableHash> {
        if text.len() > MAX_TEXT {
            return Err(DAMAGED);
        }
        let mut fields = text.split('$');
        let read = match (fields.next(), fields.next()) {
            (Some(""), Some("argon2i" | "argon2d" | "argon2id")) => argon2(text),
            (Some(""), Some("2a" | "2b" | "2y")) => bcrypt(fields),
            (Some(""), Some("scrypt")) => scrypt(text),
            (Some(""), Some("pbkdf2-sha256")) => pbkdf2(pbkdf2::Algorithm::Pbkdf2Sha256, fields),
            (Some(""), Some("pbkdf2-sha512")) => pbkdf2(pbkdf2::Algorithm::Pbkdf2Sha512, fields),
            (Some("pbkdf2_sha256"), Some(rounds)) => django(pbkdf2::Algorithm::Pbkdf2Sha256, rounds, fields),
            (Some("pbkdf2_sha512"), Some(rounds)) => django(pbkdf2::Algorithm::Pbkdf2Sha512, rounds, fields),
            _ => Err(NO_FORM),
        }?;
        let fits = read.salt.len() <= MAX_SALT && (MIN_OUTPUT..=MAX_OUTPUT).contains(&read.output.len());
        if fits { Ok(read) } else { Err(DAMAGED) }
    }

    /// The same work, and nothing of its owner's: what is computed for an unknown user where such hashes are common.
    #[must_use]
    pub fn decoy(self) -> Self {
        Self { salt: NOBODYS_SALT.to_vec(), output: vec![0; self.output.len()], ..self }
    }

    /// Whether a right password should be hashed again: another system made the hash, or it costs less or more than ours
    /// do today. One that costs more would tell by its time that the account exists.
    pub fn is_outdated(&self) -> bool {
        let cost = today();
        let Recipe::Argon2(Algorithm::Argon2id, Version::V0x13, params) = &self.recipe else { return true };
        let is_ours = self.salt.len() == SALT && self.output.len() == 32 && params.p_cost() == LANES;
        !is_ours || params.m_cost() != cost.memory_kib || params.t_cost() != cost.passes
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredHash({:?}, …)", self.recipe)
    }
}

fn argon2(text: &str) -> Result<StoredHash, UnusableHash> {
    let phc = PasswordHash::new(text).map_err(|_| DAMAGED)?;
    let algorithm: Algorithm = phc.algorithm.as_str().parse().map_err(|_| DAMAGED)?;
    // The first version did not name itself.
    let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| DAMAGED)?;
    let params = Params::try_from(&phc).map_err(|_| DAMAGED)?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
        return Err(TOO_DEAR);
    }
    let (salt, output) = salt_and_output(&phc)?;
    Ok(StoredHash { recipe: Recipe::Argon2(algorithm, version, params), salt, output })
}

fn scrypt(text: &str) -> Result<StoredHash, UnusableHash> {
    let phc = PasswordHash::new(text).map_err(|_| DAMAGED)?;
    let number = |name: &str| phc.params.get_decimal(name).ok_or(DAMAGED);
    let (log_n, r, p) = (number("ln")?, number("r")?, number("p")?);
    let log_n = u8::try_from(log_n).ok().filter(|log_n| *log_n > 0).ok_or(DAMAGED)?;
    // In units of 128 bytes.
    let memory = 1_u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(r.into())).ok_or(TOO_DEAR)?;
    let work = memory.checked_mul(p.into()).ok_or(TOO_DEAR)?;
    if memory / 8 > u64::from(MAX_MEMORY_KIB) || work / 8 > MAX_SCRYPT_WORK_KIB {
        return Err(TOO_DEAR);
    }
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| DAMAGED)?;
    let (salt, output) = salt_and_output(&phc)?;
    Ok(StoredHash { recipe: Recipe::Scrypt(params), salt, output })
}

fn salt_and_output(phc: &PasswordHash) -> Result<(Vec<u8>, Vec<u8>), UnusableHash> {
    let (salt, output) = (phc.salt.as_ref().ok_or(DAMAGED)?, phc.hash.as_ref().ok_or(DAMAGED)?);
    Ok((salt.as_ref().to_vec(), output.as_bytes().to_vec()))
}

/// `10$`, then 22 characters of salt and 31 of output.
fn bcrypt<'a>(mut fields: impl Iterator<Item = &'a str>) -> Result<StoredHash, UnusableHash> {
    let (Some(cost), Some(both), None) = (fields.next(), fields.next(), fields.next()) else { return Err(DAMAGED) };
    let digits = Some(cost).filter(|cost| cost.len() == 2).ok_or(DAMAGED)?;
    let cost = decimal(digits.strip_prefix('0').unwrap_or(digits)).ok_or(DAMAGED)?;
    if cost > MAX_BCRYPT_COST {
        return Err(TOO_DEAR);
    }
    if cost < MIN_BCRYPT_COST {
        return Err(DAMAGED);
    }
    let (salt, output) = both.split_at_checked(22).filter(|(_, output)| output.len() == 31).ok_or(DAMAGED)?;
    let decoded = |text: &str| BCRYPT.decode(text).map_err(|_| DAMAGED);
    let (salt, output) = (decoded(salt)?, decoded(output)?);
    let fits = salt.len() == BCRYPT_SALT && output.len() == BCRYPT_OUTPUT;
    if fits { Ok(StoredHash { recipe: Recipe::Bcrypt(cost), salt, output }) } else { Err(DAMAGED) }
}

/// `i=29000,l=32$SALT$OUTPUT`, or `29000$SALT$OUTPUT`, as passlib writes it, with a dot for a plus.
fn pbkdf2<'a>(
    algorithm: pbkdf2::Algorithm,
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<StoredHash, UnusableHash> {
    let (Some(params), Some(salt), Some(output), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(DAMAGED);
    };
    let decoded = |text: &str| STANDARD.decode(text.replace('.', "+")).map_err(|_| DAMAGED);
    let (salt, output) = (decoded(salt)?, decoded(output)?);
    let mut rounds = None;
    for param in params.split(',') {
        match param.split_once('=') {
            None => rounds = decimal(param),
            Some(("i", number)) => rounds = decimal(number),
            Some(("l", length)) if decimal(length).and_then(|it| usize::try_from(it).ok()) == Some(output.len()) => {}
            Some(_) => return Err(DAMAGED),
        }
    }
    rounds_of(algorithm, rounds, salt, output)
}

/// `SALT$OUTPUT`: the salt is text, the output has padding.
fn django<'a>(
    algorithm: pbkdf2::Algorithm,
    rounds: &str,
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<StoredHash, UnusableHash> {
    let (Some(salt), Some(output), None) = (fields.next(), fields.next(), fields.next()) else { return Err(DAMAGED) };
    let output = STANDARD.decode(output).map_err(|_| DAMAGED)?;
    rounds_of(algorithm, decimal(rounds), salt.as_bytes().to_vec(), output)
}

fn rounds_of(
    algorithm: pbkdf2::Algorithm,
    rounds: Option<u32>,
    salt: Vec<u8>,
    output: Vec<u8>,
) -> Result<StoredHash, UnusableHash> {
    let rounds = rounds.ok_or(DAMAGED)?;
    if rounds > MAX_ROUNDS {
        return Err(TOO_DEAR);
    }
    // Fewer than a thousand rounds are refused there.
    let params = pbkdf2::Params::new(rounds).map_err(|_| DAMAGED)?;
    Ok(StoredHash { recipe: Recipe::Pbkdf2(algorithm, params), salt, output })
}

/// A number in its only spelling.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_bounded_before_it_is_obeyed() {
        let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "St6/ICe3qySLe5lZO+f5TqyZBPEfprb8RXPEWYhrgJY");
        let bcrypt = |cost: &str| format!("$2b${cost}$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6La");
        for text in [
            format!("$argon2id$v=19$m=65537,t=2,p=1${salt}${output}"),
            format!("$argon2id$v=19$m=19456,t=11,p=1${salt}${output}"),
            format!("$argon2i$v=19$m=19456,t=2,p=5${salt}${output}"),
            bcrypt("15"),
            bcrypt("31"),
            // 128 MiB, many lanes, an overflow.
            format!("$scrypt$ln=17,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=257${salt}${output}"),
            format!("$scrypt$ln=63,r=4294967295,p=4294967295${salt}${output}"),
            format!("$scrypt$ln=200,r=8,p=1${salt}${output}"),
            format!("$pbkdf2-sha256$i=2000001,l=32${salt}${output}"),
            format!("pbkdf2_sha256$4000000000$salt${output}="),
        ] {
            assert_eq!(StoredHash::parse(&text).unwrap_err(), TOO_DEAR, "{text}");
        }
        for text in [
            format!("$argon2id$v=19$m=65536,t=10,p=4${salt}${output}"),
            bcrypt("14"),
            format!("$scrypt$ln=16,r=8,p=4${salt}${output}"),
            format!("$pbkdf2-sha512$i=2000000,l=32${salt}${output}"),
        ] {
            assert!(StoredHash::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_damaged_or_unknown_is_told_without_a_part_of_it() {
        let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "St6/ICe3qySLe5lZO+f5TqyZBPEfprb8RXPEWYhrgJY");
        for text in [
            String::new(),
            "letmein".to_owned(),
            "$1$abcdefgh$".to_owned(),
            "$2x$10$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6La".to_owned(),
            "$2b$10$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6L".to_owned(),
            "$2b$010$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6La".to_owned(),
            "$2b$03$Ybrm3VuMpdV66AJ8S93JjeW..g.hjanM8sDmNo8BWnU6w6ploL6La".to_owned(),
            format!("$argon2id$v=18$m=1024,t=1,p=1${salt}${output}"),
            format!("$argon2id$v=19$m=1024,t=1,p=1${salt}"),
            // An output of ten bytes matches too easily.
            format!("$argon2id$v=19$m=1024,t=1,p=1${salt}$MDEyMzQ1Njc4OQ"),
            "pbkdf2_sha256$2000$salt$MDEyMzQ1Njc4OQ==".to_owned(),
            "pbkdf2_sha256$2000$salt$".to_owned(),
            format!("$pbkdf2-sha256$i=2000,l=33${salt}${output}"),
            format!("$pbkdf2-sha256$i=2000,x=1${salt}${output}"),
            format!("$pbkdf2-sha256$i=02000${salt}${output}"),
            format!("$pbkdf2-sha256$i=999${salt}${output}"),
            format!("$pbkdf2-sha256$2000${salt}${output}$"),
            format!("$scrypt$ln=10,r=8${salt}${output}"),
            format!("$scrypt$ln=0,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=0,p=1${salt}${output}"),
            format!("pbkdf2_sha256$2000${}${output}", "s".repeat(65)),
            format!("pbkdf2_sha256$2000$salt${output}{}", "A".repeat(600)),
        ] {
            let why = StoredHash::parse(&text).unwrap_err();
            assert!([NO_FORM, DAMAGED].contains(&why), "{text}: {why}");
        }
    }

    #[test]
    fn only_a_hash_like_ours_of_today_stays() {
        let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "St6/ICe3qySLe5lZO+f5TqyZBPEfprb8RXPEWYhrgJY");
        let outdated = |rest: &str| StoredHash::parse(rest).unwrap().is_outdated();
        assert!(!outdated(&format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${output}")));
        for params in ["m=19455,t=2,p=1", "m=19456,t=1,p=1", "m=65536,t=2,p=1", "m=19456,t=3,p=1", "m=19456,t=2,p=2"] {
            assert!(outdated(&format!("$argon2id$v=19${params}${salt}${output}")), "{params}");
        }
        assert!(outdated(&format!("$argon2i$v=19$m=19456,t=2,p=1${salt}${output}")));
        assert!(outdated(&format!("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4${output}")), "a short salt");
    }
}
