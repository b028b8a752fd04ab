//! The ids in a record, which are not spelled there as they are everywhere else.
//!
//! Owns the way from one spelling to the other, apart from the product's own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// An id as a record has it.
pub fn in_record(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Uuid::parse_str(id).expect("a UUID").as_bytes())
}

/// An id from a record as it is everywhere else.
pub fn from_record(field: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(field).expect("base64url");
    Uuid::from_slice(&bytes).expect("16 bytes").to_string()
}
