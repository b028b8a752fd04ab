//! Keys in Redis: a session's, `{prefix}session:{token hash in base64url}`, a ledger's, `{prefix}ledger:{name}`, and a
//! counter's, `{prefix}attempts:{name}`.
//!
//! Owns their spelling. Must never hold a token: only the hash ever leaves the process.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{RedisWrite, ToRedisArgs};

use super::hash_slot::HashSlot;
use crate::domain::{BucketId, Lineage, Slots, TokenHash};

pub(super) const SESSION: &str = "session:";
pub(super) const LEDGER: &str = "ledger:";
pub(super) const ATTEMPTS: &str = "attempts:";
/// 32 bytes in base64url.
const LONGEST: usize = 43;

/// A hundred times as many as one slot needs.
const PROBES: u32 = 1_638_400;

/// A key; written straight into the command, so that the hot path allocates no text for it.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    prefix: &'a str,
    kind: &'static str,
    name: &'a [u8],
}

impl<'a> Key<'a> {
    /// A session's key.
    pub(super) fn session(prefix: &'a str, hash: &'a TokenHash) -> Self {
        Self { prefix, kind: SESSION, name: hash.as_bytes() }
    }

    /// A ledger's key.
    pub(super) fn ledger(prefix: &'a str, ledger: &'a Lineage) -> Self {
        Self { prefix, kind: LEDGER, name: ledger.as_bytes() }
    }

    /// A counter's key.
    pub(super) fn attempts(prefix: &'a str, bucket: &'a BucketId) -> Self {
        Self { prefix, kind: ATTEMPTS, name: bucket.as_bytes() }
    }

    /// Its slot in a cluster.
    pub(super) fn slot(&self) -> u16 {
        let mut slot = HashSlot::default();
        // It cannot fail, see below; and a wrong slot only costs an answer.
        let _written = self.write(&mut slot);
        slot.slot()
    }

    fn write(&self, mut out: impl Write) -> std::io::Result<()> {
        let mut name = [0; LONGEST];
        let length = URL_SAFE_NO_PAD.encode_slice(self.name, &mut name).map_err(std::io::Error::other)?;
        out.write_all(self.prefix.as_bytes())?;
        out.write_all(self.kind.as_bytes())?;
        out.write_all(name.get(..length).unwrap_or_default())
    }
}

/// A key of this kind that belongs to no session or ledger, in one of these slots.
pub(super) fn probe(prefix: &str, kind: &str, slots: Option<&Slots>) -> String {
    let whole = format!("{prefix}{kind}");
    let Some(slots) = slots else { return whole };
    let fits = |key: &String| {
        let mut slot = HashSlot::default();
        slot.write_all(key.as_bytes()).is_ok() && slots.contains(slot.slot())
    };
    (0..PROBES).map(|number| format!("{whole}{number}")).find(fits).unwrap_or(whole)
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        // Neither can fail: no name is longer than 32 bytes, and the command grows as needed.
        let written = self.write(out.writer_for_next_arg());
        debug_assert!(written.is_ok(), "a key fits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn a_key_is_the_prefix_the_kind_and_the_name() {
        let hash = Token::generate(&SystemRandom).hash();
        let ledger = Lineage::generate(&SystemRandom);
        for (key, text) in [
            (Key::session("shop:", &hash), format!("shop:session:{}", hash.to_base64url())),
            (Key::ledger("shop:", &ledger), format!("shop:ledger:{ledger}")),
        ] {
            assert_eq!(key.to_redis_args(), [text.as_bytes()]);
        }
    }

    #[test]
    fn a_probe_is_in_the_slots_that_it_is_for() {
        assert_eq!(probe("shop:", SESSION, None), "shop:session:");
        let slots = Slots::parse("9000-9010").unwrap();
        let key = probe("", SESSION, Some(&slots));
        let mut slot = HashSlot::default();
        slot.write_all(key.as_bytes()).unwrap();
        assert!(slots.contains(slot.slot()), "{key}");
    }
}
