//! Key list: the signing keys as this node knows them.
//!
//! Owns which key signs at a time, and the public list (RFC 7517). Must never hold a private half that it may not use.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use crate::domain::{Random, Seal, Timestamp};
use crate::ledger::signing_keys::SigningKey;

/// The one algorithm: every library verifies it, and its tokens are short.
pub(super) const ALGORITHM: Algorithm = Algorithm::ES256;

/// A key pair whose private half this node can open.
pub(super) struct Pair {
    pub id: String,
    pub private: EncodingKey,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The keys.
pub(in crate::service) struct KeyList {
    pairs: Vec<Pair>,
    /// The public halves of all keys, as a JWK Set.
    pub(super) public: String,
}

impl KeyList {
    /// The list of these rows, the one that signs last first. A private half sealed under another cookie key is of no
    /// use here; its public half is still shown.
    pub(super) fn new(rows: Vec<SigningKey>, seal: &Seal) -> Option<Self> {
        let keys = rows.iter().map(|row| Some(public(&row.public_key)?.1)).collect::<Option<Vec<_>>>()?;
        let public = serde_json::to_string(&JwkSet { keys }).ok()?;
        let pairs = rows.into_iter().filter_map(|row| {
            let private = seal.open(&row.id, &row.sealed_key)?;
            let private = EncodingKey::from_ec_der(&private);
            Some(Pair { id: row.id, private, from: row.signs_from, until: row.signs_until })
        });
        Some(Self { pairs: pairs.collect(), public })
    }

    /// The key that signs now.
    pub(super) fn signs(&self, now: Timestamp) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.from <= now && pair.until.is_none_or(|until| now < until))
    }

    /// Whether there is a key that goes on signing.
    pub(super) fn is_enough(&self) -> bool {
        self.pairs.iter().any(|pair| pair.until.is_none())
    }

    /// Whether there is none whose private half this node can open.
    pub(super) fn is_useless(&self) -> bool {
        self.pairs.is_empty()
    }

    /// From when on the next key signs: when the last one of these ends.
    pub(super) fn next_from(&self, now: Timestamp) -> Timestamp {
        self.pairs.iter().filter_map(|pair| pair.until).fold(now, Timestamp::max)
    }
}

/// A new key that signs from this time on.
pub(super) fn generate(from: Timestamp, now: Timestamp, seal: &Seal, random: &dyn Random) -> Option<SigningKey> {
    // ring takes no other source of randomness than the system's.
    let system = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &system).ok()?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref(), &system).ok()?;
    let public_key = pair.public_key().as_ref().to_vec();
    let (id, _) = public(&public_key)?;
    let sealed_key = seal.close(&id, private.as_ref(), random)?;
    Some(SigningKey {
        id,
        public_key,
        sealed_key,
        created_at: now,
        signs_from: from,
        signs_until: None,
        published_until: None,
    })
}

/// The id and the JWK of a public half.
fn public(point: &[u8]) -> Option<(String, Jwk)> {
    let mut key = Jwk::from_decoding_key(&DecodingKey::from_ec_der(point), Some(ALGORITHM)).ok()?;
    let id = key.thumbprint(ThumbprintHash::SHA256).ok()?;
    key.common.key_id = Some(id.clone());
    key.common.public_key_use = Some(PublicKeyUse::Signature);
    Some((id, key))
}
