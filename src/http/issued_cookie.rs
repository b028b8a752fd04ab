//! The session cookie of a session that was issued to a service: made as a sign-in here makes it.
//!
//! Owns what the service hands on to the user's browser. Must never be logged.

use std::fmt;
use std::time::Duration;

use actix_web::cookie::{Cookie, CookieJar, Key, SameSite};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::domain::Token;

/// The cookie for the user's browser.
#[derive(Serialize, ToSchema)]
pub struct IssuedCookie {
    /// Its name.
    #[schema(example = "__Host-session")]
    pub name: String,
    /// Its value; what `POST /introspect` takes.
    #[schema(example = "3kF%2F…")]
    pub value: String,
    /// The whole Set-Cookie header, for an application on the same host.
    #[schema(example = "__Host-session=3kF%2F…; HttpOnly; SameSite=Strict; Secure; Path=/")]
    pub set_cookie: String,
}

impl fmt::Debug for IssuedCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedCookie(***)")
    }
}

impl IssuedCookie {
    /// The cookie of this name and domain, signed; kept by the browser for `lasts`.
    pub fn new(
        (name, domain, key): (&str, Option<&str>, &Key),
        token: &Token,
        lasts: Option<Duration>,
    ) -> Result<Self, Problem> {
        let mut cookie = Cookie::new(name.to_owned(), token.expose());
        cookie.set_path("/");
        cookie.set_secure(true);
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Strict);
        if let Some(domain) = domain {
            cookie.set_domain(domain.to_owned());
        }
        if let Some(lasts) = lasts {
            let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
            cookie.set_max_age(actix_web::cookie::time::Duration::seconds(seconds));
        }
        let mut jar = CookieJar::new();
        jar.signed_mut(key).add(cookie);
        let signed = jar.get(name).ok_or_else(|| Problem::internal("the cookie was not signed"))?;
        let pair = signed.stripped().encoded().to_string();
        let (_, value) = pair.split_once('=').ok_or_else(|| Problem::internal("the cookie has no value"))?;
        Ok(Self { name: name.to_owned(), value: value.to_owned(), set_cookie: signed.encoded().to_string() })
    }
}
