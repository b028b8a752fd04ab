//! The client's address: the connection's peer, or the address that trusted proxies report.
//!
//! Owns the walk through a forwarding header. Must never trust a header from an untrusted peer, nor any header but the
//! configured one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::config::Config;

/// The most entries that are read, from the right; no real chain of proxies is longer.
const MAX_HOPS: usize = 32;

/// The proxies that may report a client's address.
#[derive(Clone, Debug)]
pub struct ProxyTrust {
    proxies: Vec<IpNet>,
    header: Option<HeaderName>,
}

impl ProxyTrust {
    /// The configured proxies and their header. An invalid header name matches no header.
    pub fn new(config: &Config) -> Self {
        let header = config.client_ip_header.as_deref().and_then(|name| HeaderName::try_from(name).ok());
        Self { proxies: config.trusted_proxies.clone(), header }
    }

    /// The address that the request came from, in canonical form.
    ///
    /// Walks the entries from the right: each was written by the hop after it, and counts only if that hop is
    /// trusted. The first address that is not a trusted proxy is the client's. An unreadable entry ends the walk at the
    /// last address that could be read.
    pub fn client_address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let Some(header) = self.header.as_ref().filter(|_| self.contains(peer)) else {
            return peer;
        };
        let lines = headers.get_all(header).rev().map(HeaderValue::as_bytes);
        let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut client = peer;
        for entry in entries.take(MAX_HOPS) {
            let Some(address) = std::str::from_utf8(entry).ok().and_then(address) else { break };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        client
    }

    /// Whether this peer is a trusted proxy. Then its headers about the page (scheme, host, path) count, too.
    pub fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| self.contains(peer.ip().to_canonical()))
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }
}

/// Reads one entry of X-Forwarded-For and its kin: with a port or not, in quotes and brackets or not. A zone is
/// dropped: it means something only on the machine that wrote it.
fn address(entry: &str) -> Option<IpAddr> {
    let text = entry.trim().trim_matches('"');
    let text = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    let bare = text.split('%').next()?;
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(header: &'static str) -> ProxyTrust {
        let proxies = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        ProxyTrust { proxies, header: Some(HeaderName::from_static(header)) }
    }

    fn seen(trust: &ProxyTrust, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        trust.client_address(Some(peer), &headers).to_string()
    }

    fn walked(chain: &str) -> String {
        seen(&trust("x-forwarded-for"), "10.0.0.1", &[("x-forwarded-for", chain)])
    }

    #[test]
    fn without_trust_only_the_peer_counts() {
        let nobody = ProxyTrust { proxies: Vec::new(), header: None };
        let lies = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"]
            .map(|name| (name, "9.9.9.9"));
        assert_eq!(seen(&nobody, "127.0.0.1", &lies), "127.0.0.1");
        assert_eq!(seen(&trust("x-forwarded-for"), "192.0.2.1", &lies), "192.0.2.1");
    }

    #[test]
    fn the_walk_goes_from_the_right_to_the_first_untrusted() {
        assert_eq!(walked("6.6.6.6, 1.2.3.4"), "1.2.3.4");
        assert_eq!(walked("6.6.6.6, 1.2.3.4, 10.0.0.2,10.9.9.9"), "1.2.3.4");
        assert_eq!(walked("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(walked(""), "10.0.0.1");
    }

    #[test]
    fn several_lines_are_one_chain_and_other_headers_are_ignored() {
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "9.9.9.9")];
        assert_eq!(seen(&trust("x-forwarded-for"), "10.0.0.1", &lines), "1.2.3.4");
        assert_eq!(seen(&trust("x-real-ip"), "10.0.0.1", &lines), "9.9.9.9");
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk_at_the_last_that_could() {
        for chain in ["1.2.3.4, unknown", "1.2.3.4, _hidden", "1.2.3.4,, ", "1.2.3.4, 300.1.1.1"] {
            assert_eq!(walked(chain), "10.0.0.1", "{chain}");
        }
        assert_eq!(walked("6.6.6.6, nonsense, 10.0.0.7"), "10.0.0.7");
        assert_eq!(walked(&"10.0.0.5,".repeat(1_000)), "10.0.0.1");
        assert_eq!(walked(&format!("6.6.6.6{}", ",10.0.0.5".repeat(1_000))), "10.0.0.5");
        assert_eq!(walked(&"x".repeat(10_000)), "10.0.0.1");
    }

    #[test]
    fn one_address_has_one_form() {
        for spelling in ["1.2.3.4", "1.2.3.4:443", "\"1.2.3.4:443\"", "::ffff:1.2.3.4", "[::ffff:102:304]:8080"] {
            assert_eq!(walked(spelling), "1.2.3.4", "{spelling}");
        }
        for spelling in ["2001:DB8:0:0::1", "[2001:db8::1]:443", "\"[2001:db8::1]\"", "2001:db8::1%eth0"] {
            assert_eq!(walked(spelling), "2001:db8::1", "{spelling}");
        }
        assert_eq!(seen(&trust("x-forwarded-for"), "::ffff:10.0.0.1", &[("x-forwarded-for", "1.2.3.4")]), "1.2.3.4");
    }

    #[test]
    fn a_header_named_hop_by_hop_changes_nothing() {
        let lines = [("connection", "X-Forwarded-For"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(seen(&trust("x-forwarded-for"), "10.0.0.1", &lines), "1.2.3.4");
    }
}
