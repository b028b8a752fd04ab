//! The key behind throttling: it names what is counted, and signs the cookie of a device that its owner signed in on.
//!
//! Owns [`ThrottleKey`], [`BucketId`] and [`DeviceCookie`]. A counter's name tells nobody, not even who reads Redis,
//! which address or account it is of. Must never be the key that signs sessions: it is derived from it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::throttle::{Counts, Network};
use super::{Random, random};

const NONCE: usize = 16;
const MAC: usize = 32;
/// Both in base64url.
const COOKIE_TEXT: usize = 64;

/// The name of one counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketId([u8; 16]);

impl BucketId {
    /// Any name, for tests that need many.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, which look random.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketId({})", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What a browser keeps after somebody signed in on it: it opens nothing, but gives that account's owner a counter of
/// their own. Not yet judged when it comes from a request.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCookie(String);

impl DeviceCookie {
    /// A text that may be one; none when it cannot be.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == COOKIE_TEXT).then(|| Self(text.to_owned()))
    }

    /// The text, for the cookie alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCookie(***)")
    }
}

/// Names counters and signs device cookies; the same on all nodes.
#[derive(Clone)]
pub struct ThrottleKey {
    /// The key is worked in already; each use takes a copy.
    keyed: Hmac<Sha256>,
}

impl ThrottleKey {
    /// Derived from the key that signs the session cookie.
    pub fn derive(cookie_key: &[u8]) -> Self {
        let keyed = |key: &[u8]| {
            // HMAC takes any length: a key longer than a block is hashed, a shorter one is filled up (RFC 2104 §2).
            let mut block = [0; 64];
            if key.len() > block.len() {
                use sha2::Digest as _;
                block.iter_mut().zip(Sha256::digest(key)).for_each(|(place, byte)| *place = byte);
            } else {
                block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
            }
            Hmac::<Sha256>::new(&block.into())
        };
        let derived = keyed(cookie_key).chain_update(b"sessiond throttle key, version 1").finalize().into_bytes();
        Self { keyed: keyed(Zeroizing::new(derived.to_vec()).as_slice()) }
    }

    /// The counter of an account, named by its [`super::Email::key_of`]: one for all spellings, and whether it exists or not.
    pub fn account(&self, email_key: &str) -> BucketId {
        self.bucket("account", email_key.as_bytes())
    }

    /// The counter of what a network does in one span of time.
    pub fn network(&self, network: &Network, what: Counts, window: i64) -> BucketId {
        let Network { first, prefix, share: _ } = network;
        let kind = match what {
            Counts::Guesses => "network",
            Counts::Registrations => "registrations",
        };
        self.bucket(kind, format!("{first}/{prefix} {window}").as_bytes())
    }

    /// A new cookie for a device that this account's owner has signed in on.
    pub fn issue(&self, email_key: &str, random: &dyn Random) -> DeviceCookie {
        let nonce: [u8; NONCE] = random::bytes(random);
        let mac = self.device_mac(&nonce, email_key).finalize().into_bytes();
        DeviceCookie(URL_SAFE_NO_PAD.encode([nonce.as_slice(), mac.as_slice()].concat()))
    }

    /// The counter of the device, if the cookie was issued by us and for this very account.
    pub fn recognise(&self, cookie: &DeviceCookie, email_key: &str) -> Option<BucketId> {
        let mut bytes = [0; NONCE + MAC];
        let length = URL_SAFE_NO_PAD.decode_slice(&cookie.0, &mut bytes).ok()?;
        let (nonce, mac) = bytes.get(..length)?.split_at_checked(NONCE)?;
        self.device_mac(nonce, email_key).verify_slice(mac).ok()?;
        Some(self.bucket("device", nonce))
    }

    fn device_mac(&self, nonce: &[u8], email_key: &str) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(b"device cookie\0").chain_update(nonce).chain_update(email_key)
    }

    fn bucket(&self, kind: &str, name: &[u8]) -> BucketId {
        let mac = self.keyed.clone().chain_update(kind).chain_update(b"\0").chain_update(name);
        let mut id = [0; 16];
        id.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(place, byte)| *place = byte);
        BucketId(id)
    }
}

impl fmt::Debug for ThrottleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThrottleKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Email, SystemRandom};

    fn key() -> ThrottleKey {
        ThrottleKey::derive(&[7; 64])
    }

    #[test]
    fn a_device_is_recognised_for_its_own_account_alone() {
        let cookie = key().issue("ana@example.org", &SystemRandom);
        assert_eq!(cookie.expose().len(), COOKIE_TEXT);
        let bucket = key().recognise(&cookie, "ana@example.org");
        assert!(bucket.is_some());
        assert_eq!(key().recognise(&cookie, "ana@example.org"), bucket, "the same device");
        assert_ne!(key().recognise(&key().issue("ana@example.org", &SystemRandom), "ana@example.org"), bucket);
        assert_eq!(key().recognise(&cookie, "eve@example.org"), None);
        assert_eq!(ThrottleKey::derive(&[8; 64]).recognise(&cookie, "ana@example.org"), None);
    }

    #[test]
    fn what_was_changed_or_never_issued_is_no_device() {
        let good = key().issue("ana@example.org", &SystemRandom);
        for place in 0..COOKIE_TEXT {
            let mut text = good.expose().to_owned();
            let other = if text.get(place..=place) == Some("A") { "B" } else { "A" };
            text.replace_range(place..=place, other);
            assert_eq!(key().recognise(&DeviceCookie::parse(&text).unwrap(), "ana@example.org"), None, "{place}");
        }
        for text in ["*".repeat(COOKIE_TEXT), "A".repeat(COOKIE_TEXT)] {
            assert_eq!(key().recognise(&DeviceCookie::parse(&text).unwrap(), "ana@example.org"), None);
        }
        assert!(DeviceCookie::parse("").is_none() && DeviceCookie::parse(&"A".repeat(65)).is_none());
    }

    #[test]
    fn counters_of_different_things_have_different_names() {
        let key = key();
        let network = |prefix| Network { first: "2001:db8::".parse().unwrap(), prefix, share: 1 };
        let (narrow, wide) = (network(64), network(48));
        let names = [
            key.account("a"),
            key.account("b"),
            key.network(&narrow, Counts::Guesses, 1),
            key.network(&narrow, Counts::Guesses, 2),
            key.network(&wide, Counts::Guesses, 1),
            key.network(&wide, Counts::Registrations, 1),
        ];
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name));
        }
        assert_ne!(key.account("a"), ThrottleKey::derive(&[7; 65]).account("a"));
    }

    /// V-14 and V-15.
    #[test]
    fn v_14_all_spellings_of_an_account_have_one_counter() {
        let of = |text: &str| key().account(&Email::key_of(text));
        for spelling in ["Ana@Example.org", "ANA@EXAMPLE.ORG ", "\tana@example.org"] {
            assert_eq!(of(spelling), of("ana@example.org"));
        }
        assert_eq!(of("jos\u{e9}@example.org"), of("JOSE\u{301}@example.org"));
    }
}
