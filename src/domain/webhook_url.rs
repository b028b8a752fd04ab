//! The receiver of notices: its URL, and the addresses that the URL may resolve to.
//!
//! Owns [`WebhookUrl`] and the rule. Must never print more than the destination: paths of receivers are often secrets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Cloud metadata services, which hand out the machine's credentials. The others of this kind are link-local.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// Longest path with query.
const LONGEST: usize = 2_048;

/// A shorter part of a path is no secret, and many texts would contain it.
const LEAST_SECRET: usize = 6;

/// A receiver: over TLS, or on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Parses it; an error is the rest of a sentence that begins with the setting's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("contains a user or a password, which are not sent: the receiver checks the signature");
        }
        if url.fragment().is_some() {
            return Err("has a part after a #, which is not sent");
        }
        if text.len() > LONGEST {
            return Err("is longer than 2048 bytes");
        }
        let known = Self(url);
        match known.0.scheme() {
            "https" => {}
            "http" if known.names_this_machine() => {}
            "http" => return Err("is http:// to another machine, which anyone on the way can read"),
            _ => return Err("is neither https:// nor http://"),
        }
        match known.literal() {
            Some(address) if !known.allows(address) => Err("leads to an address that no receiver can have"),
            _ => Ok(known),
        }
    }

    /// Whether the connection uses TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The name or address without brackets, as it is resolved and as a certificate names it.
    pub fn host(&self) -> String {
        self.literal().map_or_else(|| self.0.host_str().unwrap_or_default().to_owned(), |address| address.to_string())
    }

    /// The port, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The value of the request's `Host`.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The path and query, possibly a secret.
    pub fn path_and_query(&self) -> String {
        let query = self.0.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.0.path())
    }

    /// A foreign text without the possible secrets of this URL: the whole path, each part of it, and the query.
    pub fn masked_in(&self, words: &str) -> String {
        let (path, query) = (self.0.path(), self.0.query().unwrap_or_default());
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let parts = path.split('/').chain(values);
        let secrets = [self.path_and_query()].into_iter().chain(parts.map(str::to_owned));
        let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        secrets
            .filter(|part| part.len() >= LEAST_SECRET)
            .fold(words.to_owned(), |words, part| words.replace(&part, "***").replace(&decoded(&part), "***"))
    }

    /// Whether the name may resolve to this address. A private address is allowed: the operator sets the URL.
    /// Link-local addresses, where clouds hand out credentials, are never allowed, even if DNS returns them; nor is
    /// IPv6 that carries a non-public IPv4 address, because a translator would lead there; and without TLS only this
    /// machine is allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if let IpAddr::V6(v6) = address
            && carried(v6).is_some_and(|carried| !carried.is_some_and(is_public))
        {
            return false;
        }
        let nobody = match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets().starts_with(&[0]),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let none = nobody || address.is_unspecified() || address.is_multicast() || METADATA.contains(&address);
        !none && (self.is_https() || address.is_loopback())
    }

    fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    fn names_this_machine(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(_) => self.literal().is_some_and(|address| address.to_canonical().is_loopback()),
            None => false,
        }
    }
}

/// The IPv4 address to which a translator or a tunnel would forward this one: NAT64 of any network (RFC 6052, RFC
/// 8215), 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214), IPv4-compatible and IPv4-translated (RFC 2765). The
/// inner `None`: such an address whose IPv4 part is unknown.
fn carried(address: Ipv6Addr) -> Option<Option<Ipv4Addr>> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Some(Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))));
    match [a, b, c, d, e, f] {
        [0x64, 0xff9b, 0, 0, 0, 0] => of(g, h),
        // Each network decides where in it the IPv4 address stands.
        [0x64, 0xff9b, 1, ..] => Some(None),
        [0x2002, high, low, ..] => of(high, low),
        [0x2001, 0, ..] => of(!g, !h),
        [_, _, _, _, 0 | 0x200, 0x5efe] => of(g, h),
        [0, 0, 0, 0, 0xffff, 0] => of(g, h),
        // The loopback and the unspecified address have this form too.
        [0, 0, 0, 0, 0, 0] if (g, h) != (0, 1) && (g, h) != (0, 0) => of(g, h),
        _ => None,
    }
}

