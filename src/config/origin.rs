//! Where browsers reach this server: its origins, its path, its cookie's domain.
//!
//! Owns [`Origin`]. Must never accept a spelling that no browser sends: an `Origin` header is compared as text
//! (RFC 6454 §6.2).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};

/// A scheme, a host and a port, spelled as a browser spells them in its `Origin` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Whether it uses TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Its host: a name in lower case, or an address (an IPv6 one in brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Parses `scheme://host` or `scheme://host:port` and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://")?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port_number(port)?),
            _ => (authority, default_port(https)),
        };
        Some(Self { https, host: host_as_sent(host)?, port })
    }

    /// Whether the host is this machine: browsers accept a `Secure` cookie from it without TLS.
    fn is_local(&self) -> bool {
        let loopback = self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback());
        loopback || self.host == "[::1]" || self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn host_as_sent(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse().ok().map(|address: Ipv6Addr| format!("[{address}]"));
    }
    let is_address = host.parse::<Ipv4Addr>().is_ok();
    (is_address || is_host_name(host)).then(|| host.to_owned())
}

/// Labels of letters, digits, `-` and `_`, with a last label that is not a number (it would be an address).
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(is_label) && !numeric
}

/// This machine's own names, with the port of the server.
pub(super) fn own(port: u16) -> Vec<Origin> {
    ["localhost", "127.0.0.1"].map(|host| Origin { https: false, host: host.to_owned(), port }).to_vec()
}

/// The configured origins, or this machine's own names with the port of the server.
pub(super) fn origins(settings: &Settings, port: u16) -> Result<Vec<Origin>, ConfigError> {
    let given = settings.given(var::ORIGIN);
    if given.text().is_none() {
        return Ok(own(port));
    }
    let read: Vec<_> = given.list().map(|text| origin(&given, text)).collect::<Result<_, _>>()?;
    if read.is_empty() { Err(given.bad("names no origin: write https://app.example.com.")) } else { Ok(read) }
}

fn origin(given: &Given<'_>, text: &str) -> Result<Origin, ConfigError> {
    let Some(origin) = Origin::parse(text) else {
        let advice = "which is not an origin: write https://app.example.com or https://app.example.com:8443, without a \
            path or a slash at the end.";
        return Err(given.is_no(text, advice));
    };
    if !origin.https && !origin.is_local() {
        let advice = "but browsers keep the Secure cookie only over https or from localhost: write https:// and let a \
            proxy terminate TLS in front of sessiond.";
        return Err(given.is_no(text, advice));
    }
    Ok(origin)
}

/// Most segments of a base path: stale cookies can lie at each of them, and each is removed.
pub(crate) const MAX_BASE_SEGMENTS: usize = 4;

/// The path of all routes: empty, or `/auth`.
pub(super) fn base_path(settings: &Settings) -> Result<String, ConfigError> {
    let given = settings.given(var::BASE_PATH);
    let text = given.text().unwrap_or_default();
    let path = text.strip_suffix('/').unwrap_or(text);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    let well_formed = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
    if !well_formed {
        return Err(given.is_no(text, "which is not a plain path: write it like /auth."));
    }
    if path.matches('/').count() > MAX_BASE_SEGMENTS {
        return Err(given.is_no(text, "which is too deep: use at most four segments."));
    }
    Ok(path.to_owned())
}

/// Whether anyone can register a domain under this one (`co.uk`, `github.io`), by the list that browsers use.
pub(crate) fn is_public_suffix(domain: &str) -> bool {
    let (name, _) = idna::domain_to_unicode(domain);
    psl::suffix_str(&name) == Some(&name)
}

/// The domain that shares the cookie; it must contain every origin, or browsers would refuse the cookie.
pub(super) fn cookie_domain(settings: &Settings, origins: &[Origin]) -> Result<Option<String>, ConfigError> {
    let given = settings.given(var::COOKIE_DOMAIN);
    let Some(text) = given.text() else { return Ok(None) };
    let lower = text.to_ascii_lowercase();
    let domain = lower.strip_prefix('.').unwrap_or(&lower);
    if !is_host_name(domain) || !domain.contains('.') {
        return Err(
            given.is_no(text, "which is not a domain: write it like example.com (in its ASCII form), or leave it out.")
        );
    }
    if is_public_suffix(domain) {
        let advice = "which is a public suffix: browsers refuse its cookies, so write your own domain under it.";
        return Err(given.is_no(text, advice));
    }
    let inside = |host: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match origins.iter().find(|origin| !inside(&origin.host)) {
        None => Ok(Some(domain.to_owned())),
        Some(outside) => Err(given.bad(format!(
            "is {domain}, but {outside} is not in it, so browsers would refuse the cookie: list only origins of that \
                domain in {}.",
            var::ORIGIN
        ))),
    }
}
