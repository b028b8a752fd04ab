//! Seal: keeps a secret in SQL so that only a node with the cookie key can read it.
//!
//! Owns the cipher (AES-256-GCM) and how its key comes from the cookie key (HKDF, RFC 5869). Each seal has a nonce of its
//! own and is bound to a name. Must never keep what it opened.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::{Random, random};

/// Seals and opens secrets of one purpose.
pub struct Seal(LessSafeKey);

impl Seal {
    /// The seal of this purpose under the cookie key. None only if the cipher refuses its key, which has the right length.
    pub fn new(cookie_key: &[u8], purpose: &'static str) -> Option<Self> {
        let key = Salt::new(HKDF_SHA256, &[]).extract(cookie_key);
        let info = [purpose.as_bytes()];
        let key = key.expand(&info, &AES_256_GCM).ok()?;
        Some(Self(LessSafeKey::new(UnboundKey::from(key))))
    }

    /// Seals a secret under a name: the nonce, then the ciphertext with its tag.
    pub fn close(&self, name: &str, secret: &[u8], random: &dyn Random) -> Option<Vec<u8>> {
        let nonce = random::bytes::<NONCE_LEN>(random);
        let mut sealed = secret.to_vec();
        let aad = Aad::from(name.as_bytes());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed under this name and this cookie key; none for anything else.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut secret = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(name.as_bytes());
        let length = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut secret).ok()?.len();
        secret.truncate(length);
        Some(secret)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn only_the_same_key_purpose_and_name_open_what_was_sealed() {
        let seal = Seal::new(&[7; 64], "tests").unwrap();
        let sealed = seal.close("a", b"a secret", &SystemRandom).unwrap();
        assert_eq!(seal.open("a", &sealed).unwrap().as_slice(), b"a secret");
        assert!(!sealed.windows(8).any(|part| part == b"a secret"));
        assert_ne!(seal.close("a", b"a secret", &SystemRandom).unwrap(), sealed, "a nonce of its own");
        let others = [Seal::new(&[8; 64], "tests"), Seal::new(&[7; 64], "others")];
        assert!(others.iter().flatten().all(|other| other.open("a", &sealed).is_none()));
        assert!(seal.open("b", &sealed).is_none());
        for end in 0..sealed.len() {
            assert!(seal.open("a", &sealed[..end]).is_none(), "{end} bytes of it");
        }
    }
}
