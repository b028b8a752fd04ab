//! Tokens for services behind a gateway: who issues them, for whom, and how long they live.
//!
//! Owns [`Jwt`] and the reading of its settings. Without an issuer there are no tokens.

use std::time::Duration;

use super::given::ConfigError;
use super::settings::{Settings, var};
use super::terms;

const LEAST_LIFETIME: Duration = Duration::from_secs(10);
/// Nobody can take a token back before it expires.
const LONGEST_LIFETIME: Duration = Duration::from_secs(60);

/// Headers that gateways, browsers or this server use for something else.
const TAKEN: [&str; 18] = [
    "cookie",
    "set-cookie",
    "host",
    "origin",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "date",
    "x-csrf-token",
    "x-request-id",
    "cache-control",
    "location",
    "vary",
    "server",
    "retry-after",
    "www-authenticate",
    "content-security-policy",
];

/// What the operator says about tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Who issues them.
    pub issuer: String,
    /// Who may accept them.
    pub audience: String,
    /// How long they live.
    pub lifetime: Duration,
    /// The header of `/auth/forward` that has one, in lower case.
    pub header: Option<String>,
}

/// Reads the settings; none when tokens are off.
pub(super) fn jwt(settings: &Settings) -> Result<Option<Jwt>, ConfigError> {
    let given = settings.given(var::JWT_ISSUER);
    let Some(issuer) = given.text() else {
        let others = [var::JWT_AUDIENCE, var::JWT_HEADER].map(|name| settings.given(name));
        return match others.iter().find(|other| other.text().is_some()) {
            Some(other) => Err(other.bad(format!("is set without {}: name who issues the tokens.", var::JWT_ISSUER))),
            None => Ok(None),
        };
    };
    let is_url = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://"));
    if is_url.is_none_or(str::is_empty) || issuer.contains(|c: char| c.is_whitespace() || ['#', '?', '@'].contains(&c))
    {
        return Err(given.is_no(issuer, "but must be the URL of this server, such as https://example.org/auth."));
    }
    let audience = settings.given(var::JWT_AUDIENCE);
    let lifetime = terms::duration(&settings.given(var::JWT_LIFETIME), LEAST_LIFETIME, LONGEST_LIFETIME)?;
    Ok(Some(Jwt {
        issuer: issuer.to_owned(),
        audience: audience.text().unwrap_or(issuer).to_owned(),
        lifetime,
        header: header(settings)?,
    }))
}

fn header(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let given = settings.given(var::JWT_HEADER);
    let Some(text) = given.text() else { return Ok(None) };
    let name = text.to_ascii_lowercase();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain && !TAKEN.contains(&name.as_str()) && !name.starts_with("x-session-") {
        return Ok(Some(name));
    }
    Err(given.is_no(text, "but must name a header of its own for the token, such as Authorization or X-Access-Token."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Jwt>, String> {
        jwt(&pairs.iter().copied().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_issuer_switches_tokens_on() {
        assert_eq!(read(&[]), Ok(None));
        let issuer = (var::JWT_ISSUER, "https://example.org/auth");
        let plain = read(&[issuer]).unwrap().unwrap();
        assert_eq!(plain.audience, "https://example.org/auth");
        assert_eq!((plain.lifetime, plain.header), (LONGEST_LIFETIME, None));
        let whole =
            [issuer, (var::JWT_AUDIENCE, "shop"), (var::JWT_LIFETIME, "10s"), (var::JWT_HEADER, "Authorization")];
        let whole = read(&whole).unwrap().unwrap();
        assert_eq!((whole.audience.as_str(), whole.header.as_deref()), ("shop", Some("authorization")));
    }

    #[test]
    fn what_would_not_work_is_refused() {
        let issuer = (var::JWT_ISSUER, "https://example.org/auth");
        for bad in [
            &[(var::JWT_ISSUER, "example.org")][..],
            &[(var::JWT_ISSUER, "https://")],
            &[(var::JWT_ISSUER, "https://example.org/?a")],
            &[(var::JWT_ISSUER, "https://user:password@example.org")],
            &[(var::JWT_AUDIENCE, "shop")],
            &[(var::JWT_HEADER, "X-Access-Token")],
            &[issuer, (var::JWT_LIFETIME, "61s")],
            &[issuer, (var::JWT_LIFETIME, "1s")],
            &[issuer, (var::JWT_HEADER, "Cookie")],
            &[issuer, (var::JWT_HEADER, "Location")],
            &[issuer, (var::JWT_HEADER, "X-Session-User")],
            &[issuer, (var::JWT_HEADER, "X Token")],
        ] {
            read(bad).unwrap_err();
        }
    }
}
