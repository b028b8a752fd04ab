//! The cookie of a device on which the user signed in before (OWASP "device cookies").
//!
//! Owns its name, its attributes and its reading. The cookie grants no access: it only keeps password guessers from
//! locking the owner out. So it outlives the session, but not the password, and a cookie that is not ours counts as
//! none. It is always bound to one host, even where a domain shares the session cookie.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HeaderMap, HeaderValue};

use super::cookie::{pairs, split};
use super::problem::Problem;
use crate::domain::DeviceCookie;

const NAME: &str = "__Host-device";

/// Browsers keep no cookie longer (RFC 6265bis §5.5). Each sign-in sets a new one.
const MAX_AGE: Duration = Duration::days(400);

/// Reads the request's device cookie. Of two, neither counts.
pub fn read(headers: &HeaderMap) -> Option<DeviceCookie> {
    let mut ours = pairs(headers).filter_map(split).filter(|(name, _)| *name == NAME);
    match (ours.next(), ours.next()) {
        (Some((_, value)), None) => DeviceCookie::parse(value),
        _ => None,
    }
}

/// A `Set-Cookie` value.
pub fn set(cookie: &DeviceCookie) -> Result<HeaderValue, Problem> {
    let cookie = Cookie::build(NAME, cookie.expose())
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(MAX_AGE)
        .finish();
    HeaderValue::from_str(&cookie.to_string()).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::COOKIE;

    use super::*;
    use crate::domain::throttle_key::COOKIE_TEXT;

    fn found(line: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        read(&headers).map(|cookie| cookie.expose().to_owned())
    }

    #[test]
    fn one_is_read_and_of_two_none() {
        let value = "a".repeat(COOKIE_TEXT);
        assert_eq!(found(&format!("x=y; __Host-device={value}; z")), Some(value.clone()));
        assert_eq!(found(&format!("__Host-device={value}; __Host-device={value}")), None);
        for line in ["", "__Host-device=", "__Host-device=short", &format!("__host-device={value}")] {
            assert_eq!(found(line), None, "{line}");
        }
        // A sibling host can set such a cookie: it does not displace the owner's.
        let mut headers = HeaderMap::new();
        let line = format!("\u{2000}__Host-device={}; __Host-device={value}", "b".repeat(COOKIE_TEXT));
        headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        assert_eq!(read(&headers).map(|cookie| cookie.expose().to_owned()), Some(value));
    }

    #[test]
    fn it_is_for_one_host_and_for_no_script() {
        let set = set(&DeviceCookie::parse(&"a".repeat(COOKIE_TEXT)).unwrap()).unwrap();
        let line = set.to_str().unwrap();
        assert!(line.starts_with("__Host-device=aaaa"), "{line}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=34560000"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
}
