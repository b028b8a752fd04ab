//! The signature of a session cookie, verified without a cookie jar.
//!
//! Every request that a gateway asks about passes here, and a jar costs a dozen allocations. Owns the reading of
//! actix-session's signed cookies: `base64(HMAC-SHA256(value)) value`, percent-encoded. Must accept exactly the tokens
//! that the jar accepts: the jar writes the cookies.

use actix_web::cookie::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::domain::Token;

const MAC_TEXT: usize = 44;
const TOKEN_TEXT: usize = 36;
const WHOLE: usize = MAC_TEXT + TOKEN_TEXT;

/// Verifies signatures made with one key.
#[derive(Clone)]
pub(super) struct Verifier {
    /// The HMAC state with the key already absorbed; each use takes a copy.
    keyed: Hmac<Sha256>,
}

impl Verifier {
    /// A verifier for the key that signs the cookies.
    pub(super) fn new(key: &Key) -> Self {
        // Pads a key shorter than a block of SHA-256 with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block.iter_mut().zip(key.signing()).for_each(|(place, byte)| *place = *byte);
        Self { keyed: Hmac::new(&block.into()) }
    }

    /// The token in a cookie's value, if it was signed with the key.
    pub(super) fn token(&self, cookie: &DecodedCookie) -> Option<Token> {
        let (mac_text, token) = cookie.0.split_at_checked(MAC_TEXT)?;
        // The decoder needs room up to the next full group of three bytes.
        let mut mac = [0; 33];
        let length = STANDARD.decode_slice(mac_text, &mut mac).ok()?;
        self.keyed.clone().chain_update(token).verify_slice(mac.get(..length)?).ok()?;
        Token::parse(std::str::from_utf8(token).ok()?)
    }
}

/// A cookie's value without its percent-encoding, as long as a signed token; its signature is not verified yet.
pub struct DecodedCookie([u8; WHOLE]);

impl DecodedCookie {
    /// Decodes a value; `None` if it cannot be a signed token.
    pub(super) fn of(value: &str) -> Option<Self> {
        let mut plain = [0; WHOLE];
        let mut places = plain.iter_mut();
        let mut bytes = value.bytes();
        while let Some(byte) = bytes.next() {
            *places.next()? = if byte == b'%' { digit(bytes.next()?)? << 4 | digit(bytes.next()?)? } else { byte };
        }
        places.next().is_none().then_some(Self(plain))
    }

    /// The bytes; they hold a token.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for DecodedCookie {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::cookie::{Cookie, CookieJar};
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::from(&[byte; 64])
    }

    /// A cookie's value as the jar writes it.
    fn written(value: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&key(7)).add(Cookie::new("c", value.to_owned()));
        let line = jar.get("c").unwrap().encoded().to_string();
        line.strip_prefix("c=").unwrap().to_owned()
    }

    /// The token that the jar reads from it.
    fn read_by_jar(value: &str) -> Option<Token> {
        let cookie = Cookie::parse_encoded(format!("c={value}")).ok()?;
        Token::parse(CookieJar::new().signed(&key(7)).verify(cookie)?.value())
    }

    fn verified(key: &Key, value: &str) -> Option<Token> {
        Verifier::new(key).token(&DecodedCookie::of(value)?)
    }

    fn text(token: Option<Token>) -> Option<String> {
        token.map(|token| token.expose())
    }

    proptest! {
        #[test]
        fn it_reads_what_the_jar_writes(bytes in any::<[u8; 16]>()) {
            let token = uuid::Uuid::from_bytes(bytes).to_string();
            let value = written(&token);
            prop_assert_eq!(text(verified(&key(7), &value)), Some(token));
            prop_assert!(verified(&key(8), &value).is_none());
        }

        #[test]
        fn it_trusts_nothing_that_the_jar_does_not(
            bytes in any::<[u8; 16]>(),
            place in any::<prop::sample::Index>(),
            other in "[ -~]{0,3}",
        ) {
            let mut value = written(&uuid::Uuid::from_bytes(bytes).to_string());
            let place = place.index(value.len());
            value.replace_range(place..=place, &other);
            let (ours, jars) = (text(verified(&key(7), &value)), text(read_by_jar(&value)));
            prop_assert!(ours.is_none() || ours == jars, "{value}: {ours:?}, the jar: {jars:?}");
        }
    }

    #[test]
    fn what_is_not_a_signed_token_is_none() {
        let good = written("01937c5e-7b1a-7c3d-8e4f-001122334455");
        assert!(verified(&key(7), &good).is_some());
        for value in [
            "",
            "%",
            "%4",
            "%zz",
            "01937c5e-7b1a-7c3d-8e4f-001122334455",
            good.trim_start_matches(|first: char| first.is_alphanumeric()),
            good.trim_end_matches('5'),
            &format!("{good}0"),
            &format!("\"{good}\""),
            &good.replace("001122334455", "001122334456"),
            &written("no token"),
            &written("01937C5E-7B1A-7C3D-8E4F-001122334455"),
            &"%41".repeat(5_000),
        ] {
            assert!(verified(&key(7), value).is_none(), "{value}");
        }
    }
}
