//! The key for throttling: it names counters and signs device cookies.
//!
//! Owns [`ThrottleKey`], [`BucketId`] and [`DeviceCookie`]. A counter's name does not reveal its address or account,
//! not even to a reader of Redis. Must never be the key that signs sessions: it is derived from that key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::throttle::{Counts, Network, Window};
use super::{Random, SessionId, UserId, random};

const NONCE: usize = 16;
const MARK: usize = 9;
const MAC: usize = 32;
/// Length of all three parts in base64url.
pub(crate) const COOKIE_TEXT: usize = 76;
/// Counters that all devices of an account share: more cookies do not make more counters.
const PLACES: u8 = 16;

/// The state of the account for which a device cookie was issued, until the account's next epoch. A new password, a
/// lost role and the end of all sessions raise the epoch; a new account at an old address has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceEpoch([u8; MARK]);

/// A device cookie that we issued for this account. Its epoch decides whether it still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownDevice {
    /// The epoch it was issued under.
    pub epoch: DeviceEpoch,
    place: u8,
}

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

/// What a browser keeps after its user signed in: it grants no access, but gives the account's owner a separate
/// counter. Not yet verified when it comes from a request.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCookie(String);

impl DeviceCookie {
    /// A possible cookie text; `None` if the length is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == COOKIE_TEXT).then(|| Self(text.to_owned()))
    }

    /// The text, only for the cookie.
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
    /// The HMAC state with the key already absorbed; each use takes a copy.
    keyed: Hmac<Sha256>,
}

