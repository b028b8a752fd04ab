//! The CSRF token: our own pages can read and send it, other sites' pages cannot.
//!
//! Signed, not stored: `base64url(nonce ‖ HMAC-SHA256(key, nonce ‖ token hash))`. Any node that has the cookie key can
//! verify it without a store. It is bound to the session's current token, so it ends with a renewal, a sign-out and a
//! new sign-in. Owns its form, its key and its header. Must never be valid for anything else (the key has this one
//! purpose), and never be logged.

use std::fmt;
use std::sync::Arc;

use actix_web::cookie::Key;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::derived_key::derived;
use crate::domain::{Random, TokenHash, random};

/// The header that a CSRF token comes in.
pub const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The purpose of the key: it signs nothing else here.
const PURPOSE: &[u8] = b"sessiond csrf token 1";

/// Makes every token look different, so that the compressed size of an answer reveals nothing about it.
const NONCE: usize = 16;
const MAC: usize = 32;

/// The CSRF token that a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// None at all.
    Nothing,
    /// The token of its session.
    Right,
    /// Another token, or several.
    Wrong,
}

impl Shown {
    /// The word that a gateway gets.
    pub fn word(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Nothing => "none",
            Self::Right => "valid",
            Self::Wrong => "invalid",
        })
    }
}

/// Issues and verifies CSRF tokens.
pub struct CsrfTokens {
    /// The HMAC state with the key already absorbed; each use takes a copy.
    keyed: Hmac<Sha256>,
    random: Arc<dyn Random>,
}

impl CsrfTokens {
    /// With a key of their own.
    pub fn new(cookie_key: &Key, random: Arc<dyn Random>) -> Self {
        Self { keyed: derived(cookie_key, PURPOSE), random }
    }

    /// Issues a token for the session with this token hash.
    pub fn issue(&self, of: &TokenHash) -> String {
        let nonce: [u8; NONCE] = random::bytes(self.random.as_ref());
        let mac = self.mac(&nonce, of).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), mac.as_slice()].concat())
    }

    /// Whether the text is a token for the session with this token hash.
    pub fn is_right(&self, text: &[u8], of: &TokenHash) -> bool {
        let mut bytes = [0; NONCE + MAC];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
        let (nonce, mac) = bytes.split_at(NONCE);
        length == Ok(NONCE + MAC) && self.mac(nonce, of).verify_slice(mac).is_ok()
    }

    /// What the headers show, for the session with one of these token hashes.
    pub fn shown(&self, headers: &HeaderMap, of: &[TokenHash]) -> Shown {
        let mut lines = headers.get_all(HEADER);
        match (lines.next(), lines.next()) {
            (None, _) => Shown::Nothing,
            (Some(text), None) if of.iter().any(|of| self.is_right(text.as_bytes(), of)) => Shown::Right,
            _ => Shown::Wrong,
        }
    }

    fn mac(&self, nonce: &[u8], of: &TokenHash) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(nonce).chain_update(of.as_bytes())
    }
}

impl fmt::Debug for CsrfTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfTokens(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    fn tokens(byte: u8) -> CsrfTokens {
        CsrfTokens::new(&Key::from(&[byte; 64]), Arc::new(SystemRandom))
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_right_for_its_session_at_every_node_with_the_key_and_nowhere_else() {
        let [mine, other] = [Token::generate(&SystemRandom).hash(), Token::generate(&SystemRandom).hash()];
        let token = tokens(7).issue(&mine);
        assert_eq!(token.len(), 64);
        assert!(tokens(7).is_right(token.as_bytes(), &mine));
        assert!(!tokens(7).is_right(token.as_bytes(), &other));
        assert!(!tokens(8).is_right(token.as_bytes(), &mine));
        let again = tokens(7).issue(&mine);
        assert!(again != token && tokens(7).is_right(again.as_bytes(), &mine), "as good, and another text");
    }

    #[test]
    fn one_byte_changed_added_or_taken_away_is_wrong() {
        let mine = Token::generate(&SystemRandom).hash();
        let token = tokens(7).issue(&mine).into_bytes();
        for place in 0..token.len() {
            let mut other = token.clone();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert!(!tokens(7).is_right(&other, &mine), "{place}");
            other.remove(place);
            assert!(!tokens(7).is_right(&other, &mine), "{place}");
        }
        for text in ["", "=", "x", &"A".repeat(64), &"A".repeat(100_000), &"é".repeat(32)] {
            assert!(!tokens(7).is_right(text.as_bytes(), &mine), "{text}");
        }
        assert!(!tokens(7).is_right(&[token.as_slice(), b"="].concat(), &mine));
    }

    #[test]
    fn several_headers_are_none_that_counts() {
        let mine = Token::generate(&SystemRandom).hash();
        let token = tokens(7).issue(&mine);
        let other = Token::generate(&SystemRandom).hash();
        let shown = |lines: &[&str], of: &[TokenHash]| tokens(7).shown(&headers(lines), of);
        assert_eq!(shown(&[], &[mine]), Shown::Nothing);
        assert_eq!(shown(&[&token], &[mine]), Shown::Right);
        assert_eq!(shown(&[&token], &[other, mine]), Shown::Right, "of one of several cookies");
        assert_eq!(shown(&[&token], &[other]), Shown::Wrong);
        assert_eq!(shown(&[&token], &[]), Shown::Wrong);
        assert_eq!(shown(&[&token, &token], &[mine]), Shown::Wrong);
        assert_eq!(shown(&[&format!("{token}, {token}")], &[mine]), Shown::Wrong);
        assert_eq!(shown(&[""], &[mine]), Shown::Wrong);
    }

    #[test]
    fn nothing_prints_the_key() {
        assert_eq!(format!("{:?}", tokens(7)), "CsrfTokens(***)");
    }
}
