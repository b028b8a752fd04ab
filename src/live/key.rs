//! The key of a session in Redis: `{prefix}session:{token hash in base64url}`.
//!
//! Owns its spelling. Must never hold a token: only the hash ever leaves the process.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{RedisWrite, ToRedisArgs};

use super::slot::SlotOf;
use crate::domain::{Slots, TokenHash};

const KIND: &[u8] = b"session:";
const HASH_LENGTH: usize = 43;

/// A hundred times as many as one slot needs.
const PROBES: u32 = 1_638_400;

/// A session's key; written straight into the command, so that the hot path builds no text for it.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    prefix: &'a str,
    hash: &'a TokenHash,
}

impl<'a> Key<'a> {
    pub(super) fn new(prefix: &'a str, hash: &'a TokenHash) -> Self {
        Self { prefix, hash }
    }

    /// How many bytes it is.
    pub(super) fn length(&self) -> usize {
        self.prefix.len() + KIND.len() + HASH_LENGTH
    }

    /// Its slot in a cluster.
    pub(super) fn slot(&self) -> u16 {
        let mut slot = SlotOf::default();
        // It cannot fail, see below; and a wrong slot is merely one that does not answer.
        let _written = self.write(&mut slot);
        slot.slot()
    }

    fn write(&self, mut out: impl Write) -> std::io::Result<()> {
        let mut hash = [0; HASH_LENGTH];
        URL_SAFE_NO_PAD.encode_slice(self.hash.as_bytes(), &mut hash).map_err(std::io::Error::other)?;
        out.write_all(self.prefix.as_bytes())?;
        out.write_all(KIND)?;
        out.write_all(&hash)
    }
}

/// A key that is no session's, in one of these slots.
pub(super) fn probe(prefix: &str, slots: Option<&Slots>) -> String {
    let whole = format!("{prefix}session:");
    let Some(slots) = slots else { return whole };
    let fits = |key: &String| {
        let mut slot = SlotOf::default();
        slot.write_all(key.as_bytes()).is_ok() && slots.contains(slot.slot())
    };
    (0..PROBES).map(|number| format!("{whole}{number}")).find(fits).unwrap_or(whole)
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        // Neither can fail: 32 bytes are always 43 characters, and the command grows as it needs.
        let written = self.write(out.writer_for_next_arg());
        debug_assert!(written.is_ok(), "a key fits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn a_key_is_the_prefix_the_kind_and_the_hash() {
        let hash = Token::generate(&SystemRandom).hash();
        let key = Key::new("shop:", &hash);
        let text = format!("shop:session:{}", hash.to_base64url());
        assert_eq!(key.to_redis_args(), [text.as_bytes()]);
        assert_eq!(key.length(), text.len());
    }

    #[test]
    fn a_probe_is_in_the_slots_that_it_is_for() {
        assert_eq!(probe("shop:", None), "shop:session:");
        let slots = Slots::parse("9000-9010").unwrap();
        let key = probe("", Some(&slots));
        let mut slot = SlotOf::default();
        slot.write_all(key.as_bytes()).unwrap();
        assert!(slots.contains(slot.slot()), "{key}");
    }
}
