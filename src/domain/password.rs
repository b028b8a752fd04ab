//! Passwords: their rules, and their hashes.
//!
//! Owns [`Password`] (the secret as typed) and [`Hasher`] (one worker's memory for hashing). New hashes are Argon2id; those
//! that other systems made are verified, too. Must never print a password and never obey the cost parameters of a stored
//! hash before bounding them. Sources: OWASP ASVS 5.0 §6.2, OWASP Password Storage (19 MiB, 2 passes, 1 lane),
//! NIST SP 800-63B-4 §3.1.1.2.

mod cost;
mod stored;

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

use super::{Random, random};

#[cfg(feature = "fault-points")]
pub use cost::{CHEAP_VARIABLE, hash_at_full_cost, is_cheap};
pub use stored::{StoredHash, UnusableHash};

use stored::{LANES, NOBODYS_SALT, Recipe, SALT};

/// Fewest code points of a new password, even if the settings say less.
pub const MIN_CHARS: usize = 8;
/// Most code points of a password.
pub const MAX_CHARS: usize = 256;

/// Most bytes of a password that bcrypt reads, the NUL at its end included.
const BCRYPT_READS: usize = 72;

/// Stored in place of a hash while no password opens the account; it is not the hash of any password. A comparison with
/// it costs as much as a mismatch.
pub const LOCKED: &str = "!locked";

/// A password as typed, composed (NFC) so that one password has one byte form. Wiped from memory when dropped; never
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// Why a new password is refused, in words for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WeakPassword(pub String);

impl Password {
    /// Takes ownership of the text and wipes the original.
    pub fn new(mut text: String) -> Self {
        let composed = text.nfc().collect();
        text.zeroize();
        Self(Zeroizing::new(composed))
    }

    /// Longer than any accepted password: it cannot match and is not worth a hash.
    pub fn is_too_long(&self) -> bool {
        self.chars() > MAX_CHARS
    }

    /// The number of code points.
    pub(super) fn chars(&self) -> usize {
        self.0.chars().count()
    }

    /// Its first characters, for the password rules.
    pub(super) fn beginning(&self, chars: usize) -> Zeroizing<String> {
        Zeroizing::new(self.0.chars().take(chars).collect())
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Match {
        /// The stored hash is not what one made today would be, and should be replaced.
        outdated: bool,
    },
    /// The password is wrong.
    Mismatch,
    /// The stored hash is unusable: of no known form, or above the bounds. One hash was computed nevertheless, so that
    /// this costs as much as a mismatch.
    Unusable,
}

/// Hashing failed for a reason other than the password (out of memory).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hashing a password failed: {0}")]
pub struct HashingFailed(String);

/// One worker's memory for hashing: allocated at first use, then reused.
#[derive(Default)]
pub struct Hasher {
    blocks: Vec<Block>,
}

impl Hasher {
    /// Hashes a new password with today's parameters and a fresh salt; returns the PHC string to store.
    pub fn hash(&mut self, password: &Password, random: &dyn Random) -> Result<String, HashingFailed> {
        let salt: [u8; SALT] = random::bytes(random);
        let params = todays_params()?;
        let output = self.run(password, &salt, &todays_recipe()?, 32)?;
        let phc = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(failed)?,
            salt: Some(Salt::new(&salt).map_err(failed)?),
            hash: Some(Output::new(output.as_slice()).map_err(failed)?),
        };
        Ok(phc.to_string())
    }

    /// Compares a password with a stored hash, in constant time once the hash is computed. `decoy` is what is computed
    /// where there is none to compare with.
    pub fn verify(
        &mut self,
        password: &Password,
        stored: &str,
        decoy: Option<&StoredHash>,
    ) -> Result<Verdict, HashingFailed> {
        let Ok(stored) = StoredHash::parse(stored) else {
            self.verify_nobody(password, decoy)?;
            return Ok(Verdict::Unusable);
        };
        let computed = self.run(password, &stored.salt, &stored.recipe, stored.output.len())?;
        if bool::from(computed.as_slice().ct_eq(&stored.output)) {
            Ok(Verdict::Match { outdated: stored.is_outdated() })
        } else {
            Ok(Verdict::Mismatch)
        }
    }

