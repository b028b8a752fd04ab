//! Opaque outside, a JWT inside: tokens for services that cannot ask.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::support::client::PASSWORD;
use crate::support::process::{Process, command_line_ok};
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores, TestServer, on_each_backend};
use crate::support::service::{FORM, IssuedSession, Service, token, user};
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);
const JWT: &str = "application/jwt";
const SIGNED: &str = "application/token-introspection+jwt";
const ISSUER: &str = "https://example.org/auth";

/// A token that was verified with the public keys of a server.
struct Verified {
    header: Value,
    claims: Value,
}

/// The public keys, once there are so many.
async fn keys(base: &str, number: usize) -> Vec<Value> {
    let anonymous = crate::support::client::Anonymous::at(base);
    let shown = async || match anonymous.get("/.well-known/jwks.json").await {
        answer if answer.status == 200 => answer.json()["keys"].as_array().expect("keys").clone(),
        _ => vec![],
    };
    until(&format!("{number} public keys are shown"), PATIENCE, async || shown().await.len() == number).await;
    shown().await
}

/// Verifies a token as a service would, with nothing but the public keys; panics when it is none.
fn verified(token: &str, keys: &[Value]) -> Verified {
    let mut parts = token.split('.');
    let mut part = || URL_SAFE_NO_PAD.decode(parts.next().expect("three parts")).expect("base64url");
    let (header, claims, signature) = (part(), part(), part());
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap_or_else(|| panic!("no such key: {header}"));
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"], &key["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("sig"), &json!("ES256"))
    );
    let half = |of: &str| URL_SAFE_NO_PAD.decode(key[of].as_str().expect("text")).expect("base64url");
    let point = [vec![4], half("x"), half("y")].concat();
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).expect("it verifies");
    assert_eq!(header["alg"], "ES256");
    Verified { header, claims: serde_json::from_slice(&claims).expect("JSON") }
}

async fn ask(shop: &Service, cookie: &str, accept: &str, more: &str) -> Response {
    let call = shop.ask(Method::POST, "/introspect").header("Accept", accept);
    call.body(FORM, format!("{}{more}", token(cookie))).send().await
}

async fn jwt(shop: &Service, cookie: &str) -> String {
    let answer = ask(shop, cookie, JWT, "").await;
    assert_eq!(answer.header("content-type"), Some(JWT), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.assert_status(200).text()
}

fn shop(server: &TestServer) -> Service {
    Service::add(&server.settings, &server.url(), "shop", "issue,introspect")
}

/// Nobody can use keys that are sealed under a cookie key that is gone: they are shown no longer than their last token lives.
#[tokio::test]
async fn a_new_cookie_key_ends_the_keys_that_it_cannot_open() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings().with("SESSIOND_JWT_ISSUER", ISSUER);
    let mut node = Process::start(&settings);
    let first = keys(&node.url(), 1).await;
    node.kill();
    let other = STANDARD.encode((100..164).collect::<Vec<u8>>());
    let node = Process::start(&settings.clone().with("SESSIOND_COOKIE_KEY", &other));
    let both = keys(&node.url(), 2).await;
    assert!(both.contains(&first[0]), "tokens that it signed are accepted until they expire");
    let listed = command_line_ok(&settings, &["keys", "list", "--json"], "");
    let ends = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["published_until"].is_string();
    assert_eq!(listed.lines().filter(|line| ends(line)).count(), 1, "{listed}");
    assert!(
        listed.lines().any(|line| ends(line) && line.contains(first[0]["kid"].as_str().expect("text"))),
        "{listed}"
    );
}