/// Whether the address is public on the internet.
fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (b & 0xc0) == 64;
    let reserved = a == 0 || a >= 240 || (a == 198 && (b & 0xfe) == 18);
    let here = address.is_private() || address.is_loopback() || address.is_link_local();
    !(here || shared || reserved || address.is_multicast() || address.is_broadcast())
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.authority())?;
        if self.path_and_query() == "/" { Ok(()) } else { f.write_str("/***") }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_spoken_to_over_tls_or_on_this_machine() {
        for good in [
            "https://hooks.example.org/in?key=hunter2",
            "https://10.0.0.7:8443/",
            "https://[fd00::7]/hook",
            "http://127.0.0.1:9000/hook",
            "http://[::1]:9000/",
            "http://localhost:9000",
        ] {
            let url = WebhookUrl::parse(good).unwrap_or_else(|why| panic!("{good} {why}"));
            assert!(!format!("{url} {url:?}").contains("hunter2") && !url.to_string().contains("/in"), "{url}");
        }
        for bad in [
            "hooks.example.org",
            "ftp://hooks.example.org",
            "http://hooks.example.org/",
            "http://10.0.0.7/",
            "http://localhost.example.org/",
            "https://ana:hunter2@hooks.example.org/",
            "https://hooks.example.org/#in",
            "https://169.254.169.254/latest/meta-data/",
            "https://2852039166/",
            "https://0xa9.254.0xa9fe/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://0.0.0.0/",
            "http://0/",
            "https://[::]/",
            "https://255.255.255.255/",
            "https://224.0.0.1/",
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_receiver_that_repeats_its_path_gives_nothing_away() {
        let url = WebhookUrl::parse("https://a.example/in/hunter2%21x/b?key=hunter2&v=1").unwrap();
        for said in ["Cannot POST /in/hunter2%21x/b?key=hunter2&v=1", "no hunter2!x here", "key hunter2 is unknown"] {
            let shown = url.masked_in(said);
            assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(url.masked_in("not found in b"), "not found in b");
    }

    /// The name servers decide the address of a name, and another party may run them.
    #[test]
    fn a_name_leads_to_no_address_that_could_not_be_written() {
        let (open, own) =
            (WebhookUrl::parse("https://a.example").unwrap(), WebhookUrl::parse("http://localhost").unwrap());
        for (address, over_tls, plain) in [
            ("192.0.2.7", true, false),
            ("10.0.0.7", true, false),
            ("127.0.0.1", true, true),
            ("::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.1.1", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((open.allows(address), own.allows(address)), (over_tls, plain), "{address}");
        }
    }

    #[test]
    fn no_translator_leads_where_no_receiver_can_be() {
        let url = WebhookUrl::parse("https://a.example").unwrap();
        type Way = (&'static str, fn(Ipv4Addr) -> Ipv6Addr);
        let ways: [Way; 8] = [
            ("NAT64", |v4| Ipv6Addr::from_bits((0x64_ff9b << 96) | u128::from(v4.to_bits()))),
            ("6to4", |v4| Ipv6Addr::from_bits((0x2002 << 112) | (u128::from(v4.to_bits()) << 80) | 1)),
            ("Teredo", |v4| Ipv6Addr::from_bits((0x2001_0000 << 96) | (7 << 64) | u128::from(!v4.to_bits()))),
            ("ISATAP", |v4| Ipv6Addr::from_bits((0x2001_0db8 << 96) | (0x5efe << 32) | u128::from(v4.to_bits()))),
            ("ISATAP, global", |v4| {
                Ipv6Addr::from_bits((0xfd00 << 112) | (0x200_5efe << 32) | u128::from(v4.to_bits()))
            }),
            ("compatible", |v4| Ipv6Addr::from_bits(u128::from(v4.to_bits()))),
            ("translated", |v4| Ipv6Addr::from_bits((0xffff << 48) | u128::from(v4.to_bits()))),
            ("mapped", |v4| v4.to_ipv6_mapped()),
        ];
        for (v4, allowed) in [
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("10.0.0.7", false),
            ("172.31.0.7", false),
            ("192.168.0.7", false),
            ("127.0.0.2", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("0.1.2.3", false),
            ("8.8.8.8", true),
            ("100.128.0.1", true),
            ("198.20.0.1", true),
        ] {
            let v4: Ipv4Addr = v4.parse().unwrap();
            for (way, into) in ways {
                // A mapped address is the IPv4 address itself and is judged as such.
                let expected = if way == "mapped" { url.allows(v4.into()) } else { allowed };
                let address = into(v4);
                assert_eq!(url.allows(address.into()), expected, "{way} of {v4}: {address}");
                assert_eq!(WebhookUrl::parse(&format!("https://[{address}]/")).is_ok(), expected, "{way}: {address}");
            }
        }
        for (address, allowed) in [
            ("64:ff9b:1::a00:7", false),
            ("64:ff9b:1:fffe::8.8.8.8", false),
            ("2001:4860:4860::8888", true),
            ("2001:db8::a00:7", true),
            ("fd00::7", true),
            ("::1", true),
        ] {
            assert_eq!(url.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }
}
