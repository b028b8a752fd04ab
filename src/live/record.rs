//! Record: the texts that may stand in a session's place in Redis: a record, or the lease of a fill.
//!
//! Owns the spelling of both, and the strict parser. Must never decide whether to trust a record: that depends on the
//! connection that it was read over.
//!
//! A record is one line of ten fields, split by one space each, so that `redis-cli` shows it; that of a session in which
//! somebody acts for its user has an eleventh, the acting party (`agent:assistant-7`):
//!
//! ```text
//! 1 <stamp> <check> <session id> <user id> <last seen, ms> <expires, ms> <idle, s> <flags> <ip> [<kind>:<id>]
//! ```
//!
//! Stamp, check and the two ids are base64url; the check covers the record's token hash and all later fields, so that a
//! damaged or misplaced text is no record. The flags are whether the session has data, its device and its owner's last
//! proof ([`super::flags`]). Every record has exactly one spelling. Any other spelling is no record, and neither is a
//! record of another version.
//!
//! The ids are not in their UUID form because of memory: with it a record is 150 bytes long, without it at most 124
//! for IPv4, and takes the next smaller of the sizes that Redis allocates (128 instead of 160 bytes).

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::flags::Flags;
use crate::domain::session::Deadlines;
use crate::domain::{ActingParty, DeviceMark, Nonce, SessionId, Stamp, Timestamp, TokenHash, UserId};

const VERSION: &[u8] = b"1";

/// No record is longer: a longer text need not be parsed.
const MAX_LENGTH: usize = 256;

/// The longest text form of an address, IPv4 inside IPv6.
const MAX_IP_LENGTH: usize = 45;

/// The longest field in base64url, in bytes: 16, rounded up to full groups of three.
const LONGEST_FIELD: usize = 18;

const LEASE: &[u8] = b"lease ";

/// A live session as stored in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The Redis process that it was written to.
    pub stamp: Stamp,
    /// The session's public id.
    pub session: SessionId,
    /// The owner.
    pub user: UserId,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
    /// The idle timeout, in whole seconds.
    pub idle: Duration,
    /// Whether the ledger holds data for it.
    pub has_data: bool,
    /// The device that it is bound to.
    pub device: DeviceMark,
    /// When its owner last proved their identity, in whole seconds from its creation; none when that no longer counts.
    pub proven_at: Option<Timestamp>,
    /// The address of the last use.
    pub ip: IpAddr,
    /// Who acts in it for its user; none in an ordinary session.
    pub acting: Option<Box<ActingParty>>,
}

/// The ledger's data on a live session: a record without the two fields that depend on its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The session's public id.
    pub session: SessionId,
    /// The owner.
    pub user: UserId,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
    /// The idle timeout, in whole seconds.
    pub idle: Duration,
    /// Whether the ledger holds data for it.
    pub has_data: bool,
    /// The device that it is bound to.
    pub device: DeviceMark,
    /// When its owner last proved their identity, in whole seconds from its creation; none when that no longer counts.
    pub proven_at: Option<Timestamp>,
    /// The address of the last use.
    pub ip: IpAddr,
    /// Who acts in it for its user; none in an ordinary session.
    pub acting: Option<Box<ActingParty>>,
}

