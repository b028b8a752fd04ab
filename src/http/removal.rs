//! The `Set-Cookie` value that removes a session cookie.
//!
//! Owns its spelling. Must repeat the attributes that the cookie was set with: otherwise browsers keep the cookie.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HeaderValue, InvalidHeaderValue};

/// Removes the cookie of this name, domain and path.
///
/// # Errors
/// If the domain does not fit into a header.
pub fn removal(name: &'static str, domain: Option<&str>, path: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let cookie = Cookie::build(name, "").path(path).secure(true).http_only(true).same_site(SameSite::Strict);
    let mut cookie = match domain {
        Some(domain) => cookie.domain(domain).finish(),
        None => cookie.finish(),
    };
    cookie.make_removal();
    HeaderValue::from_str(&cookie.to_string())
}
