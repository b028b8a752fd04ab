//! Filters: which sessions are meant, in words that the interface and the command line share.
//!
//! Owns the fields, the meaning of their values and the error sentence for each. A session matches if all given fields
//! match. Must never guess: an unknown or repeated field is refused, because the matching sessions are ended.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use chrono::DateTime;
use ipnet::IpNet;

use super::{ActorKind, Place, Timestamp, UserId};

/// Longest name of a browser or a system.
const LONGEST_NAME: usize = 64;

/// Which sessions match. Without a field: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The user who owns them.
    pub user: Option<UserId>,
    /// The address or network they were last used from.
    pub ip: Option<Network>,
    /// The address or network they were signed in from.
    pub sign_in_ip: Option<Network>,
    /// The country of the sign-in or of the last use, two capital letters.
    pub country: Option<String>,
    /// The number of the network (autonomous system) of the sign-in or of the last use. With a country, both must match
    /// the same place.
    pub asn: Option<i64>,
    /// The browser's family, exactly as lists show it.
    pub browser: Option<String>,
    /// The system's family, exactly as lists show it.
    pub os: Option<String>,
    /// They were issued before this.
    pub created_before: Option<Timestamp>,
    /// They were issued at this moment or after it.
    pub created_after: Option<Timestamp>,
    /// They were last used before this.
    pub last_seen_before: Option<Timestamp>,
    /// They were last used at this moment or after it.
    pub last_seen_after: Option<Timestamp>,
    /// The weight of their signals is at least this.
    pub risk: Option<i64>,
    /// A party of this kind acts in them for the user.
    pub actor: Option<ActorKind>,
}

/// A refused field and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct FilterError {
    /// The field as given.
    pub field: String,
    /// What is wrong with it, in a sentence.
    pub detail: &'static str,
}

const UNKNOWN: &str = "Unknown filter.";
const TWICE: &str = "Given more than once.";
const NO_USER: &str = "Not a user id.";
const NO_NETWORK: &str = "Write an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32.";
const HOST_BITS: &str = "This network has bits set beyond its prefix.";
const NO_COUNTRY: &str = "A country is two letters, such as PT.";
const NO_ASN: &str = "An AS number is from 0 to 4294967295, such as 64496.";
const NO_NAME: &str = "A name has 1 to 64 characters and no control characters.";
const NO_MOMENT: &str = "Write an RFC 3339 time, such as 2026-11-22T07:00:00Z.";
const NO_MOMENT_NOR_AGE: &str = "Write an RFC 3339 time (2026-11-22T07:00:00Z) or an age (30d).";
const NO_ACTOR: &str = "An actor is agent or admin.";
const NO_WEIGHT: &str = "A risk is a whole number from 0 to 1000000.";

/// Largest weight that a filter may contain.
const LARGEST_RISK: i64 = 1_000_000;

/// How a point in time may be written.
#[derive(Clone, Copy, Debug)]
pub enum Moments {
    /// RFC 3339.
    Absolute,
    /// RFC 3339, or a duration before this moment.
    OrBackFrom(Timestamp),
}

impl Filter {
    /// Parses a filter from fields and their values.
    pub fn parse<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        moments: Moments,
    ) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (field, value) in fields {
            filter.set(field, value, moments).map_err(|detail| FilterError { field: field.to_owned(), detail })?;
        }
        Ok(filter)
    }

    /// Whether this field exists.
    pub fn has_field(name: &str) -> bool {
        Self::default().set(name, "", Moments::Absolute) != Err(UNKNOWN)
    }

    fn set(&mut self, field: &str, value: &str, moments: Moments) -> Result<(), &'static str> {
        match field {
            "user" => once(&mut self.user, UserId::parse(value).ok_or(NO_USER)),
            "ip" => once(&mut self.ip, Network::parse(value)),
            "sign_in_ip" => once(&mut self.sign_in_ip, Network::parse(value)),
            "country" => once(&mut self.country, country(value)),
            "asn" => once(&mut self.asn, asn(value)),
            "browser" => once(&mut self.browser, name(value)),
            "os" => once(&mut self.os, name(value)),
            "created_before" => once(&mut self.created_before, moments.parse(value)),
            "created_after" => once(&mut self.created_after, moments.parse(value)),
            "last_seen_before" => once(&mut self.last_seen_before, moments.parse(value)),
            "last_seen_after" => once(&mut self.last_seen_after, moments.parse(value)),
            "risk" => once(&mut self.risk, risk(value)),
            "actor" => once(&mut self.actor, ActorKind::parse(value).ok_or(NO_ACTOR)),
            _ => Err(UNKNOWN),
        }
    }

    /// Whether it matches every session.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a session with this last use matches the fields about last use. `latest` is the last moment at which it
    /// may have been used, `seen` the last moment at which it certainly was.
    pub fn admits_use(&self, seen: Timestamp, latest: Timestamp, ip: Option<IpAddr>) -> bool {
        self.last_seen_before.is_none_or(|before| latest < before)
            && self.last_seen_after.is_none_or(|after| seen >= after)
            && self.ip.as_ref().is_none_or(|network| ip.is_some_and(|ip| network.contains(ip)))
    }

    /// Whether one of these places matches: where a session was signed in and where it was last used.
    pub fn admits_places(&self, places: &[Place]) -> bool {
        let none = self.country.is_none() && self.asn.is_none();
        none || places.iter().any(|place| {
            self.country.as_ref().is_none_or(|country| place.country.as_ref() == Some(country))
                && self.asn.is_none_or(|asn| place.asn == Some(asn))
        })
    }
}