impl ThrottleKey {
    /// Derives the key from the key that signs the session cookie.
    pub fn derive(cookie_key: &[u8]) -> Self {
        let keyed = |key: &[u8]| {
            // HMAC takes any length: it hashes a key longer than a block and pads a shorter one (RFC 2104 §2).
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

    /// The counter of an account, by its [`super::Email::key_of`]: one for all spellings, even if no such account
    /// exists.
    pub fn account(&self, email_key: &str) -> BucketId {
        self.bucket("account", email_key.as_bytes())
    }

    /// The counter of wrong passwords in a live session.
    pub fn session(&self, session: SessionId) -> BucketId {
        self.bucket("session", session.to_string().as_bytes())
    }

    /// The counter of a network's actions in one span of time.
    pub fn network(&self, network: &Network, what: Counts, window: i64) -> BucketId {
        let Network { first, prefix, share: _ } = network;
        self.bucket(what.name(), format!("{first}/{prefix} {window}").as_bytes())
    }

    /// The counter of actions on an account, in a session or on a device, in one span of time.
    pub fn span(&self, whose: &str, what: Counts, window: Window, number: i64) -> BucketId {
        let seconds = window.length.as_secs();
        self.bucket(what.name(), format!("{seconds} {number} {whose}").as_bytes())
    }

    /// The account's current epoch for device cookies.
    pub fn device_epoch(&self, user: UserId, epoch: i64) -> DeviceEpoch {
        let BucketId(name) = self.bucket("device epoch", format!("{user} {epoch}").as_bytes());
        let mut mark = [0; MARK];
        mark.iter_mut().zip(name).for_each(|(place, byte)| *place = byte);
        DeviceEpoch(mark)
    }

    /// Issues a cookie for a device on which the account's owner has signed in.
    pub fn issue(&self, email_key: &str, epoch: DeviceEpoch, random: &dyn Random) -> DeviceCookie {
        let nonce: [u8; NONCE] = random::bytes(random);
        let said = [nonce.as_slice(), epoch.0.as_slice()].concat();
        let mac = self.device_mac(&said, email_key).finalize().into_bytes();
        DeviceCookie(URL_SAFE_NO_PAD.encode([said.as_slice(), mac.as_slice()].concat()))
    }

    /// The device, if we issued the cookie for this account. Needs no look-up.
    pub fn recognise(&self, cookie: &DeviceCookie, email_key: &str) -> Option<ShownDevice> {
        let mut bytes = [0; NONCE + MARK + MAC];
        let length = URL_SAFE_NO_PAD.decode_slice(&cookie.0, &mut bytes).ok()?;
        let (said, mac) = bytes.get(..length)?.split_at_checked(NONCE + MARK)?;
        self.device_mac(said, email_key).verify_slice(mac).ok()?;
        let (nonce, mark) = said.split_first_chunk::<NONCE>()?;
        let [first, ..] = nonce;
        Some(ShownDevice { epoch: DeviceEpoch(mark.try_into().ok()?), place: first % PLACES })
    }

    /// The counter of a device of this account.
    pub fn device(&self, email_key: &str, device: ShownDevice) -> BucketId {
        let name = [&device.epoch.0, [device.place].as_slice(), email_key.as_bytes()].concat();
        self.bucket("device", &name)
    }

    /// The name of a device in its spans' counters: sixteen at each epoch, like its counters.
    pub fn device_name(email_key: &str, device: ShownDevice) -> String {
        format!("{:02x?} {} {email_key}", device.epoch.0, device.place)
    }

    /// The counter of all devices of this account together.
    pub fn devices(&self, email_key: &str, epoch: DeviceEpoch) -> BucketId {
        self.bucket("devices", &[&epoch.0, email_key.as_bytes()].concat())
    }

    /// Two numbers that belong to an address: which work it costs if it has no account.
    pub fn decoy(&self, email_key: &str) -> [u64; 2] {
        let BucketId(id) = self.bucket("decoy", email_key.as_bytes());
        let both = u128::from_be_bytes(id);
        [both >> 64, both & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default())
    }

    fn device_mac(&self, said: &[u8], email_key: &str) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(b"device cookie\0").chain_update(said).chain_update(email_key)
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
    use crate::domain::throttle::{DAY, TEN_MINUTES};
    use crate::domain::{Email, SystemRandom, Timestamp};

    fn key() -> ThrottleKey {
        ThrottleKey::derive(&[7; 64])
    }

    fn epoch(number: i64) -> DeviceEpoch {
        key().device_epoch(UserId::generate(Timestamp::from_ms(0), &Zeros), number)
    }

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn a_device_is_recognised_for_its_own_account_alone() {
        let cookie = key().issue("ana@example.org", epoch(3), &SystemRandom);
        assert_eq!(cookie.expose().len(), COOKIE_TEXT);
        let shown = key().recognise(&cookie, "ana@example.org").unwrap();
        assert_eq!(key().recognise(&cookie, "ana@example.org"), Some(shown), "the same device");
        assert!(shown.epoch == epoch(3) && shown.epoch != epoch(4), "it tells what it was issued under");
        assert_ne!(epoch(3), key().device_epoch(UserId::generate(Timestamp::from_ms(1), &Zeros), 3), "another account");
        assert_eq!(key().recognise(&cookie, "eve@example.org"), None);
        assert_eq!(ThrottleKey::derive(&[8; 64]).recognise(&cookie, "ana@example.org"), None);
    }

    #[test]
    fn any_number_of_devices_has_sixteen_counters_and_one_together() {
        let shown = (0..1_000).map(|_| {
            let cookie = key().issue("ana@example.org", epoch(1), &SystemRandom);
            key().recognise(&cookie, "ana@example.org").unwrap()
        });
        let shown: Vec<_> = shown.collect();
        let of = |name: fn(&ThrottleKey, ShownDevice) -> BucketId| {
            shown.iter().map(|device| name(&key(), *device)).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(of(|key, device| key.device("ana@example.org", device)), usize::from(PLACES));
        assert_eq!(of(|key, device| key.devices("ana@example.org", device.epoch)), 1);
    }

    #[test]
    fn what_was_changed_or_never_issued_is_no_device() {
        let good = key().issue("ana@example.org", epoch(1), &SystemRandom);
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
        let [ten, day] = [TEN_MINUTES, DAY].map(|length| Window { limit: 1, length });
        let (narrow, wide) = (network(64), network(48));
        let names = [
            key.account("a"),
            key.account("b"),
            key.network(&narrow, Counts::Guesses, 1),
            key.network(&narrow, Counts::Guesses, 2),
            key.network(&wide, Counts::Guesses, 1),
            key.network(&wide, Counts::Registrations, 1),
            key.network(&wide, Counts::Proofs, 1),
            key.network(&wide, Counts::Choices, 1),
            key.span("a", Counts::Proofs, ten, 1),
            key.span("a", Counts::Proofs, day, 1),
            key.span("a", Counts::SessionProofs, ten, 1),
            key.span("a", Counts::DeviceProofs, ten, 1),
            key.span("a", Counts::Choices, ten, 1),
            key.span("a", Counts::Changes, ten, 1),
            key.devices("a", epoch(1)),
            key.devices("a", epoch(2)),
            key.session(SessionId::UNKNOWN),
            key.account(&SessionId::UNKNOWN.to_string()),
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
