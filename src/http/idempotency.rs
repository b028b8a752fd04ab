//! Idempotency keys: a repeated request gets the same session again.
//!
//! The token of a session that is issued under a key is derived from it and the session, so it need not be kept to be handed
//! out again, and nobody without the cookie key can compute it. Owns the header and the secret. Must never take one
//! service's key for another's.

use std::fmt;

use actix_web::cookie::Key;
use actix_web::http::header::{HeaderMap, HeaderName};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::derived_key::derived;
use super::problem::Problem;
use crate::domain::{Repeatable, ServiceName};

/// The header of draft-ietf-httpapi-idempotency-key-header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

const PURPOSE: &[u8] = b"sessiond issued token 1";
/// A key must be hard to meet by chance: a UUID has 36 characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=255;

/// Derives tokens from keys.
#[derive(Clone)]
pub struct IdempotencyKeys(Hmac<Sha256>);

impl IdempotencyKeys {
    /// For this cookie key.
    pub fn new(cookie_key: &Key) -> Self {
        Self(derived(cookie_key, PURPOSE))
    }

    /// The request with this digest under the key in these headers; none without one.
    ///
    /// # Errors
    /// When there are several, or it is too short or too long.
    pub fn read(
        &self,
        service: ServiceName,
        headers: &HeaderMap,
        request: [u8; 32],
    ) -> Result<Option<Repeatable>, Problem> {
        let mut lines = headers.get_all(HEADER);
        let Some(line) = lines.next() else { return Ok(None) };
        let key = line.as_bytes();
        if lines.next().is_some() || !LENGTHS.contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Problem::invalid_field(
                "Idempotency-Key",
                "One header with 16 to 255 visible characters, such as a UUID.",
            ));
        }
        let keyed = self.0.clone().chain_update(service.as_str()).chain_update([0]).chain_update(key);
        Ok(Some(Repeatable::new(keyed.chain_update([0]), request)))
    }
}

impl fmt::Debug for IdempotencyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKeys(***)")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::domain::SessionId;

    fn token(key: u8, service: &str, lines: &[&str]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_str(line).unwrap());
        }
        let keys = IdempotencyKeys::new(&Key::from(&[key; 64]));
        let read = keys.read(service.parse().unwrap(), &headers, [0; 32]);
        read.map(|key| key.map(|it| it.token(SessionId::UNKNOWN).expose())).map_err(|_| ())
    }

    #[test]
    fn a_key_is_one_token_of_one_session_of_one_service_under_one_cookie_key() {
        let (one, other) = ("0123456789abcdef", "0123456789abcdeg");
        let first = token(7, "shop", &[one]).unwrap().unwrap();
        assert_eq!(token(7, "shop", &[one]), Ok(Some(first.clone())));
        for again in [token(7, "shop", &[other]), token(7, "shops", &[one]), token(8, "shop", &[one])] {
            assert_ne!(again.unwrap().unwrap(), first);
        }
        assert_eq!(token(7, "shop", &[]), Ok(None));
        for lines in [vec!["short"], vec![one, one], vec!["0123456789 abcdef"], vec![""]] {
            assert_eq!(token(7, "shop", &lines), Err(()), "{lines:?}");
        }
        assert_eq!(token(7, "shop", &[&"x".repeat(256)]), Err(()));
    }
}
