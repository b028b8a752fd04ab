//! The session cookie: its name and attributes, reading exactly one from a request, and settling it in an answer.
//!
//! Reads the wire form of actix-session's signed cookies, so that a request can be judged before that crate runs, or
//! without it. Must never write a token anywhere, and never pass two cookies of one name to a reader that takes the
//! first.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Duration;

use actix_web::cookie::{Cookie, Key};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

use super::issued_cookie::IssuedCookie;
use super::problem::Problem;
use super::removal::removal;
use super::signature::{DecodedCookie, Verifier};
use super::stale_cookies::StaleCookies;
use crate::config::Config;
use crate::domain::{Random, Token, TokenHash};

/// Most cookies of the name that are read. Chromium and Firefox keep at most 180 for a domain.
const MOST: usize = 200;

/// Browsers keep no cookie longer (RFC 6265bis §5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The session cookie that a request carries.
#[derive(Debug)]
pub enum Presented {
    /// No cookie of the name.
    Nothing,
    /// One, signed by us. Its session may be live or not.
    One(Token),
    /// One that we did not issue: forged, damaged or too long.
    Invalid,
    /// Several, with the tokens that we signed. Another party may have set any of them, so none opens a session; all of
    /// them can be ended.
    Several(Vec<Token>),
    /// More than any browser sends.
    TooMany,
}

impl Presented {
    /// The hashes of all tokens, live or not.
    pub fn hashes(&self) -> Vec<TokenHash> {
        let tokens = match self {
            Self::One(token) => std::slice::from_ref(token),
            Self::Several(tokens) => tokens,
            Self::Nothing | Self::Invalid | Self::TooMany => &[],
        };
        tokens.iter().map(Token::hash).collect()
    }
}

/// What the answer does with the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieAnswer {
    /// As actix-session set it: gone when the browser is closed.
    AsSet,
    /// Set, and kept for this long ("remember me").
    Lasts(Duration),
    /// Not set: the client already has this token, perhaps with a Max-Age that would be lost.
    Left,
    /// Removed.
    Removed,
}

/// Which cookies of a request reach actix-session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetThrough {
    /// None.
    Nothing,
    /// The session cookie.
    Session,
    /// All readable cookies; the session cookie only if there is exactly one, signed by us.
    All,
}

/// Why the cookie settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCookie {
    /// The key is missing, or so short that it would be easier to guess than the token.
    #[error("{0}")]
    Key(String),
    /// The domain would not fit into a header.
    #[error("SESSIOND_COOKIE_DOMAIN must be a host name.")]
    Domain,
}

/// The session cookie as it is configured.
#[derive(Clone)]
pub struct SessionCookie {
    name: &'static str,
    domain: Option<String>,
    key: Key,
    verifier: Verifier,
    removal: HeaderValue,
    stale: StaleCookies,
    /// The hasher's keys are new at each start.
    fingerprints: RandomState,
}

impl SessionCookie {
    /// The cookie that the settings ask for: bound to one host, or shared under a domain.
    pub fn new(config: &Config, random: &dyn Random) -> Result<Self, InvalidCookie> {
        let name = if config.cookie_domain.is_some() { "__Secure-session" } else { "__Host-session" };
        let key = config.cookie_key.open(random).map_err(|error| InvalidCookie::Key(error.to_string()))?;
        let key = Key::try_from(key.as_bytes()).map_err(|error| InvalidCookie::Key(error.to_string()))?;
        let domain = config.cookie_domain.clone();
        let removal = removal(name, domain.as_deref(), "/").map_err(|_| InvalidCookie::Domain)?;
        let stale = StaleCookies::new(name, config);
        let fingerprints = RandomState::new();
        Ok(Self { name, domain, verifier: Verifier::new(&key), key, removal, stale, fingerprints })
    }

    /// The cookie's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The domain that shares it; `None` if it belongs to one host.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The key that signs it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// A Set-Cookie value that removes it, with the attributes it was set with (browsers ignore it otherwise).
    pub fn removal(&self) -> HeaderValue {
        self.removal.clone()
    }

    /// Set-Cookie values that remove every cookie of the name that this configuration does not set.
    pub fn stale_removals(&self, host: Option<&str>, path: &str) -> Vec<HeaderValue> {
        self.stale.removals(host, path)
    }

    /// Whether an answer with these headers sets or removes the cookie.
    pub fn changes_in(&self, headers: &HeaderMap, answer: CookieAnswer) -> bool {
        answer == CookieAnswer::Removed
            || (answer != CookieAnswer::Left && headers.get_all(SET_COOKIE).any(|line| self.sets_ours(line)))
    }

    /// What the request carries, over all of its Cookie headers.
    pub fn read(&self, headers: &HeaderMap) -> Presented {
        let mut ours = pairs(headers).filter(|pair| self.is_ours(pair));
        match (ours.next(), ours.next()) {
            (None, _) => Presented::Nothing,
            (Some(pair), None) => self.verify(pair).map_or(Presented::Invalid, Presented::One),
            (Some(first), Some(second)) => self.several([first, second].into_iter().chain(ours)),
        }
    }