on_each_backend! {
    async fn there_are_no_tokens_unless_an_issuer_is_set(server: TestServer) {
        let shop = shop(&server);
        let session = shop.session_of("user-1").await;
        server.anonymous().get("/.well-known/jwks.json").await.assert_problem(404, "not-found");
        for accept in [JWT, SIGNED] {
            ask(&shop, &session.cookie, accept, "").await.assert_problem(406, "not-acceptable");
        }
        let either = ask(&shop, &session.cookie, "application/jwt, application/json;q=0.1", "").await;
        assert_eq!(either.assert_status(200).json()["active"], true);
        assert_eq!(server.stores.database.count("signing_keys", "1 = 1"), 0);
    }

    async fn a_token_says_whose_session_it_is(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER, "SESSIOND_JWT_AUDIENCE": "orders" } {
        let shop = shop(&server);
        let keys = keys(&server.url(), 1).await;
        let mut body = user("user-1");
        (body["name"], body["claims"]) = (json!("Ana"), json!({ "plan": "gold" }));
        let session = IssuedSession::of(&shop.issue(&body).await);
        let plain = verified(&jwt(&shop, &session.cookie).await, &keys);
        assert_eq!(plain.header["typ"], "at+jwt");
        let claims = plain.claims;
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        assert_eq!([text("iss"), text("aud"), text("client_id")], [ISSUER, "orders", "shop"]);
        assert_eq!([text("sub"), text("sid")], [session.user_id.clone(), session.session_id.clone()]);
        let number = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("{name}: {claims}"));
        assert_eq!(number("exp") - number("iat"), 60);
        assert!((0..10).contains(&(number("iat") - number("auth_time"))), "issued a moment ago: {claims}");
        assert_eq!(text("jti").len(), 36);
        assert!(claims.get("roles").is_none() && claims.get("claims").is_none(), "{claims}");
        // What SQL knows of the user, if that is asked for.
        let whole = ask(&shop, &session.cookie, JWT, "&claims=true").await.text();
        let whole = verified(&whole, &keys).claims;
        assert_eq!((&whole["subject"], &whole["name"]), (&json!("user-1"), &json!("Ana")));
        assert_eq!((&whole["roles"], &whole["claims"]), (&json!(["user"]), &json!({ "plan": "gold" })));
        // The answer of RFC 7662, signed for the service that asks (RFC 9701).
        let signed = ask(&shop, &session.cookie, SIGNED, "").await;
        assert_eq!(signed.header("content-type"), Some(SIGNED));
        let signed = verified(&signed.text(), &keys);
        assert_eq!(signed.header["typ"], "token-introspection+jwt");
        assert_eq!((&signed.claims["iss"], &signed.claims["aud"]), (&json!(ISSUER), &json!("shop")));
        let told = ask(&shop, &session.cookie, "application/json", "").await.json();
        assert_eq!(signed.claims["token_introspection"], told);
        assert!(signed.claims.get("exp").is_none() && signed.claims.get("sub").is_none(), "it is no access token");
        // Nothing for what opens nothing.
        for cookie in ["", "garbage"] {
            assert_eq!(ask(&shop, cookie, JWT, "").await.assert_status(204).text(), "");
            let signed = verified(&ask(&shop, cookie, SIGNED, "").await.text(), &keys);
            assert_eq!(signed.claims["token_introspection"], json!({ "active": false }));
        }
    }

    async fn a_token_is_used_again_until_a_tenth_of_its_life_is_left(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER } {
        let (shop, other) = (shop(&server), Service::add(&server.settings, &server.url(), "other", "introspect"));
        keys(&server.url(), 1).await;
        let owner = server.signed_in().await;
        let cookie = || owner.browser().cookie(crate::support::client::COOKIE).expect("a cookie");
        let first = jwt(&shop, &cookie()).await;
        server.clock.advance(Duration::from_secs(53));
        assert_eq!(jwt(&shop, &cookie()).await, first);
        assert_ne!(jwt(&other, &cookie()).await, first, "a token names the service that asked");
        server.clock.advance(Duration::from_secs(2));
        let second = jwt(&shop, &cookie()).await;
        assert_ne!(second, first);
        // A new proof is a new token of the session, and of this kind.
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        assert_ne!(jwt(&shop, &cookie()).await, second);
        // Whoever was ended gets none, whatever is in memory.
        let last = cookie();
        jwt(&shop, &last).await;
        owner.sign_out().await.assert_status(204);
        ask(&shop, &last, JWT, "").await.assert_status(204);
    }

    async fn a_token_never_outlives_its_session(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER, "SESSIOND_IDLE_TIMEOUT": "20s" } {
        let shop = shop(&server);
        let keys = keys(&server.url(), 1).await;
        let session = shop.session_of("user-1").await;
        let claims = verified(&jwt(&shop, &session.cookie).await, &keys).claims;
        assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat), Some(20));
    }

    async fn a_gateway_gets_one_in_the_header_that_is_named(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER, "SESSIOND_JWT_HEADER": "Authorization" } {
        let keys = keys(&server.url(), 1).await;
        let owner = server.signed_in().await;
        let answer = owner.get("/auth/forward").await.assert_status(200).clone();
        let bearer = answer.header("authorization").expect("a header").to_owned();
        let claims = verified(bearer.strip_prefix("Bearer ").expect("a bearer token"), &keys).claims;
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(owner.user_id), &json!("gateway")));
        let copy = owner.copy_at(&server.url());
        owner.sign_out().await.assert_status(204);
        let answer = copy.get("/auth/forward").await;
        assert_eq!((answer.status, answer.header("authorization")), (401, None));
    }

    async fn keys_are_replaced_while_everybody_goes_on(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER } {
        let (shop, node) = (shop(&server), server.another_node().await);
        let first = keys(&server.url(), 1).await;
        assert_eq!(keys(&node.url(), 1).await, first, "both nodes use one key");
        let session = shop.session_of("user-1").await;
        let elsewhere = Service::with(&node.url(), &shop.secret);
        let kid = async |shop: &Service, keys: &[Value]| {
            let token = ask(shop, &session.cookie, JWT, "&claims=true").await.text();
            verified(&token, keys).header["kid"].clone()
        };
        command_line_ok(&server.settings, &["keys", "rotate", "--overlap", "1m"], "");
        let both = keys(&node.url(), 2).await;
        assert_eq!(keys(&server.url(), 2).await, both, "the next one is known before it signs");
        for shop in [&shop, &elsewhere] {
            assert_eq!(kid(shop, &both).await, first[0]["kid"], "the old one signs for a minute more");
        }
        server.clock.advance(Duration::from_secs(61));
        for shop in [&shop, &elsewhere] {
            assert_ne!(kid(shop, &both).await, first[0]["kid"]);
        }
        // Tokens of the old one are accepted until they have expired, and not longer.
        server.clock.advance(Duration::from_secs(58));
        assert_eq!(keys(&server.url(), 2).await, both);
        server.clock.advance(Duration::from_secs(8));
        let left = keys(&server.url(), 1).await;
        assert_ne!(left[0]["kid"], first[0]["kid"]);
        let listed = command_line_ok(&server.settings, &["keys", "list", "--json"], "");
        assert!(listed.contains(left[0]["kid"].as_str().expect("text")), "{listed}");
        assert_eq!(server.stores.database.count("audit", "event = 'signing_keys_rotated'"), 1);
    }

    /// Without an overlap, a key that was stolen is worth nothing as soon as the keys are read again.
    async fn keys_are_withdrawn_at_once(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER } {
        let first = keys(&server.url(), 1).await;
        let shop = shop(&server);
        let session = shop.session_of("user-1").await;
        verified(&jwt(&shop, &session.cookie).await, &first);
        command_line_ok(&server.settings, &["keys", "rotate", "--overlap", "0s"], "");
        let second = keys(&server.url(), 1).await;
        assert_ne!(second[0]["kid"], first[0]["kid"]);
        // What was minted before is not used again.
        verified(&jwt(&shop, &session.cookie).await, &second);
    }

    async fn private_halves_are_sealed_under_the_cookie_key(server: TestServer)
    with { "SESSIOND_JWT_ISSUER": ISSUER } {
        keys(&server.url(), 1).await;
        let rows = server.stores.database.count("signing_keys", "1 = 1");
        assert_eq!(rows, 1);
        let dump = server.stores.database.dump_text();
        // What every private key of the curve begins with, in the form in which it would be written.
        let curve = "06082A8648CE3D030107";
        assert!(!dump.to_uppercase().contains(curve), "a private key in the open");
        assert!(dump.contains("signing_keys"));
    }
}