impl Record {
    /// Parses the record of a token hash; none when the text is not exactly one. Allocates nothing, except for a party.
    pub fn parse(text: &[u8], hash: &TokenHash) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut head = text.splitn(4, |byte| *byte == b' ');
        if head.next()? != VERSION {
            return None;
        }
        let (stamp, check, said) = (bytes::<8>(head.next()?)?, bytes(head.next()?)?, head.next()?);
        if check != hash.check_of(said) {
            return None;
        }
        let mut fields = said.split(|byte| *byte == b' ');
        let mut field = || fields.next();
        let session = SessionId::from_bytes(bytes(field()?)?);
        let user = UserId::from_bytes(bytes(field()?)?);
        let last_seen = Timestamp::from_ms(number(field()?)?);
        let expires = Timestamp::from_ms(number(field()?)?);
        let idle = Duration::from_secs(number(field()?)?);
        let Flags { has_data, device, proven_at } = Flags::parse(field()?, session.made_at())?;
        let (stamp, ip) = (Stamp::from_slice(&stamp)?, address(field()?)?);
        let acting = match field() {
            Some(text) => Some(Box::new(ActingParty::parse(utf8(text)?)?)),
            None => None,
        };
        let record = Self { stamp, session, user, last_seen, expires, idle, has_data, device, proven_at, ip, acting };
        field().is_none().then_some(record)
    }

    /// Formats the record's one spelling, for this token hash. Drops fractions of a second in `idle`: the session may
    /// end earlier, never later.
    pub fn to_text(&self, hash: &TokenHash) -> String {
        let Self { stamp, session, user, last_seen, expires, idle, has_data, device, proven_at, ip, ref acting } =
            *self;
        let (last_seen, expires, idle) = (last_seen.ms(), expires.ms(), idle.as_secs());
        let flags = Flags { has_data, device, proven_at }.to_text(session.made_at());
        let [session, user] = [session.uuid(), user.uuid()].map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes()));
        let mut said = format!("{session} {user} {last_seen} {expires} {idle} {flags} {ip}");
        if let Some(party) = acting {
            said.push_str(&format!(" {party}"));
        }
        let stamp = URL_SAFE_NO_PAD.encode(stamp.as_bytes());
        let check = URL_SAFE_NO_PAD.encode(hash.check_of(said.as_bytes()));
        format!("1 {stamp} {check} {said}")
    }

    /// When the session ends without an action. The last-seen time of a record is exact.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines { last_seen: self.last_seen, idle: self.idle, expires: self.expires }
    }
}

impl NewRecord {
    /// The record as it is written to the process with `stamp`.
    pub(super) fn stamped(&self, stamp: Stamp) -> Record {
        let Self { session, user, last_seen, expires, idle, has_data, device, proven_at, ip, ref acting } = *self;
        let acting = acting.clone();
        Record { stamp, session, user, last_seen, expires, idle, has_data, device, proven_at, ip, acting }
    }
}

/// The text of a fill's lease.
pub(super) fn lease_text(nonce: Nonce) -> Vec<u8> {
    [LEASE, URL_SAFE_NO_PAD.encode(nonce.as_bytes()).as_bytes()].concat()
}

/// Whether the text is a fill's lease, and does not only begin like one.
pub(super) fn is_lease(text: &[u8]) -> bool {
    let Some(nonce) = text.strip_prefix(LEASE) else { return false };
    bytes::<16>(nonce).is_some()
}

