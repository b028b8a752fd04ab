//! Old tokens: the JSON Web Tokens that an application issued before its sessions moved here.
//!
//! Owns what such a token must be (RFC 8725): signed by a known key with that key's own algorithm, for this audience, by
//! this issuer, and valid now by our own clock, since the library would ask the system's. Must never let a token choose
//! how it is verified, and never put a part of one into a message.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::jwt_keys::{JwtKey, JwtKeys};
use super::{Proof, Subject, Timestamp, jwt_crypto};

/// Longest token, in bytes. It is compared before anything is read.
pub const LONGEST: usize = 8 * 1024;
/// How far the issuer's clock may differ from ours.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// The last second of the year 9999, as RFC 3339 can write it.
const LATEST: f64 = 253_402_300_799.0;
/// Longest name of a client that is kept.
const LONGEST_CLIENT: usize = 64;

/// What tokens must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// The issuer's keys.
    pub keys: JwtKeys,
    /// The only `iss`.
    pub issuer: String,
    /// What `aud` must be, or contain.
    pub audience: String,
    /// The claim that names the user.
    pub subject_claim: String,
}

/// A token that was verified.
#[derive(Clone, Debug)]
pub struct OldToken {
    /// The user.
    pub subject: Subject,
    /// Its own name among the issuer's tokens (`jti`), if it has one.
    pub id: Option<String>,
    /// Two tokens with the same name are the same: a hash of the `jti`, or of what is signed. Not of the signature: of
    /// some there are two right ones.
    pub name: [u8; 32],
    /// When it is over.
    pub expires_at: Timestamp,
    /// When the user last proved their identity (`auth_time`), if it says so; else never. A token proves less: a thief may
    /// have it, and its application may have made it long after.
    pub proven_at: Timestamp,
    /// The application that got it (`client_id` or `azp`), if it says so in short and plain words.
    pub client: Option<String>,
}

/// Why a token is refused, for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than [`LONGEST`].
    #[error("longer than 8 KiB")]
    TooLong,
    /// Not a signed token in three parts, or of an unknown algorithm.
    #[error("not a JWT, or of an unknown algorithm")]
    Malformed,
    /// It has a `crit` header.
    #[error("it has critical extensions")]
    Critical,
    /// It contains another token.
    #[error("it contains another token")]
    Nested,
    /// Its `typ` says that it is for something else.
    #[error("a token of another type")]
    Type,
    /// It names no key, or one that is unknown.
    #[error("it names no known key")]
    Key,
    /// It says another algorithm than its key's.
    #[error("another algorithm than its key's")]
    Algorithm,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// A claim is missing or has the wrong form.
    #[error("a claim is missing or malformed")]
    Claims,
    /// Another issuer.
    #[error("another issuer")]
    Issuer,
    /// Another audience.
    #[error("another audience")]
    Audience,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It is not valid yet.
    #[error("not valid yet")]
    TooEarly,
}

type Claims = Map<String, Value>;

impl TokenRules {
    /// Verifies a token.
    ///
    /// # Errors
    /// When anything is wrong with it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<OldToken, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::TooLong);
        }
        let signed = signed_part(token).ok_or(TokenFault::Malformed)?;
        let key = self.key_of(token)?;
        // Nothing but the signature. The claims follow.
        let mut signature = Validation::new(key.algorithm());
        (signature.validate_exp, signature.validate_nbf, signature.validate_aud) = (false, false, false);
        signature.required_spec_claims.clear();
        jwt_crypto::install();
        let decoding = key.decoding().map_err(|_| TokenFault::Key)?;
        let claims = decode::<Claims>(token, &decoding, &signature).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenFault::Signature,
            _ => TokenFault::Malformed,
        });
        self.judge(&claims?.claims, signed, now)
    }

    /// The key that the header names, if the rest of the header is in order.
    fn key_of(&self, token: &str) -> Result<&JwtKey, TokenFault> {
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        if header.cty.is_some() {
            return Err(TokenFault::Nested);
        }
        if header.enc.is_some() || header.zip.is_some() {
            return Err(TokenFault::Malformed);
        }
        if !header.typ.as_deref().is_none_or(is_of_access) {
            return Err(TokenFault::Type);
        }
        let key = self.keys.named(header.kid.as_deref()).ok_or(TokenFault::Key)?;
        if header.alg == key.algorithm() { Ok(key) } else { Err(TokenFault::Algorithm) }
    }

    fn judge(&self, claims: &Claims, signed: &str, now: Timestamp) -> Result<OldToken, TokenFault> {
        if text(claims, "iss") != Some(&self.issuer) {
            return Err(TokenFault::Issuer);
        }
        let is_for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(&self.audience)),
            one => one.and_then(Value::as_str) == Some(&self.audience),
        };
        if !is_for_us {
            return Err(TokenFault::Audience);
        }
        let expires_at = moment(claims, "exp")?.ok_or(TokenFault::Claims)?;
        if now >= expires_at.plus(LEEWAY) {
            return Err(TokenFault::Expired);
        }
        for begin in ["nbf", "iat", "auth_time"] {
            if moment(claims, begin)?.is_some_and(|begin| begin > now.plus(LEEWAY)) {
                return Err(TokenFault::TooEarly);
            }
        }
        let id = match claims.get("jti") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()).filter(|id| !id.is_empty()),
            Some(_) => return Err(TokenFault::Claims),
        };
        let name = match &id {
            Some(id) => named(&["jti", &self.issuer, id]),
            None => named(&["token", signed]),
        };
        let proven_at = moment(claims, "auth_time")?.map_or(Proof::NEVER, |at| at.min(now));
        let client = text(claims, "client_id").or_else(|| text(claims, "azp")).filter(|name| is_plain(name));
        let (subject, client) = (self.subject(claims)?, client.map(ToOwned::to_owned));
        Ok(OldToken { subject, id, name, expires_at, proven_at, client })
    }

    /// Ids of users are often numbers.
    fn subject(&self, claims: &Claims) -> Result<Subject, TokenFault> {
        let found = match claims.get(&self.subject_claim) {
            Some(Value::String(text)) => Subject::parse(text),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Subject::parse(&number.to_string()),
            _ => return Err(TokenFault::Claims),
        };
        found.map_err(|_| TokenFault::Claims)
    }
}