/// The filter as a person would type it, for the audit log.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        let fields = [
            ("user", self.user.map(|id| id.to_string())),
            ("ip", self.ip.as_ref().map(ToString::to_string)),
            ("sign_in_ip", self.sign_in_ip.as_ref().map(ToString::to_string)),
            ("country", self.country.clone()),
            ("asn", self.asn.map(|number| number.to_string())),
            ("browser", self.browser.as_ref().map(|name| format!("{name:?}"))),
            ("os", self.os.as_ref().map(|name| format!("{name:?}"))),
            ("created_before", moment(self.created_before)),
            ("created_after", moment(self.created_after)),
            ("last_seen_before", moment(self.last_seen_before)),
            ("last_seen_after", moment(self.last_seen_after)),
            ("risk", self.risk.map(|weight| weight.to_string())),
            ("actor", self.actor.map(|kind| kind.name().to_owned())),
        ];
        let given: Vec<_> =
            fields.into_iter().filter_map(|(field, value)| Some(format!("{field}={}", value?))).collect();
        if given.is_empty() { f.write_str("all") } else { f.write_str(&given.join(" ")) }
    }
}

fn once<T>(place: &mut Option<T>, value: Result<T, &'static str>) -> Result<(), &'static str> {
    if place.is_some() {
        return Err(TWICE);
    }
    *place = Some(value?);
    Ok(())
}

fn country(text: &str) -> Result<String, &'static str> {
    let fits = text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    if fits { Ok(text.to_ascii_uppercase()) } else { Err(NO_COUNTRY) }
}

fn asn(text: &str) -> Result<i64, &'static str> {
    digits(text).and_then(|text| text.parse::<u32>().ok()).map(i64::from).ok_or(NO_ASN)
}

fn risk(text: &str) -> Result<i64, &'static str> {
    digits(text).and_then(|text| text.parse().ok()).filter(|weight| *weight <= LARGEST_RISK).ok_or(NO_WEIGHT)
}

/// Numbers have one spelling; Rust would also parse `+7`.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then_some(text)
}

fn name(text: &str) -> Result<String, &'static str> {
    let fits = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(NO_NAME) }
}

impl Moments {
    fn parse(self, text: &str) -> Result<Timestamp, &'static str> {
        let moment = DateTime::parse_from_rfc3339(text).map(|at| Timestamp::from_ms(at.timestamp_millis()));
        match (moment, self) {
            (Ok(at), _) => Ok(at),
            (Err(_), Self::Absolute) => Err(NO_MOMENT),
            (Err(_), Self::OrBackFrom(now)) => back(text).map(|by| now.minus(by)).ok_or(NO_MOMENT_NOR_AGE),
        }
    }
}

fn back(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Prefix bits of an IPv4 address stored as IPv6.
const MAPPED_PREFIX: u8 = 96;

/// An address or a network. IPv4 is stored as `::ffff:0:0/96`, so that all addresses have one order; but an IPv6
/// network around that range contains no IPv4 address.
#[derive(Clone, PartialEq, Eq)]
pub struct Network {
    first: [u8; 16],
    last: [u8; 16],
    text: String,
}

impl Network {
    /// Parses an address or a network.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let key = key(address);
            return Ok(Self { first: key, last: key, text: address.to_canonical().to_string() });
        }
        let network: IpNet = text.parse().map_err(|_| NO_NETWORK)?;
        if network != network.trunc() {
            return Err(HOST_BITS);
        }
        let network = unmapped(network);
        Ok(Self { first: key(network.network()), last: key(network.broadcast()), text: network.to_string() })
    }

    /// Its first and its last address, in the ledger's order.
    pub fn bounds(&self) -> ([u8; 16], [u8; 16]) {
        (self.first, self.last)
    }

    /// The addresses between its bounds that it does not contain: all of IPv4, in an IPv6 network around that range.
    pub fn gap(&self) -> Option<([u8; 16], [u8; 16])> {
        let (first, last) = (key(Ipv4Addr::UNSPECIFIED.into()), key(Ipv4Addr::BROADCAST.into()));
        let is_around = self.first <= first && last <= self.last && self.bounds() != (first, last);
        is_around.then_some((first, last))
    }

    /// Whether it is a single address.
    pub fn is_one(&self) -> bool {
        self.first == self.last
    }

    /// Whether it contains this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let key = key(address);
        let is_in_gap = self.gap().is_some_and(|(first, last)| (first..=last).contains(&key));
        (self.first..=self.last).contains(&key) && !is_in_gap
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4, like its addresses.
fn unmapped(network: IpNet) -> IpNet {
    let found = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_PREFIX)),
        IpNet::V4(_) => None,
    };
    found.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok()).unwrap_or(network)
}

