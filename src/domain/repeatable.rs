//! Repeatable requests: a client that lost the answer sends its request again, under the same key.
//!
//! Owns what is derived from such a key: the name that is stored in its place, and the token of the session that it made.
//! The token depends on the session, too, so a key that is used again long after makes another one. Must never be told
//! from what is stored.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{SessionId, Token};

/// A request under a key.
#[derive(Clone)]
pub struct Repeatable {
    /// The HMAC state with a secret and the client's key already absorbed.
    keyed: Hmac<Sha256>,
    request: [u8; 32],
}

impl Repeatable {
    /// `request` is a digest of everything that was asked for.
    pub fn new(keyed: Hmac<Sha256>, request: [u8; 32]) -> Self {
        Self { keyed, request }
    }

    /// What is stored in place of the key.
    pub fn name(&self) -> [u8; 32] {
        self.keyed.clone().chain_update(b"name").finalize().into_bytes().into()
    }

    /// The digest of the request.
    pub fn request(&self) -> &[u8; 32] {
        &self.request
    }

    /// The token of the session that the request made.
    pub fn token(&self, session: SessionId) -> Token {
        let mac = self.keyed.clone().chain_update(b"token").chain_update(session.uuid().as_bytes()).finalize();
        let mut token = [0; 16];
        token.iter_mut().zip(mac.into_bytes()).for_each(|(place, byte)| *place = byte);
        Token::derived(token)
    }
}

impl fmt::Debug for Repeatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeatable(***)")
    }
}
