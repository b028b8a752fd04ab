//! JWT keys: what an application's own JSON Web Tokens are verified with, and which key a token names.
//!
//! Owns the algorithm of each key: the kind of the key decides it, never a token. Must never take a weak key, a private
//! key, or as a shared secret what others may know.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, errors};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Fewest bytes of a secret for HS256 (RFC 7518 §3.2).
const LEAST_SECRET: usize = 32;
/// Fewest bits of an RSA key (RFC 7518 §3.3).
const LEAST_RSA: usize = 2_048;
/// Most keys of a set; a rotation needs two or three.
const MOST_KEYS: usize = 100;
/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;

/// Object identifiers in DER: RSA, any elliptic curve, P-256, Ed25519.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ANY_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Why a key is not accepted: the rest of a sentence that begins with a setting's name. Never has a part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKey(String);

/// The keys of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtKeys {
    keys: Vec<JwtKey>,
    /// Whether they are a set, where a token names its key.
    is_set: bool,
}

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtKey {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Secret(Zeroizing<Vec<u8>>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256, uncompressed.
    Curve(Vec<u8>),
    Edwards(Vec<u8>),
}

impl JwtKeys {
    /// A shared secret (HS256): the text itself, or what follows `base64:`, decoded.
    ///
    /// # Errors
    /// When it is too short, or looks like a public key.
    pub fn secret(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim_end_matches(['\r', '\n']);
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let is_public = |der: &Zeroizing<Vec<u8>>| [RSA, ANY_CURVE, ED25519].iter().any(|id| has(der, id));
        let is_object = text.trim_start().starts_with('{') && serde_json::from_str::<Value>(text).is_ok();
        if text.contains("-----BEGIN") || is_object || decoded.as_ref().is_ok_and(is_public) {
            return Err(no("contains a key, but must contain a shared secret: a public key is known to others."));
        }
        let bytes = match text.strip_prefix("base64:") {
            Some(rest) => Zeroizing::new(
                STANDARD.decode(rest.trim()).map_err(|_| no("begins with base64: but what follows is not base64."))?,
            ),
            None => Zeroizing::new(text.as_bytes().to_vec()),
        };
        if bytes.len() < LEAST_SECRET {
            let length = bytes.len();
            return Err(no(format!("contains a secret of {length} bytes, but HS256 needs at least {LEAST_SECRET}.")));
        }
        let key = JwtKey { id: None, algorithm: Algorithm::HS256, material: Material::Secret(bytes) };
        Ok(Self { keys: vec![key], is_set: false })
    }

    /// Public keys: one in PEM, or a JWK set.
    ///
    /// # Errors
    /// When there is no usable key, or one that must not be used.
    pub fn public(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        if text.starts_with('{') { set(text) } else { Ok(Self { keys: vec![pem(text)?], is_set: false }) }
    }

    /// The key that a token names. A file with one key needs no name; only a set has names to compare.
    pub fn named(&self, id: Option<&str>) -> Option<&JwtKey> {
        match (self.keys.as_slice(), id) {
            ([only], None) => Some(only),
            ([only], Some(_)) if !self.is_set => Some(only),
            (keys, Some(_)) => keys.iter().find(|key| key.id.as_deref() == id),
            (_, None) => None,
        }
    }
}

impl JwtKey {
    /// The only algorithm that it serves.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key in the library's form.
    pub fn decoding(&self) -> errors::Result<DecodingKey> {
        match &self.material {
            Material::Secret(bytes) => DecodingKey::from_secret(bytes),
            Material::Rsa { n, e } => Ok(DecodingKey::from_rsa_raw_components(n, e)),
            Material::Curve(point) => Ok(DecodingKey::from_ec_der(point)),
            Material::Edwards(key) => Ok(DecodingKey::from_ed_der(key)),
        }
    }

    fn rsa(id: Option<String>, n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        let (n, e) = (trimmed(n), trimmed(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0));
        if bits < LEAST_RSA {
            return Err(no(format!("contains an RSA key of {bits} bits, but RS256 needs at least {LEAST_RSA}.")));
        }
        Ok(Self { id, algorithm: Algorithm::RS256, material: Material::Rsa { n, e } })
    }

    fn curve(id: Option<String>, point: Vec<u8>) -> Result<Self, InvalidKey> {
        if point.len() != 1 + 2 * COORDINATE || point.first() != Some(&4) {
            return Err(no("contains an elliptic curve key that is no uncompressed point of P-256."));
        }
        Ok(Self { id, algorithm: Algorithm::ES256, material: Material::Curve(point) })
    }

    fn edwards(id: Option<String>, key: Vec<u8>) -> Result<Self, InvalidKey> {
        if key.len() != COORDINATE {
            return Err(no("contains a key of Ed25519 that has not 32 bytes."));
        }
        Ok(Self { id, algorithm: Algorithm::EdDSA, material: Material::Edwards(key) })
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({:?} {:?})", self.algorithm, self.id)
    }
}

fn no(why: impl Into<String>) -> InvalidKey {
    InvalidKey(why.into())
}

fn has(der: &[u8], id: &[u8]) -> bool {
    der.windows(id.len()).any(|part| part == id)
}

/// Without leading zeros.
fn trimmed(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// One public key in PEM.
fn pem(text: &str) -> Result<JwtKey, InvalidKey> {
    if text.contains("PRIVATE KEY-----") {
        return Err(no("contains a private key: give only the public one."));
    }
    let known = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];
    if text.matches("-----BEGIN ").count() != 1 || !known.iter().any(|begin| text.starts_with(begin)) {
        return Err(no("contains neither one public key in PEM (BEGIN PUBLIC KEY) nor a JWK set."));
    }
    let unreadable = || no("contains a public key that cannot be read.");
    let bytes = |key: &DecodingKey| key.try_get_as_bytes().map(<[u8]>::to_vec).map_err(|_| unreadable());
    if let Ok(key) = DecodingKey::from_rsa_pem(text.as_bytes()) {
        let der = bytes(&key)?;
        let (n, e) = rsa_numbers(&der).ok_or_else(unreadable)?;
        return JwtKey::rsa(None, n, e);
    }
    if let Ok(key) = DecodingKey::from_ec_pem(text.as_bytes()) {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(body).map_err(|_| unreadable())?;
        if !has(&der, P256) {
            return Err(no("contains a key of another elliptic curve than P-256, which is the one of ES256."));
        }
        return JwtKey::curve(None, bytes(&key)?);
    }
    let key = DecodingKey::from_ed_pem(text.as_bytes())
        .map_err(|_| no("contains a public key that is neither RSA nor P-256 nor Ed25519."))?;
    JwtKey::edwards(None, bytes(&key)?)
}

/// Modulus and exponent of a key in DER (RFC 8017 §A.1.1).
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, _) = element(0x30, der)?;
    let (n, rest) = element(0x02, numbers)?;
    let (e, _) = element(0x02, rest)?;
    Some((n, e))
}