    /// Computes one hash and discards it, so that an unknown user costs as much as a known one: by today's recipe, or by
    /// the decoy's.
    pub fn verify_nobody(&mut self, password: &Password, decoy: Option<&StoredHash>) -> Result<(), HashingFailed> {
        match decoy {
            Some(decoy) => self.run(password, &decoy.salt, &decoy.recipe, decoy.output.len()),
            None => self.run(password, &NOBODYS_SALT, &todays_recipe()?, 32),
        }
        .map(drop)
    }

    fn run(
        &mut self,
        password: &Password,
        salt: &[u8],
        recipe: &Recipe,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, HashingFailed> {
        let bytes = password.as_bytes();
        let mut output = Zeroizing::new(vec![0; length]);
        match recipe {
            Recipe::Argon2(algorithm, version, params) => {
                self.argon2(bytes, salt, (*algorithm, *version, params), &mut output)?;
            }
            Recipe::Bcrypt(cost) => {
                let mut read = Zeroizing::new([bytes, b"\0".as_slice()].concat());
                read.truncate(BCRYPT_READS);
                let salt = salt.try_into().map_err(failed)?;
                output = Zeroizing::new(bcrypt::bcrypt(*cost, salt, &read).to_vec());
                output.truncate(stored::BCRYPT_OUTPUT);
            }
            Recipe::Scrypt(params) => scrypt::scrypt(bytes, salt, params, &mut output).map_err(failed)?,
            Recipe::Pbkdf2(algorithm, params) => {
                pbkdf2::pbkdf2_hmac_with_params(bytes, salt, *algorithm, *params, &mut output);
            }
        }
        Ok(output)
    }

    fn argon2(
        &mut self,
        password: &[u8],
        salt: &[u8],
        (algorithm, version, params): (Algorithm, Version, &Params),
        output: &mut [u8],
    ) -> Result<(), HashingFailed> {
        let needed = params.block_count();
        if self.blocks.len() < needed {
            self.blocks.resize(needed, Block::default());
        }
        Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(password, salt, output, &mut self.blocks)
            .map_err(failed)?;
        if needed > usual_blocks() {
            // A hash with other parameters took more memory than later ones need: free it.
            self.blocks = Vec::new();
        }
        Ok(())
    }
}

/// The memory blocks of one of our own hashes.
fn usual_blocks() -> usize {
    usize::try_from(cost::FULL.memory_kib).unwrap_or(usize::MAX)
}

fn todays_params() -> Result<Params, HashingFailed> {
    let cost = cost::today();
    Params::new(cost.memory_kib, cost.passes, LANES, Some(32)).map_err(failed)
}

fn todays_recipe() -> Result<Recipe, HashingFailed> {
    Ok(Recipe::Argon2(Algorithm::Argon2id, Version::V0x13, todays_params()?))
}

fn failed(error: impl fmt::Display) -> HashingFailed {
    HashingFailed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn a_hash_is_argon2id_with_owasps_parameters_and_verifies() {
        let mut hasher = Hasher::default();
        let stored = hasher.hash(&password("correct horse"), &SystemRandom).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(
            hasher.verify(&password("correct horse"), &stored, None).unwrap(),
            Verdict::Match { outdated: false }
        );
        assert_eq!(hasher.verify(&password("Correct horse"), &stored, None).unwrap(), Verdict::Mismatch);
    }

    #[test]
    fn a_cheaper_hash_verifies_and_is_outdated() {
        let mut hasher = Hasher::default();
        let cheap = cheap_hash("password");
        assert_eq!(hasher.verify(&password("password"), &cheap, None).unwrap(), Verdict::Match { outdated: true });
    }

    #[test]
    fn parameters_of_a_stored_hash_are_bounded_before_they_are_obeyed() {
        let mut hasher = Hasher::default();
        let good = cheap_hash("password");
        for (what, stored) in [
            ("8 GiB", good.replace("m=1024", "m=8388608")),
            ("passes", good.replace("t=1", "t=4000000000")),
            ("another algorithm", good.replace("argon2id", "argon3")),
            ("no hash", "letmein".to_owned()),
            ("nothing", String::new()),
        ] {
            assert_eq!(hasher.verify(&password("password"), &stored, None).unwrap(), Verdict::Unusable, "{what}");
        }
        assert!(hasher.blocks.len() <= 19_456, "no more memory than one of our own hashes takes");
    }

    #[test]
    fn one_password_has_one_form_and_nothing_is_cut_off() {
        assert_eq!(password("jos\u{e9}-secret"), password("jose\u{301}-secret"));
        let mut hasher = Hasher::default();
        let long = "x".repeat(199);
        let stored = hasher.hash(&password(&format!("{long}a")), &SystemRandom).unwrap();
        assert_eq!(hasher.verify(&password(&format!("{long}b")), &stored, None).unwrap(), Verdict::Mismatch);
        assert_ne!(password("a\0bcdefgh"), password("a"));
    }

    #[test]
    fn the_length_counts_in_code_points_of_the_composed_form() {
        assert!(!password(&"🦀".repeat(256)).is_too_long());
        assert!(!password(&"e\u{301}".repeat(256)).is_too_long());
        assert!(password(&"x".repeat(257)).is_too_long());
    }

    #[test]
    fn memory_that_one_stored_hash_asks_for_is_given_back() {
        let mut hasher = Hasher::default();
        let large = hash_with(&Params::new(65_536, 1, 1, Some(32)).unwrap(), "password");
        assert_eq!(hasher.verify(&password("password"), &large, None).unwrap(), Verdict::Match { outdated: true });
        assert!(hasher.blocks.is_empty(), "{} blocks are kept", hasher.blocks.len());
        hasher.verify_nobody(&password("password"), None).unwrap();
        assert_eq!(hasher.blocks.len(), 19_456);
    }

    /// Of this password, by other libraries: maker and hash in each line.
    const HASHES: &str = include_str!("../../tests/api/import_files/hashes.txt");
    const PASSWORD: &str = "trombone café on the 7th floor";

    fn verdict(password: &str, stored: &str) -> Verdict {
        Hasher::default().verify(&Password::new(password.to_owned()), stored, None).unwrap()
    }

    #[test]
    fn a_hash_of_every_form_knows_its_password_and_no_other() {
        for (maker, hash) in HASHES.lines().filter_map(|line| line.split_once(' ')) {
            assert_eq!(verdict(PASSWORD, hash), Verdict::Match { outdated: true }, "{maker}");
            assert_eq!(verdict("trombone cafe on the 7th floor", hash), Verdict::Mismatch, "{maker}");
            let decoy = StoredHash::parse(hash).unwrap().decoy();
            Hasher::default().verify_nobody(&Password::new(PASSWORD.to_owned()), Some(&decoy)).expect(maker);
            assert!(!decoy.salt.is_empty() && decoy.output.iter().all(|byte| *byte == 0), "{maker}");
        }
        assert_eq!(HASHES.lines().count(), 15);
    }

    /// By bcrypt 5.0 of Python, which refuses longer ones: of 72 times x.
    #[test]
    fn bcrypt_reads_the_beginning_of_a_long_password() {
        let stored = "$2b$04$LraNWqaeM5vFGrKGROz92u3D6IU18gw2pCkXtNvsCOb5NCjGrjheW";
        assert_eq!(verdict(&"x".repeat(72), stored), Verdict::Match { outdated: true });
        assert_eq!(verdict(&"x".repeat(80), stored), Verdict::Match { outdated: true });
        assert_eq!(verdict(&"x".repeat(71), stored), Verdict::Mismatch);
    }

    fn cheap_hash(text: &str) -> String {
        hash_with(&Params::new(1024, 1, 1, Some(32)).unwrap(), text)
    }

    fn hash_with(params: &Params, text: &str) -> String {
        let mut hasher = Hasher::default();
        let recipe = Recipe::Argon2(Algorithm::Argon2id, Version::V0x13, params.clone());
        let output = hasher.run(&password(text), b"somesaltsomesalt", &recipe, 32).unwrap();
        PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(19),
            params: ParamsString::try_from(params).unwrap(),
            salt: Some(Salt::new(b"somesaltsomesalt").unwrap()),
            hash: Some(Output::new(output.as_slice()).unwrap()),
        }
        .to_string()
    }
}