fn utf8(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

/// Exactly this many bytes in base64url.
fn bytes<const LENGTH: usize>(field: &[u8]) -> Option<[u8; LENGTH]> {
    // The decoder needs space up to the next full group of three bytes.
    let mut room = [0; LONGEST_FIELD];
    let length = URL_SAFE_NO_PAD.decode_slice(field, &mut room).ok()?;
    room.get(..length)?.try_into().ok()
}

/// Decimal digits without a sign and without leading zeros.
fn number<T: FromStr>(field: &[u8]) -> Option<T> {
    let canonical = field == b"0" || matches!(field.first(), Some(b'1'..=b'9'));
    canonical.then(|| utf8(field)?.parse().ok()).flatten()
}

/// An address in its canonical spelling. IPv4 has only one; for IPv6 the standard parser accepts many.
fn address(field: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = utf8(field)?.parse().ok()?;
    (ip.is_ipv4() || is_spelled(ip, field)).then_some(ip)
}

fn is_spelled(value: impl Display, as_text: &[u8]) -> bool {
    let mut buffer = [0; MAX_IP_LENGTH];
    let mut rest = buffer.as_mut_slice();
    let fits = write!(rest, "{value}").is_ok();
    let length = MAX_IP_LENGTH - rest.len();
    fits && buffer.get(..length) == Some(as_text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ActorKind, SystemRandom};

    const HASH: [u8; 32] = [7; 32];

    const TEXT: &str = "1 AQIDBAUGBwg 4ZbG0tj- AZN8XnsafD2OTwARIjNEVQ AZN8XnsafD2OT1VEMyIRAA \
        1795331082007 1795374282007 1800 dFL 2001:db8::7";

    fn records() -> impl Strategy<Value = Record> {
        let times = (0..=i64::MAX, 0..=i64::MAX, any::<u64>());
        let ids = (any::<[u8; 8]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
        let flags = (any::<bool>(), "[-A-Za-z0-9]{2}", any::<Option<(bool, u32)>>());
        let acting = prop::option::of((prop::sample::select(ActorKind::ALL.to_vec()), "[!-~]{1,64}"));
        (ids, times, flags, any::<IpAddr>(), acting).prop_map(|(ids, times, (has_data, device, proven), ip, acting)| {
            let session = SessionId::from_bytes(ids.1);
            Record {
                stamp: Stamp::from_slice(&ids.0).unwrap(),
                session,
                user: UserId::from_bytes(ids.2),
                last_seen: Timestamp::from_ms(times.0),
                expires: Timestamp::from_ms(times.1),
                idle: Duration::from_secs(times.2),
                has_data,
                device: DeviceMark::from_bytes(device.as_bytes().try_into().unwrap()).unwrap(),
                proven_at: proven.map(|(before, seconds)| {
                    let by = Duration::from_secs(seconds.into());
                    if before { session.made_at().minus(by) } else { session.made_at().plus(by) }
                }),
                ip,
                acting: acting.map(|(kind, id)| Box::new(ActingParty::new(kind, &id).unwrap())),
            }
        })
    }

    fn hash() -> TokenHash {
        TokenHash::from_slice(&HASH).unwrap()
    }

    fn parse(text: &[u8]) -> Option<Record> {
        Record::parse(text, &hash())
    }

    /// The text with a correct check, so that only its spelling can be wrong.
    fn checked(text: &[u8]) -> Vec<u8> {
        let fields: Vec<_> = text.splitn(4, |byte| *byte == b' ').collect();
        let [version, stamp, _, said] = fields.as_slice() else { return text.to_vec() };
        let check = URL_SAFE_NO_PAD.encode(hash().check_of(said));
        [version, stamp, check.as_bytes(), said].join(&b' ')
    }

    proptest! {
        #[test]
        fn every_record_reads_back(record in records()) {
            let text = record.to_text(&hash());
            prop_assert!(text.len() <= MAX_LENGTH, "{} bytes", text.len());
            prop_assert_eq!(parse(text.as_bytes()), Some(record));
        }

        #[test]
        fn a_record_says_what_was_written_and_belongs_to_one_hash(
            record in records(), place in any::<prop::sample::Index>(), flip in 1..=u8::MAX, other in any::<[u8; 32]>(),
        ) {
            let text = record.to_text(&hash()).into_bytes();
            prop_assert_eq!(Record::parse(&text, &TokenHash::from_slice(&other).unwrap()), None);
            let mut damaged = text;
            // The stamp is compared with that of the connection.
            let place = 14 + place.index(damaged.len() - 14);
            damaged[place] ^= flip;
            prop_assert_eq!(parse(&damaged), None);
        }

        #[test]
        fn arbitrary_bytes_are_no_record(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(parse(&checked(&bytes)), None);
        }

        #[test]
        fn a_record_has_one_spelling(record in records(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut text = record.to_text(&hash()).into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            let text = checked(&text);
            if let Some(other) = parse(&text) {
                prop_assert_eq!(other.to_text(&hash()).into_bytes(), text);
            }
        }
    }

    #[test]
    fn the_fields_are_where_the_manual_says() {
        let record = parse(TEXT.as_bytes()).unwrap();
        assert_eq!(record.stamp.as_bytes(), &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(record.session.to_string(), "01937c5e-7b1a-7c3d-8e4f-001122334455");
        assert_eq!(record.user.to_string(), "01937c5e-7b1a-7c3d-8e4f-554433221100");
        assert_eq!((record.last_seen.ms(), record.expires.ms()), (1_795_331_082_007, 1_795_374_282_007));
        assert_eq!((record.idle, record.has_data), (Duration::from_secs(1800), true));
        assert_eq!((record.device.to_string().as_str(), record.proven_at), ("FL", Some(record.session.made_at())));
        assert_eq!(record.to_text(&hash()), TEXT);
    }

    /// A longer one would take 32 bytes more in Redis: its allocator has no size between 128 and 160, and four bytes
    /// are the text's own header and terminator.
    #[test]
    fn a_record_of_an_ipv4_client_is_short() {
        let mut record = parse(TEXT.as_bytes()).unwrap();
        record.ip = IpAddr::from([255, 255, 255, 255]);
        record.idle = Duration::from_secs(90 * 24 * 60 * 60);
        let length = record.to_text(&hash()).len();
        assert!(length <= 124, "{length} bytes");
        // Also after a step-up at the end of a day, in a session that is not one of months.
        record.idle = Duration::from_secs(30 * 60);
        record.proven_at = Some(record.session.made_at().plus(Duration::from_secs(12 * 60 * 60)));
        let length = record.to_text(&hash()).len();
        assert!(length <= 124, "{length} bytes");
    }

    #[test]
    fn whatever_is_spelled_otherwise_is_no_record() {
        let other = |from: &str, to: &str| TEXT.replacen(from, to, 1);
        let v4 = other("2001:db8::7", "192.0.2.7");
        assert!(parse(&checked(v4.as_bytes())).is_some());
        for check in ["4ZbG0tj-=", "4ZbG0tj-J", "4ZbG0tjA", ""] {
            assert_eq!(parse(other("4ZbG0tj-", check).as_bytes()), None, "{check}");
        }
        for text in [
            String::new(),
            format!(" {TEXT}"),
            format!("{TEXT} "),
            format!("{TEXT}\n"),
            format!("{TEXT} more"),
            format!("{TEXT} agent:"),
            format!("{TEXT} agent:a "),
            format!("{TEXT} agent:a agent:b"),
            format!("{TEXT} agent:{}", "x".repeat(65)),
            other("1 ", "2 "),
            other("1 ", "1  "),
            other(" ", "\t"),
            other("AQIDBAUGBwg", "AQIDBAUGBwh"),
            other("AQIDBAUGBwg", "AQIDBAUGBwg="),
            other("AQIDBAUGBwg", "AQIDBAUGBwgJ"),
            other("AQIDBAUGBwg", ""),
            other("AZN8XnsafD2OTwARIjNEVQ", "AZN8XnsafD2OTwARIjNEVR"),
            other("AZN8XnsafD2OTwARIjNEVQ", "AZN8XnsafD2OTwARIjNE"),
            other("AZN8XnsafD2OTwARIjNEVQ", "01937c5e-7b1a-7c3d-8e4f-001122334455"),
            other("1795331082007", "+1795331082007"),
            other("1795331082007", "-1795331082007"),
            other("1795331082007", "01795331082007"),
            other("1795331082007", "9223372036854775808"),
            other("1800", "1800.5"),
            other("1800", ""),
            other(" dFL ", " DFL "),
            other(" dFL ", " d "),
            other(" dFL ", " - "),
            other(" dFL ", " dFL0 "),
            other(" dFL ", "  "),
            other("2001:db8::7", "2001:db8:0::7"),
            other("2001:db8::7", "2001:DB8::7"),
            other("2001:db8::7", "[2001:db8::7]"),
            other("2001:db8::7", "192.0.2.07"),
            other("2001:db8::7", &"7".repeat(MAX_LENGTH)),
        ] {
            assert_eq!(parse(&checked(text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn a_lease_is_no_record_and_nothing_else_is_a_lease() {
        let lease = lease_text(Nonce::generate(&SystemRandom));
        assert!(is_lease(&lease) && parse(&lease).is_none());
        let text = String::from_utf8(lease).unwrap();
        for other in [
            "lease",
            "lease ",
            "lease AAAA",
            TEXT,
            text.trim_end_matches(char::is_alphanumeric),
            &format!("{text}A"),
            &text.to_uppercase(),
        ] {
            assert!(!is_lease(other.as_bytes()), "{other}");
        }
    }
}
