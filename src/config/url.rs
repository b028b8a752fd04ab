//! Addresses that carry a password.
//!
//! Owns [`SecretUrl`]. Must never show the text before the last `@`, nor an option that is not known to be harmless: a
//! text that cannot be told apart from a password counts as one.

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

use crate::domain::postgres_url::is_percent_encoded;

/// Options after the `?` whose values may be shown.
const HARMLESS: [&str; 2] = ["protocol", "service"];

/// The address of Redis. Printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Zeroizing<String>);

impl SecretUrl {
    pub(super) fn new(url: &str) -> Self {
        Self(Zeroizing::new(url.to_owned()))
    }

    /// The whole address, only for the driver that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A list of addresses, but only if no part of it can be the end of a password.
        let parts: Vec<&str> = self.0.split(',').collect();
        if parts.len() > 1
            && parts.iter().all(|part| part.contains("://") && part.contains('@') == self.0.contains('@'))
        {
            let shown: Vec<_> = parts.iter().map(|part| Self::new(part.trim()).to_string()).collect();
            return f.write_str(&shown.join(","));
        }
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        // The last `@`, not the first: a password may contain one that is not encoded.
        let (userinfo, rest) = rest.rsplit_once('@').map_or((None, rest), |(userinfo, rest)| (Some(userinfo), rest));
        let user = userinfo.map(|userinfo| match userinfo.split_once(':') {
            Some((user, _)) => format!("{user}:***@"),
            None => "***@".to_owned(),
        });
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        write!(f, "{scheme}://{}{place}", user.unwrap_or_default())?;
        let shown: Vec<_> = options.split('&').filter(|option| !option.is_empty()).map(shown_option).collect();
        if shown.is_empty() { Ok(()) } else { write!(f, "?{}", shown.join("&")) }
    }
}

fn shown_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) if HARMLESS.contains(&name) => format!("{name}={value}"),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// Whether the part between `://` and the path is what a driver can read: comma-separated hosts, each with a numeric
/// port or none. It is not if a password contains a character that should be encoded.
pub(super) fn has_plain_hosts(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    hosts.split(',').all(|host| {
        let after_ipv6 = host.rsplit_once(']').map_or(host, |(_, port)| port);
        after_ipv6.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
    })
}

/// Whether a driver reads the part after `://` as meant, and so has no reason to complain: a driver may quote what it
/// cannot read.
pub(super) fn is_readable(rest: &str) -> bool {
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, _) = place.split_once('/').unwrap_or((place, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_plain = !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    // Another @ is the end of a password that was not encoded.
    let is_whole = !user.contains('@') && !place.trim_start_matches(authority).contains('@') && !options.contains('@');
    let is_url = |host: &str| Url::parse(&format!("redis://{user}@{host}")).is_ok_and(|url| url.has_host());
    is_plain && is_whole && is_percent_encoded(rest) && hosts.split(',').all(is_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_password_is_printed() {
        for url in [
            "redis://ana:hun/ter2@x@db.example.org/1",
            "redis://:hunter2@localhost",
            "redis://hunter2@localhost",
            "redis://:hunter2@a,redis://u:hunter2@b",
            "redis://:hun,redis://ter2@b",
            "redis+sentinel://:hunter2@a,b?service=x&sentinel_password=hunter2",
            "redis://h?password=hunter2&hunter2",
        ] {
            let url = SecretUrl::new(url);
            assert!(!format!("{url} {url:?}").contains("ter2"), "{url}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        let shown = |url| SecretUrl::new(url).to_string();
        assert_eq!(shown("redis://u:p@a:1,redis://u:p@b"), "redis://u:***@a:1,redis://u:***@b");
        assert_eq!(shown("redis://a:1,redis://b"), "redis://a:1,redis://b");
        assert_eq!(shown("redis+sentinel://a:1,b/0?service=main"), "redis+sentinel://a:1,b/0?service=main");
        assert_eq!(shown("redis://[::1]:6379/2"), "redis://[::1]:6379/2");
    }
}
