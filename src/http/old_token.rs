//! Old tokens on the wire: where a request to exchange one carries it.
//!
//! Owns the reading of the Authorization header and of the configured cookie. Must never choose between two tokens, nor
//! keep one that is longer than any that is accepted.

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use super::cookie::{pairs, split};
use crate::domain::old_token::LONGEST;

/// The token that a request carries, or why it carries none that could be exchanged.
pub struct Carried(pub Result<String, &'static str>);

/// Leaves the token where the handler finds it: the session layer removes all cookies.
pub fn keep(cookie: &str, request: &ServiceRequest) {
    let found = read(cookie, request.headers()).map(ToOwned::to_owned);
    request.extensions_mut().insert(Carried(found));
}

/// The token of the only Authorization header, or else of the only cookie of this name. An empty name is none.
fn read<'a>(cookie: &str, headers: &'a HeaderMap) -> Result<&'a str, &'static str> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let (line, None) = (lines.next(), lines.next()) else { return Err("two Authorization headers") };
    let line = line.and_then(|line| line.to_str().ok()).and_then(|line| line.split_once(' '));
    // Schemes are compared without case (RFC 9110 §11.1). Another scheme is for somebody else, such as a proxy.
    let bearer =
        line.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim_matches(' '));
    let token = match bearer {
        Some(token) => token,
        None => {
            let mut ours = pairs(headers).filter_map(split).filter(|(name, _)| !cookie.is_empty() && *name == cookie);
            match (ours.next(), ours.next()) {
                (Some((_, token)), None) => token,
                (None, _) => return Err("no token"),
                (Some(_), Some(_)) => return Err("two cookies"),
            }
        }
    };
    if token.len() > LONGEST { Err("longer than 8 KiB") } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, HeaderName, HeaderValue};

    use super::*;

    fn found(lines: &[(HeaderName, &str)]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        read("jwt", &headers).map(ToOwned::to_owned)
    }

    #[test]
    fn one_token_is_read_and_of_two_none() {
        let is = |token: &str| Ok(token.to_owned());
        assert_eq!(found(&[(AUTHORIZATION, "Bearer a.b.c")]), is("a.b.c"));
        assert_eq!(found(&[(AUTHORIZATION, "bearer  a.b.c "), (COOKIE, "jwt=d.e.f")]), is("a.b.c"));
        assert_eq!(found(&[(COOKIE, "x=y; jwt=d.e.f")]), is("d.e.f"));
        assert_eq!(found(&[(AUTHORIZATION, "Basic YTpi"), (COOKIE, "jwt=d.e.f")]), is("d.e.f"));
        assert_eq!(
            found(&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")]),
            Err("two Authorization headers")
        );
        assert_eq!(found(&[(COOKIE, "jwt=a"), (COOKIE, "jwt=a")]), Err("two cookies"));
        for nothing in [&[][..], &[(COOKIE, "JWT=a")], &[(AUTHORIZATION, "Bearer")], &[(COOKIE, "=a")]] {
            assert_eq!(found(nothing), Err("no token"));
        }
        assert_eq!(found(&[(AUTHORIZATION, &format!("Bearer {}", "x".repeat(LONGEST)))]), is(&"x".repeat(LONGEST)));
        assert_eq!(found(&[(AUTHORIZATION, &format!("Bearer {}", "x".repeat(LONGEST + 1)))]), Err("longer than 8 KiB"));
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("=a"));
        assert_eq!(read("", &headers), Err("no token"), "where no cookie is configured");
    }
}