/// The content of the first element, which must have this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// The keys of a JWK set that verify signatures; a set may have others, too.
fn set(text: &str) -> Result<JwtKeys, InvalidKey> {
    let unreadable = |_| no("contains a JWK set that cannot be read.");
    let value: Value = serde_json::from_str(text).map_err(unreadable)?;
    let value = if value.get("kty").is_some() { json!({ "keys": [value] }) } else { value };
    let raw = value.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if raw.iter().any(|key| key.get("kty").is_some_and(|kind| kind == "oct") || key.get("k").is_some()) {
        return Err(no("contains a shared secret: put it into a file for SESSIOND_EXCHANGE_SECRET_FILE."));
    }
    if raw.iter().any(|key| key.get("d").is_some()) {
        return Err(no("contains a private key: give only the public one."));
    }
    let found: JwkSet = serde_json::from_value(value).map_err(unreadable)?;
    if found.keys.len() > MOST_KEYS {
        return Err(no(format!("contains more than {MOST_KEYS} keys.")));
    }
    let keys = found.keys.iter().filter_map(|key| of_set(key).transpose()).collect::<Result<Vec<_>, _>>()?;
    let doubled = |key: &JwtKey| key.id.is_some() && keys.iter().filter(|other| other.id == key.id).count() > 1;
    if keys.iter().any(doubled) {
        return Err(no("contains two keys with the same kid."));
    }
    if keys.len() > 1 && keys.iter().all(|key| key.id.is_none()) {
        return Err(no("contains several keys without a kid, which no token can name."));
    }
    if keys.is_empty() {
        return Err(no("contains no key that verifies RS256, ES256 or EdDSA."));
    }
    Ok(JwtKeys { keys, is_set: true })
}

