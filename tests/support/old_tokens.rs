//! Old tokens: an application's own JSON Web Tokens, signed here, and what a server needs to exchange them.
//!
//! Owns the application's keys, as files. Must never use the code under test to sign.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sessiond::domain::{Clock as _, SystemClock};
use tempfile::TempDir;

use super::client::{Anonymous, COOKIE};
use super::ports::random;
use super::requests::{Call, Requests as _, Response};
use super::settings::Settings;

/// The issuer of every token here.
pub const ISSUER: &str = "https://shop.example";
/// Their audience.
pub const AUDIENCE: &str = "shop";

enum Key {
    Secret(Vec<u8>),
    Curve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

/// An application that has issued tokens.
pub struct Application {
    folder: TempDir,
    kid: Option<&'static str>,
    key: Key,
}

impl Application {
    /// One with a shared secret.
    pub fn with_secret() -> Self {
        Self::of(Key::Secret(format!("{:032x} is a secret", random()).into_bytes()), None)
    }

    /// One with a key of P-256, which has this name in its set.
    pub fn with_curve(kid: Option<&'static str>) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self::of(Key::Curve(pair.expect("a key")), kid)
    }

    /// One with a key of Ed25519.
    pub fn with_edwards(kid: Option<&'static str>) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::of(Key::Edwards(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key")), kid)
    }

    fn of(key: Key, kid: Option<&'static str>) -> Self {
        Self { folder: TempDir::with_prefix("application-").expect("a folder"), kid, key }
    }

    /// A file of its own, which others cannot read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        // In one step, as an operator replaces a file.
        let next = self.folder.path().join(format!("{name}.next"));
        fs::write(&next, text).expect("a file");
        fs::set_permissions(&next, Permissions::from_mode(0o600)).expect("its mode");
        fs::rename(&next, &path).expect("a file");
        path
    }

    /// The settings of a server that exchanges its tokens.
    pub fn exchanged_by(&self, settings: Settings) -> Settings {
        let (variable, text) = match &self.key {
            Key::Secret(secret) => ("SESSIOND_EXCHANGE_SECRET_FILE", String::from_utf8_lossy(secret).into_owned()),
            _ => ("SESSIOND_EXCHANGE_KEY_FILE", json!({ "keys": [self.jwk()] }).to_string()),
        };
        exchanges(settings, variable, &self.file("key", &text))
    }

    /// Its public key.
    pub fn jwk(&self) -> Value {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Secret(_) => panic!("a secret is nobody else's"),
            Key::Curve(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y) })
            }
            Key::Edwards(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": part(pair.public_key().as_ref()) }),
        };
        if let Some(kid) = self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// A token for this user, which is good for an hour.
    pub fn token(&self, subject: &str) -> String {
        self.signed(json!({}), claims(subject))
    }

    /// A token with these claims, and with this beside or in place of what its header has anyway.
    pub fn signed(&self, header: Value, claims: Value) -> String {
        let alg = match &self.key {
            Key::Secret(_) => "HS256",
            Key::Curve(_) => "ES256",
            Key::Edwards(_) => "EdDSA",
        };
        let mut whole = json!({ "alg": alg, "typ": "JWT" });
        if let Some(kid) = self.kid {
            whole["kid"] = json!(kid);
        }
        merge(&mut whole, header);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&whole), part(&claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Secret(secret) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
                ring::hmac::sign(&key, message).as_ref().to_vec()
            }
            Key::Curve(pair) => pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Key::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// The settings of a server that exchanges tokens which this file verifies.
pub fn exchanges(settings: Settings, variable: &str, file: &Path) -> Settings {
    settings
        .with(variable, &file.display().to_string())
        .with("SESSIOND_EXCHANGE_ISSUER", ISSUER)
        .with("SESSIOND_EXCHANGE_AUDIENCE", AUDIENCE)
        .with("SESSIOND_EXCHANGE_UNTIL", "2100-01-01")
}

/// Seconds since 1970, now.
pub fn now() -> i64 {
    SystemClock::new().now().ms() / 1_000
}

/// Good claims, each with another `jti`.
pub fn claims(subject: &str) -> Value {
    let (now, jti) = (now(), format!("{:016x}", random()));
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now - 60, "exp": now + 3_600, "jti": jti })
}

/// The same with others beside or in their place; null takes one away.
pub fn claims_but(subject: &str, others: Value) -> Value {
    let mut claims = claims(subject);
    merge(&mut claims, others);
    claims
}

fn merge(into: &mut Value, others: Value) {
    let into = into.as_object_mut().expect("an object");
    for (name, value) in others.as_object().expect("an object") {
        match value {
            Value::Null => drop(into.remove(name)),
            value => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

/// A request to exchange this token.
pub fn asked<'a>(browser: &'a Anonymous, token: &str) -> Call<'a> {
    browser.change(Method::POST, "/exchange").header("Authorization", &format!("Bearer {token}"))
}

/// Exchanges a token in a browser that has nothing yet; the browser keeps the cookie.
pub async fn exchange(base: &str, token: &str) -> (Anonymous, Response) {
    let browser = Anonymous::at(base);
    let answer = asked(&browser, token).send().await;
    (browser, answer)
}

/// The session cookie that an answer sets; panics when it sets none.
pub fn cookie_of(answer: &Response) -> String {
    let cookies = answer.assert_status(200).set_cookies();
    let ours = cookies.iter().find_map(|line| line.strip_prefix(&format!("{COOKIE}="))).expect("a session cookie");
    ours.split(';').next().unwrap_or_default().to_owned()
}
