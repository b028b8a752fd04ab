//! Webhooks: the notices for other systems, and the signature that proves their sender.
//!
//! Owns the types of notices and the signature of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`. Must
//! never print a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Timestamp;

/// The subject of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A user signed in.
    SessionCreated,
    /// A user, an operator or a rule ended a session; not sent when a session simply expires.
    SessionRevoked,
    /// An account was disabled.
    UserDisabled,
    /// An alert was opened that a person should look at.
    AlertOpened,
    /// No event: an operator tests whether notices arrive.
    Test,
}

impl Notice {
    /// The notice's `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionCreated => "session.created",
            Self::SessionRevoked => "session.revoked",
            Self::UserDisabled => "user.disabled",
            Self::AlertOpened => "alert.opened",
            Self::Test => "webhook.test",
        }
    }
}

/// The prefix of the base64 text, by which scanners for leaked secrets recognise it.
const PREFIX: &str = "whsec_";
const MIN_BYTES: usize = 24;
const MAX_BYTES: usize = 64;
/// 24 random bytes have about 23 different values; fewer than this were not drawn at random.
const MIN_DIFFERENT: usize = 12;

/// A secret shared with the receiver. Wiped from memory when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Parses base64 of 24 to 64 bytes, with or without the prefix `whsec_`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(text).map(Zeroizing::new).map_err(|_| "is not base64")?;
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) {
            return Err("has fewer than 24 or more than 64 bytes");
        }
        let different = (0..=u8::MAX).filter(|value| bytes.contains(value)).count();
        if different < MIN_DIFFERENT { Err("is not random") } else { Ok(Self(bytes)) }
    }

    /// One signature, with the version of its form as a prefix.
    fn sign(&self, id: Uuid, at: i64, body: &[u8]) -> String {
        // HMAC does not hash a key of up to one block; it pads the key (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.iter()).for_each(|(place, byte)| *place = *byte);
        let mac = Hmac::<Sha256>::new((&*block).into()).chain_update(format!("{id}.{at}.")).chain_update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(***)")
    }
}

/// The three headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`: the time of this attempt, in seconds.
    pub timestamp: String,
    /// `webhook-signature`: one for each secret, separated by spaces. A receiver accepts the message if it knows any
    /// secret.
    pub signature: String,
}

/// Signs a message for an attempt made now.
pub fn sign(secrets: &[WebhookSecret], id: Uuid, now: Timestamp, body: &[u8]) -> Signed {
    let seconds = now.ms().div_euclid(1_000);
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, seconds, body)).collect();
    Signed { id: id.to_string(), timestamp: seconds.to_string(), signature: signatures.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac`, so that the code is not compared with itself.
    #[test]
    fn a_signature_is_what_others_reckon() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = Uuid::parse_str("01937c5e-7b1a-7c3d-8e4f-001122334455").unwrap();
        let signed =
            sign(&[secret.clone(), secret], id, Timestamp::from_ms(1_614_265_330_999), b"{\"test\": 2432232314}");
        let one = "v1,x1+mXuaBdKm5MDJFMyVKEYyU9lj15zdFhJ2+3qf9ZSQ=";
        assert_eq!(signed.timestamp, "1614265330");
        assert_eq!(signed.signature, format!("{one} {one}"));
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        assert_eq!(WebhookSecret::parse("hunter2!"), Err("is not base64"));
        for length in [23, 65] {
            let text = STANDARD.encode((0..length).collect::<Vec<u8>>());
            assert_eq!(WebhookSecret::parse(&text), Err("has fewer than 24 or more than 64 bytes"));
        }
        assert_eq!(WebhookSecret::parse(&format!("whsec_{}", STANDARD.encode([7; 32]))), Err("is not random"));
        let shown = format!("{:?}", WebhookSecret::parse(&STANDARD.encode((0..32).collect::<Vec<u8>>())).unwrap());
        assert_eq!(shown, "WebhookSecret(***)");
    }
}
