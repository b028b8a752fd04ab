//! Session cookies that this configuration does not set: those of another `SESSIOND_COOKIE_DOMAIN`, and those that a
//! sibling host has set.
//!
//! A browser sends every cookie of the name whose domain and path fit, so one extra cookie locks the user out. Owns
//! where such cookies can lie, and the headers that remove them. Must never choose one of several: an attacker may have
//! set the other to lure the user into the attacker's session.

use actix_web::http::header::HeaderValue;

use super::removal::removal;
use crate::config::{Config, MAX_BASE_SEGMENTS, Origin, is_public_suffix};

/// Longest path whose parents are covered: each parent costs a header line for each domain. A base path has at most
/// half as many segments.
const MAX_SEGMENTS: usize = 2 * MAX_BASE_SEGMENTS;

/// Where cookies with a shared cookie's name can lie. A cookie with the prefix `__Host-` has one place only.
#[derive(Clone, Debug)]
pub struct StaleCookies {
    name: &'static str,
    domain: Option<String>,
    hosts: Vec<String>,
}

impl StaleCookies {
    /// The places of the cookie with this name.
    pub fn new(name: &'static str, config: &Config) -> Self {
        let hosts = config.origins.iter().map(|origin: &Origin| origin.host().to_owned()).collect();
        Self { name, domain: config.cookie_domain.clone(), hosts }
    }

    /// `Set-Cookie` values that remove every cookie of the name that a browser can have sent to this path of this host,
    /// except the one that sessiond itself sets.
    pub fn removals(&self, host: Option<&str>, path: &str) -> Vec<HeaderValue> {
        let Some(domain) = &self.domain else { return Vec::new() };
        let known = self.hosts.iter().find(|known| Some(known.as_str()) == host).or(self.hosts.first());
        let domains: Vec<_> =
            std::iter::once(None).chain(known.into_iter().flat_map(|host| shared(host)).map(Some)).collect();
        let ours = (Some(domain.as_str()), "/");
        paths(path)
            .flat_map(|path| domains.iter().map(move |domain| (*domain, path)))
            .filter(|place| *place != ours)
            .filter_map(|(domain, path)| removal(self.name, domain, path).ok())
            .collect()
    }
}

/// The domains that can share a cookie of this host: the host and those above it, as far as browsers allow.
fn shared(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above))
        .take_while(|name| name.contains('.') && !is_public_suffix(name))
}

/// The paths of cookies that a browser sends to this path (RFC 6265 §5.1.4).
fn paths(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').flat_map(|(at, _)| [at, at + 1]).chain([path.len()]);
    let mut before = 0;
    ends.filter_map(move |end| {
        let is_new = end > before;
        before = before.max(end);
        is_new.then(|| path.get(..end)).flatten()
    })
    .take(2 * MAX_SEGMENTS)
    // No cookie's path contains one, and here it would begin another attribute.
    .take_while(|path| !path.contains(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(host: Option<&str>, path: &str) -> Vec<String> {
        let hosts = vec!["login.app.example.org".to_owned(), "example.org".to_owned()];
        let cookies = StaleCookies { name: "__Secure-session", domain: Some("example.org".to_owned()), hosts };
        cookies.removals(host, path).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    fn places(host: Option<&str>, path: &str) -> Vec<String> {
        let attribute = |line: &str, name: &str| {
            line.split("; ").find_map(|part| part.strip_prefix(name)).unwrap_or("-").to_owned()
        };
        removed(host, path).iter().map(|line| attribute(line, "Domain=") + &attribute(line, "Path=")).collect()
    }

    #[test]
    fn every_place_that_a_browser_sends_from_is_cleared_but_our_own() {
        let domains = ["-", "login.app.example.org", "app.example.org", "example.org"];
        for host in [Some("login.app.example.org"), Some("unknown.example.org"), None] {
            let at = |path: &str| domains.map(|domain| format!("{domain}{path}")).to_vec();
            assert_eq!(places(host, "/"), at("/")[..3]);
            let deep = ["/", "/auth", "/auth/", "/auth/login"].map(at).concat();
            assert_eq!(
                places(host, "/auth/login"),
                deep.into_iter().filter(|it| it != "example.org/").collect::<Vec<_>>()
            );
        }
        assert_eq!(places(Some("example.org"), "/"), ["-/"]);
        assert!(places(None, &"/a".repeat(60)).len() <= 4 * 2 * MAX_SEGMENTS);
        assert!(places(None, "/a/b;Domain=x/c").iter().all(|place| !place.contains(';')));
        for line in removed(None, "/") {
            assert!(
                line.starts_with("__Secure-session=;") && line.contains("Max-Age=0") && line.contains("Secure"),
                "{line}"
            );
        }
    }

    #[test]
    fn nothing_is_asked_of_a_public_suffix_and_nothing_where_the_cookie_has_one_place() {
        assert_eq!(shared("a.b.co.uk").collect::<Vec<_>>(), ["a.b.co.uk", "b.co.uk"]);
        assert_eq!(shared("me.github.io").collect::<Vec<_>>(), ["me.github.io"]);
        assert_eq!(shared("app.example.localhost").collect::<Vec<_>>(), ["app.example.localhost", "example.localhost"]);
        assert_eq!(shared("localhost").count(), 0);
        let alone = StaleCookies { name: "__Host-session", domain: None, hosts: vec!["example.org".to_owned()] };
        assert!(alone.removals(Some("example.org"), "/").is_empty());
    }
}
