//! The session token, and the only form of it that is stored.
//!
//! Owns [`Token`] and [`TokenHash`]. A token lives in the cookie and, for one request, in memory; nothing here prints
//! it, and no other file may store it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroize;

use super::{Random, ids, random};

/// 16 bytes from the operating system's generator, all 128 bits random, written in UUID text form.
///
/// Not a version-4 UUID: those have only 122 random bits, and OWASP ASVS 5.0 §7.2.3 asks for 128.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// A new, unpredictable token.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }

    /// A token that was derived from a secret key and something unique: as unpredictable as the key.
    pub fn derived(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses the hyphenated lower-case UUID form and no other.
    pub fn parse(text: &str) -> Option<Self> {
        ids::parse_hyphenated(text).map(|uuid| Self(uuid.into_bytes()))
    }

    /// The text that goes into the cookie. The caller must put it nowhere else.
    pub fn expose(&self) -> String {
        Uuid::from_bytes(self.0).hyphenated().to_string()
    }

    /// The token's bytes. The caller must keep them nowhere.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The hash that is stored in place of the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of the token's 16 bytes, as SQL and Redis hold it. The token has 128 random bits, so a fast hash without
/// salt cannot be reversed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// A hash as stored; `None` if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash as stored in SQL.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash in a Redis key: 43 characters of base64url without padding.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads [`TokenHash::to_base64url`] back.
    pub fn parse_base64url(text: &str) -> Option<Self> {
        Self::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// The first six bytes of SHA-256 over this hash and a record's content. The record stores them, so that a record
    /// under a foreign key, or with altered content, is detected. It is no signature: a writer to Redis can compute it.
    pub fn check_of(&self, said: &[u8]) -> [u8; 6] {
        let digest: [u8; 32] = Sha256::new().chain_update(self.0).chain_update(said).finalize().into();
        let [a, b, c, d, e, f, ..] = digest;
        [a, b, c, d, e, f]
    }
}

/// Bytes that are not a token hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are not a token hash")]
pub struct NotAHash(usize);

impl TryFrom<Vec<u8>> for TokenHash {
    type Error = NotAHash;

    fn try_from(bytes: Vec<u8>) -> Result<Self, NotAHash> {
        Self::from_slice(&bytes).ok_or(NotAHash(bytes.len()))
    }
}

impl From<TokenHash> for Vec<u8> {
    fn from(hash: TokenHash) -> Self {
        hash.0.to_vec()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TokenHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn a_token_reads_back_from_its_text() {
        let token = Token::generate(&SystemRandom);
        assert_eq!(Token::parse(&token.expose()), Some(token));
    }

    #[test]
    fn all_128_bits_of_a_token_are_random() {
        // 10 000 fair draws of one bit lie within 6 standard deviations (300) of the middle but for one run in 10⁹.
        let mut ones = [0_u32; 128];
        for _ in 0..10_000 {
            let bits = u128::from_be_bytes(Token::generate(&SystemRandom).0);
            for (place, count) in ones.iter_mut().enumerate() {
                *count += u32::from(bits >> place & 1 == 1);
            }
        }
        assert!(ones.iter().all(|&count| count.abs_diff(5_000) < 300), "{ones:?}");
    }

    #[test]
    fn nothing_prints_a_token() {
        let token = Token::generate(&SystemRandom);
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(format!("{:?}", token.hash()).len() < 24);
    }
}