/// Sixteen bytes, with IPv4 mapped into IPv6, so that the addresses of a network are contiguous.
fn key(address: IpAddr) -> [u8; 16] {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.octets()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(field: &str, value: &str) -> Result<Filter, String> {
        Filter::parse([(field, value)], Moments::Absolute).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_one_sentence_that_names_the_field() {
        for (field, value, sentence) in [
            ("user", "7", "user: Not a user id."),
            ("ip", "localhost", "ip: Write an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32."),
            ("ip", "192.0.2.7/24", "ip: This network has bits set beyond its prefix."),
            ("country", "Portugal", "country: A country is two letters, such as PT."),
            ("country", "é", "country: A country is two letters, such as PT."),
            ("asn", "+7", "asn: An AS number is from 0 to 4294967295, such as 64496."),
            ("asn", "4294967296", "asn: An AS number is from 0 to 4294967295, such as 64496."),
            ("browser", "", "browser: A name has 1 to 64 characters and no control characters."),
            ("os", "a\0b", "os: A name has 1 to 64 characters and no control characters."),
            ("last_seen_before", "30d", "last_seen_before: Write an RFC 3339 time, such as 2026-11-22T07:00:00Z."),
            ("risk", "-1", "risk: A risk is a whole number from 0 to 1000000."),
            ("actor", "Agent", "actor: An actor is agent or admin."),
            ("contry", "PT", "contry: Unknown filter."),
        ] {
            assert_eq!(parse(field, value).unwrap_err(), sentence, "{value}");
        }
        let twice = Filter::parse([("country", "PT"), ("country", "ES")], Moments::Absolute);
        assert_eq!(twice.unwrap_err().to_string(), "country: Given more than once.");
    }

    #[test]
    fn a_filter_in_words_says_all_of_it() {
        let now = Timestamp::from_ms(1_795_331_082_007);
        let fields =
            [("country", "pt"), ("ip", "::ffff:192.0.2.1"), ("sign_in_ip", "10.0.0.0/8"), ("created_before", "1d")];
        let filter = Filter::parse(fields, Moments::OrBackFrom(now)).unwrap();
        assert_eq!(
            filter.to_string(),
            "ip=192.0.2.1 sign_in_ip=10.0.0.0/8 country=PT created_before=2026-11-21T07:04:42.007Z"
        );
        assert_eq!((Filter::default().to_string().as_str(), Filter::default().is_empty()), ("all", true));
        assert!(!filter.is_empty());
    }

    #[test]
    fn a_network_has_its_own_addresses_and_no_others() {
        let network = |text| Network::parse(text).unwrap();
        let contains = |text, address: &str| network(text).contains(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.255") && contains("192.0.2.0/24", "::ffff:192.0.2.0"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0") && !contains("192.0.2.0/24", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "2001:db8::1"));
        for text in ["::/0", "::/1", "::/64", "::/80", "::fffe:0:0/95"] {
            assert!(!contains(text, "1.2.3.4") && !contains(text, "255.255.255.255"), "{text}");
        }
        for everybody in ["::ffff:0:0/96", "::ffff:0.0.0.0/96"] {
            assert!(contains(everybody, "1.2.3.4") && !contains(everybody, "2001:db8::1"), "{everybody}");
            assert_eq!(network(everybody).to_string(), "0.0.0.0/0", "as it is meant, and as it is kept");
        }
        assert!(
            contains("::/0", "::1")
                && contains("::/0", "2001:db8::1")
                && contains("::/0", "::ffff:1:0:0")
                && !contains("8000::/1", "::1")
        );
        assert_eq!(network("::ffff:192.0.2.0/120").to_string(), "192.0.2.0/24");
        assert!(network("192.0.2.1").is_one() && network("192.0.2.1/32").is_one() && !network("192.0.2.0/31").is_one());
    }
}
