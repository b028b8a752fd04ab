//! Keys derived from the key that signs the cookies, one for each purpose.
//!
//! Owns the derivation: HKDF-Expand of one block (RFC 5869 §2.3). Every node with the cookie key has them. Must never be
//! used for a purpose without a name of its own.

use actix_web::cookie::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The HMAC state with the key for this purpose already absorbed; each use takes a copy.
pub fn derived(cookie_key: &Key, purpose: &[u8]) -> Hmac<Sha256> {
    let derived = keyed(cookie_key.master()).chain_update(purpose).chain_update([1]).finalize().into_bytes();
    keyed(&derived)
}

/// Pads a key shorter than a block of SHA-256 with zeros (RFC 2104 §2).
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    Hmac::new(&block.into())
}