    /// The only cookie of the name, over all of the request's Cookie headers; its signature is not verified yet. None when
    /// there is none, when there are several, or when it cannot be one of ours: [`SessionCookie::read`] tells which.
    pub fn only(&self, headers: &HeaderMap) -> Option<DecodedCookie> {
        let mut ours = pairs(headers).filter(|pair| self.is_ours(pair));
        let (pair, None) = (ours.next()?, ours.next()) else { return None };
        DecodedCookie::of(split(pair)?.1)
    }

    /// The token in a cookie's value, decoded or as the browser sends it, if we signed it.
    pub fn token_in(&self, value: &str) -> Option<Token> {
        // A form that was not escaped turns a plus into a space; a value of ours has none.
        self.verifier.token(&DecodedCookie::of(&value.replace(' ', "+"))?)
    }

    /// The cookie for a session that was issued to a service.
    pub fn issued(&self, token: &Token, lasts: Option<Duration>) -> Result<IssuedCookie, Problem> {
        IssuedCookie::new((self.name, self.domain(), &self.key), token, lasts.map(|age| age.min(MAX_AGE)))
    }

    /// What a decoded cookie is.
    pub fn judge(&self, cookie: &DecodedCookie) -> Presented {
        self.verifier.token(cookie).map_or(Presented::Invalid, Presented::One)
    }

    /// Distinguishes cookies that open no session, within this process only.
    pub fn fingerprint(&self, headers: &HeaderMap) -> u64 {
        let mut hasher = self.fingerprints.build_hasher();
        pairs(headers).filter(|pair| self.is_ours(pair)).for_each(|pair| pair.hash(&mut hasher));
        hasher.finish()
    }

    /// Rewrites the request's Cookie headers to what may reach actix-session. That crate takes the first of two cookies
    /// of the name, decodes names before it compares them, and sees no cookie at all if one byte of any cookie is not
    /// UTF-8: what it sees must agree with what [`SessionCookie::read`] found.
    pub fn let_through(&self, headers: &mut HeaderMap, presented: &Presented, which: LetThrough) {
        if !headers.contains_key(COOKIE) {
            return;
        }
        let ours = matches!(presented, Presented::One(_)) && which != LetThrough::Nothing;
        let others = which == LetThrough::All;
        let kept: Vec<&str> = pairs(headers)
            .filter(|pair| if self.is_ours(pair) { ours } else { others && !self.decodes_to_ours(pair) })
            .collect();
        let line = HeaderValue::from_bytes(kept.join("; ").as_bytes());
        headers.remove(COOKIE);
        if let Ok(line) = line
            && !line.is_empty()
        {
            headers.insert(COOKIE, line);
        }
    }

    /// Applies the decision about the session cookie to the answer.
    pub fn settle(&self, headers: &mut HeaderMap, answer: CookieAnswer) {
        if answer == CookieAnswer::AsSet {
            return;
        }
        let lines: Vec<HeaderValue> = headers.remove(SET_COOKIE).collect();
        for line in lines {
            if !self.sets_ours(&line) {
                headers.append(SET_COOKIE, line);
            } else if let CookieAnswer::Lasts(age) = answer {
                headers.append(SET_COOKIE, with_max_age(line, age));
            }
        }
        if answer == CookieAnswer::Removed {
            headers.append(SET_COOKIE, self.removal());
        }
    }

    fn several<'a>(&self, mut pairs: impl Iterator<Item = &'a str>) -> Presented {
        let distinct: HashSet<_> = pairs.by_ref().take(MOST).collect();
        match pairs.next() {
            None => Presented::Several(distinct.into_iter().filter_map(|pair| self.verify(pair)).collect()),
            Some(_) => Presented::TooMany,
        }
    }

    /// Compares names exactly: browsers guard the `__Host-` prefix in any case, so a server that folded case would
    /// accept cookies that browsers do not guard.
    fn is_ours(&self, pair: &str) -> bool {
        split(pair).is_some_and(|(name, _)| name == self.name)
    }

    fn decodes_to_ours(&self, pair: &str) -> bool {
        Cookie::parse_encoded(pair).is_ok_and(|cookie| cookie.name() == self.name)
    }

    fn sets_ours(&self, line: &HeaderValue) -> bool {
        line.as_bytes().strip_prefix(self.name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    }

    fn verify(&self, pair: &str) -> Option<Token> {
        let (_, value) = split(pair)?;
        self.verifier.token(&DecodedCookie::of(value)?)
    }
}

/// The name-value pairs of all Cookie headers. Drops only the pairs that are not UTF-8.
pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok())
        .filter(|pair| !pair.is_empty())
}

/// Name and value of a pair, trimmed of spaces and tabs (RFC 6265bis §5.6) but of no other white space. Browsers do not
/// trim other white space either: a name that begins with it has no prefix to them, so any page under the same domain
/// may set such a cookie.
pub(super) fn split(pair: &str) -> Option<(&str, &str)> {
    let (name, value) = pair.split_once('=')?;
    Some((name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
}

fn with_max_age(line: HeaderValue, age: Duration) -> HeaderValue {
    let age = format!("; Max-Age={}", age.min(MAX_AGE).as_secs());
    HeaderValue::from_bytes(&[line.as_bytes(), age.as_bytes()].concat()).unwrap_or(line)
}

#[cfg(test)]
mod tests;