/// One key of a set; none if it is for something else.
fn of_set(jwk: &Jwk) -> Result<Option<JwtKey>, InvalidKey> {
    let common = &jwk.common;
    let for_signatures = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|them| them.contains(&KeyOperations::Verify));
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return Ok(None),
    };
    let is_its_own = common.key_algorithm.is_none_or(|it| it == KeyAlgorithm::from(algorithm));
    if !for_signatures || !verifies || !is_its_own {
        return Ok(None);
    }
    let id = common.key_id.clone();
    let bytes = |text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| no("contains a JWK whose numbers are not base64url without padding."))
    };
    let key = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => JwtKey::rsa(id, &bytes(&key.n)?, &bytes(&key.e)?)?,
        AlgorithmParameters::EllipticCurve(key) => {
            JwtKey::curve(id, [&[4][..], &bytes(&key.x)?, &bytes(&key.y)?].concat())?
        }
        AlgorithmParameters::OctetKeyPair(key) => JwtKey::edwards(id, bytes(&key.x)?)?,
        _ => return Ok(None),
    };
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxxg==";

    fn why(read: Result<JwtKeys, InvalidKey>) -> String {
        read.unwrap_err().to_string()
    }

    fn pem_of(kind: &str, body: &str) -> String {
        format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")
    }

    #[test]
    fn a_secret_is_long_and_is_no_key_that_others_know() {
        let algorithm = |text: &str| JwtKeys::secret(text).map(|keys| keys.named(None).unwrap().algorithm());
        assert_eq!(algorithm(&"x".repeat(32)), Ok(Algorithm::HS256));
        assert_eq!(algorithm(&format!("base64:{}\n", STANDARD.encode([7; 32]))), Ok(Algorithm::HS256));
        assert!(why(JwtKeys::secret(&"x".repeat(31))).starts_with("contains a secret of 31 bytes, but HS256 needs"));
        assert!(why(JwtKeys::secret(&format!("{}\r\n", "x".repeat(31)))).contains("31 bytes"));
        assert!(why(JwtKeys::secret(&format!("base64:{}", STANDARD.encode([7; 31])))).contains("31 bytes"));
        assert!(why(JwtKeys::secret(&format!("base64:{}", "?".repeat(50)))).contains("is not base64"));
        for public in
            [pem_of("PUBLIC KEY", POINT), POINT.to_owned(), r#"{ "keys": [], "more": "0123456789" }"#.to_owned()]
        {
            assert!(why(JwtKeys::secret(&public)).contains("is known to others"), "{public}");
        }
        assert!(!format!("{:?}", JwtKeys::secret(&"x".repeat(32))).contains("xx"));
    }

    #[test]
    fn a_file_of_another_kind_is_told_so() {
        assert_eq!(JwtKeys::public(&pem_of("PUBLIC KEY", POINT)).unwrap().keys[0].algorithm, Algorithm::ES256);
        for (text, says) in [
            ("", "neither one public key in PEM"),
            (&*pem_of("CERTIFICATE", POINT), "neither one public key in PEM"),
            (&pem_of("PRIVATE KEY", POINT), "a private key"),
            (&pem_of("PUBLIC KEY", "AAAA"), "neither RSA nor P-256 nor Ed25519"),
            (&(pem_of("PUBLIC KEY", POINT) + &pem_of("PUBLIC KEY", POINT)), "neither one public key in PEM"),
            (r#"{ "kty": "oct", "k": "AAAA" }"#, "SESSIOND_EXCHANGE_SECRET_FILE"),
            (r#"{ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" }] }"#, "a private key"),
            (r#"{ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AA" }] }"#, "has not 32 bytes"),
            (r#"{ "keys": [{ "kty": "RSA", "n": "AAAA_w", "e": "AQAB" }] }"#, "an RSA key of 8 bits"),
            (r#"{ "keys": [] }"#, "no key that verifies"),
            ("{", "cannot be read"),
        ] {
            assert!(why(JwtKeys::public(text)).contains(says), "{text}: {}", why(JwtKeys::public(text)));
        }
    }

    fn edwards(more: &Value) -> Value {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([7; 32]) });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn a_set_offers_only_what_may_verify_and_a_token_names_its_key() {
        let other_use = [
            json!({ "use": "enc" }),
            json!({ "key_ops": ["sign"] }),
            json!({ "alg": "ES256" }),
            json!({ "alg": "HS256" }),
            json!({ "crv": "X25519" }),
        ];
        for more in &other_use {
            assert!(why(JwtKeys::public(&edwards(more).to_string())).contains("no key that verifies"), "{more}");
        }
        let one = JwtKeys::public(&edwards(&json!({ "kid": "a", "use": "sig", "alg": "EdDSA" })).to_string()).unwrap();
        assert!(one.named(None).is_some() && one.named(Some("a")).is_some() && one.named(Some("b")).is_none());
        let two = json!({ "keys": [edwards(&json!({ "kid": "a" })), edwards(&json!({}))] }).to_string();
        let two = JwtKeys::public(&two).unwrap();
        assert!(two.named(None).is_none() && two.named(Some("a")).is_some() && two.named(Some("")).is_none());
        let nameless = json!({ "keys": [edwards(&json!({})), edwards(&json!({}))] }).to_string();
        assert!(why(JwtKeys::public(&nameless)).contains("without a kid"));
        let same = json!({ "keys": [edwards(&json!({ "kid": "a" })), edwards(&json!({ "kid": "a" }))] }).to_string();
        assert!(why(JwtKeys::public(&same)).contains("the same kid"));
        let plain = JwtKeys::public(&pem_of("PUBLIC KEY", POINT)).unwrap();
        assert!(plain.named(Some("any")).is_some(), "there is no name to compare");
    }
}