/// What the signature covers, of three parts.
fn signed_part(token: &str) -> Option<&str> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let is_whole = !header.is_empty() && !claims.is_empty() && !claims.contains('.') && !signature.is_empty();
    is_whole.then_some(signed)
}

/// Not that of a logout, an event or a proof: those are signed by the same keys.
fn is_of_access(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// Seconds since 1970, perhaps with a fraction.
fn moment(claims: &Claims, name: &str) -> Result<Option<Timestamp>, TokenFault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds <= LATEST).ok_or(TokenFault::Claims)?;
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| TokenFault::Claims)?;
    Ok(Some(Timestamp::from_ms(0).plus(since)))
}

fn named(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn is_plain(name: &str) -> bool {
    (1..=LONGEST_CLIENT).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit, Mac};
    use serde_json::json;

    use super::*;

    const SECRET: &str = "a secret of at least thirty-two bytes";
    const NOW: i64 = 1_800_000_000;

    fn rules() -> TokenRules {
        TokenRules {
            keys: JwtKeys::secret(SECRET).unwrap(),
            issuer: "https://shop.example".to_owned(),
            audience: "shop".to_owned(),
            subject_claim: "sub".to_owned(),
        }
    }

    fn signed(header: &Value, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", part(&header.to_string()), part(claims));
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&message).finalize();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    /// A good token, but for this.
    fn but(header: &Value, claims: &Value) -> Result<OldToken, TokenFault> {
        let with = |mut base: Value, more: &Value| {
            base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            base.as_object_mut().unwrap().retain(|_, value| *value != json!("gone"));
            base
        };
        let good = json!({ "iss": "https://shop.example", "aud": "shop", "sub": "user-1", "exp": NOW + 60 });
        let token = signed(&with(json!({ "alg": "HS256" }), header), &with(good, claims).to_string());
        rules().verify(&token, Timestamp::from_ms(NOW * 1_000))
    }

    #[test]
    fn a_header_says_nothing_that_counts_but_its_key() {
        for good in [json!({}), json!({ "typ": "JWT" }), json!({ "typ": "application/at+jwt", "kid": "x" })] {
            assert_eq!(but(&good, &json!({})).unwrap().subject.as_str(), "user-1");
        }
        let mut told = Vec::new();
        for (header, fault) in [
            (json!({ "alg": "none" }), TokenFault::Malformed),
            (json!({ "alg": "hs256" }), TokenFault::Malformed),
            (json!({ "alg": "HS512" }), TokenFault::Algorithm),
            (json!({ "alg": "RS256" }), TokenFault::Algorithm),
            (json!({ "crit": ["exp"], "exp": 1 }), TokenFault::Critical),
            (json!({ "crit": ["b64"], "b64": true }), TokenFault::Critical),
            (json!({ "crit": [] }), TokenFault::Critical),
            (json!({ "b64": false }), TokenFault::Malformed),
            (json!({ "cty": "JWT" }), TokenFault::Nested),
            (json!({ "zip": "DEF" }), TokenFault::Malformed),
            (json!({ "typ": "logout+jwt" }), TokenFault::Type),
            (json!({ "typ": "dpop+jwt" }), TokenFault::Type),
            (json!({ "typ": 7 }), TokenFault::Malformed),
        ] {
            told.extend((but(&header, &json!({})).err() != Some(fault)).then_some(header));
        }
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn the_claims_are_judged_by_our_clock() {
        for good in [
            json!({ "aud": ["other", "shop"] }),
            json!({ "exp": NOW - 29 }),
            json!({ "exp": f64::from(i32::MAX) + 0.5 }),
            json!({ "nbf": NOW + 30, "iat": NOW + 30 }),
            json!({ "sub": 4_711 }),
            json!({ "jti": "" }),
        ] {
            assert!(but(&json!({}), &good).is_ok(), "{good}: {:?}", but(&json!({}), &good));
        }
        let mut told = Vec::new();
        for (claims, fault) in [
            (json!({ "exp": "gone" }), TokenFault::Claims),
            (json!({ "exp": null }), TokenFault::Claims),
            (json!({ "exp": (NOW + 60).to_string() }), TokenFault::Claims),
            (json!({ "exp": -1 }), TokenFault::Claims),
            (json!({ "exp": 1e300 }), TokenFault::Claims),
            (json!({ "exp": NOW - 30 }), TokenFault::Expired),
            (json!({ "nbf": NOW + 31 }), TokenFault::TooEarly),
            (json!({ "nbf": "soon" }), TokenFault::Claims),
            (json!({ "iat": NOW + 31 }), TokenFault::TooEarly),
            (json!({ "auth_time": NOW + 31 }), TokenFault::TooEarly),
            (json!({ "iss": "gone" }), TokenFault::Issuer),
            (json!({ "iss": ["https://shop.example"] }), TokenFault::Issuer),
            (json!({ "iss": "https://shop.example/" }), TokenFault::Issuer),
            (json!({ "aud": "gone" }), TokenFault::Audience),
            (json!({ "aud": ["other"] }), TokenFault::Audience),
            (json!({ "aud": { "shop": 1 } }), TokenFault::Audience),
            (json!({ "sub": "gone" }), TokenFault::Claims),
            (json!({ "sub": 1.5 }), TokenFault::Claims),
            (json!({ "sub": "a\nb" }), TokenFault::Claims),
            (json!({ "jti": 7 }), TokenFault::Claims),
        ] {
            told.extend((but(&json!({}), &claims).err() != Some(fault)).then_some(claims));
        }
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn a_token_is_three_parts_of_bounded_length() {
        let now = Timestamp::from_ms(NOW * 1_000);
        let good = signed(&json!({ "alg": "HS256" }), "{}");
        for text in ["", ".", "..", "...", "a.b", &format!("{good}."), &format!("{good}.x.y"), &good.replace('.', "..")]
        {
            assert_eq!(rules().verify(text, now).unwrap_err(), TokenFault::Malformed, "{text}");
        }
        let wrong = good.replace(good.rsplit('.').next().unwrap(), &URL_SAFE_NO_PAD.encode([7; 32]));
        assert_eq!(rules().verify(&wrong, now).unwrap_err(), TokenFault::Signature);
        let long = signed(&json!({ "alg": "HS256" }), &format!("{{\"x\":\"{}\"}}", "x".repeat(LONGEST)));
        assert_eq!(rules().verify(&long, now).unwrap_err(), TokenFault::TooLong);
        for no_object in ["[]", "\"x\"", "null", "{"] {
            let token = signed(&json!({ "alg": "HS256" }), no_object);
            assert_eq!(rules().verify(&token, now).unwrap_err(), TokenFault::Malformed, "{no_object}");
        }
    }

    #[test]
    fn one_name_for_what_is_one_token() {
        let name = |claims: Value| but(&json!({}), &claims).unwrap().name;
        assert_eq!(name(json!({ "jti": "a" })), name(json!({ "jti": "a", "exp": NOW + 90 })));
        assert_ne!(name(json!({ "jti": "a" })), name(json!({ "jti": "b" })));
        assert_ne!(name(json!({})), name(json!({ "exp": NOW + 61 })));
        let client = |claims: Value| but(&json!({}), &claims).unwrap().client;
        assert_eq!(client(json!({ "azp": "web", "client_id": "app" })).as_deref(), Some("app"));
        assert_eq!(client(json!({ "azp": "web" })).as_deref(), Some("web"));
        assert_eq!(client(json!({ "azp": "a\u{1b}[2J" })), None);
        let proven = |claims: Value| but(&json!({}), &claims).unwrap().proven_at;
        assert_eq!(proven(json!({ "iat": NOW })), Proof::NEVER);
        assert_eq!(proven(json!({ "auth_time": NOW - 9 })).ms(), (NOW - 9) * 1_000);
        assert_eq!(proven(json!({ "auth_time": NOW + 9 })).ms(), NOW * 1_000);
    }
}
