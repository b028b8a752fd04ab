//! Service secrets: what a service shows to be recognised.
//!
//! `sd_svc_`, six bytes that name the credential, sixteen random bytes, four bytes of a checksum; the bytes in lower-case
//! hexadecimal. The fixed beginning and the checksum let a program that looks for leaked secrets find it without false
//! alarms. Owns the form. Must never print a secret, and only its hash is stored.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Random, random};

/// How every secret begins.
pub const PREFIX: &str = "sd_svc_";

const ID: usize = 12;
const RANDOM: usize = 32;
const CHECKSUM: usize = 8;

/// The part of a secret that names its credential; no secret itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CredentialId(String);

impl CredentialId {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for CredentialId {
    fn from(stored: String) -> Self {
        Self(stored)
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole secret.
#[derive(Clone)]
pub struct ServiceSecret(Zeroizing<String>);

/// SHA-256 of a secret: its 128 random bits need no slow hash.
#[derive(Clone)]
pub struct SecretHash([u8; 32]);

impl ServiceSecret {
    /// A new, unpredictable secret.
    pub fn generate(source: &dyn Random) -> Self {
        let bytes: [u8; (ID + RANDOM) / 2] = random::bytes(source);
        let text = Zeroizing::new(format!("{PREFIX}{}", hex(&bytes)));
        let sum = checksum(&text);
        Self(Zeroizing::new(format!("{}{sum}", *text)))
    }

    /// A text of the right form, with the right checksum.
    pub fn parse(text: &str) -> Option<Self> {
        let (said, sum) = text.split_at_checked(PREFIX.len() + ID + RANDOM)?;
        let digits = said.strip_prefix(PREFIX)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (is_hex && sum.len() == CHECKSUM && sum == checksum(said)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, for the operator who asked for it. The caller must put it nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Which credential it is of.
    pub fn id(&self) -> CredentialId {
        CredentialId(self.0.get(PREFIX.len()..PREFIX.len() + ID).unwrap_or_default().to_owned())
    }

    /// What is stored of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(***)")
    }
}

impl SecretHash {
    /// A hash as stored; `None` if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash as stored in SQL.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are hashes of one secret; takes the same time either way.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    hex(digest.get(..CHECKSUM / 2).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn a_secret_is_read_back_and_any_change_is_noticed() {
        let secret = ServiceSecret::generate(&SystemRandom);
        let text = secret.expose().to_owned();
        assert_eq!(text.len(), 59);
        let read = ServiceSecret::parse(&text).unwrap();
        assert!(read.hash().is(&secret.hash()) && read.id() == secret.id());
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'7' { b'8' } else { b'7' };
            assert!(ServiceSecret::parse(std::str::from_utf8(&other).unwrap()).is_none(), "{place}");
        }
        let (short, _) = text.split_at(58);
        for other in [
            text.trim_start_matches('s'),
            short,
            "",
            PREFIX,
            &format!("{text}0"),
            &text.to_uppercase(),
            &"é".repeat(40),
        ] {
            assert!(ServiceSecret::parse(other).is_none(), "{other}");
        }
        assert!(!ServiceSecret::generate(&SystemRandom).hash().is(&secret.hash()));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = ServiceSecret::generate(&SystemRandom);
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "ServiceSecret(***) SecretHash(…)");
    }
}
