//! What is not exchanged: tokens that are wrong, come too late or too often, and requests that no page of ours sends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::World;
use crate::api::tools::set_clock;
use crate::support::client::{Anonymous, COOKIE};
use crate::support::old_tokens::{Application, asked, claims, claims_but, exchange, now};
use crate::support::raw::raw;
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, Stores, TestServer};

/// The same message with another header, and a signature for it or none.
fn unsigned(claims: &Value, header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[tokio::test]
async fn a_wrong_token_gets_one_answer_and_opens_nothing() {
    let world = World::on(Backend::Embedded);
    let (stranger, other) = (Application::with_edwards(Some("2026")), Application::with_edwards(Some("2025")));
    let signed = |header, others| world.shop.signed(header, claims_but("user-1", others));
    let good = world.shop.token("user-1");
    let inner = world.shop.token("user-1");
    let mut broken = good.clone();
    broken.replace_range(good.len() - 6..good.len() - 2, "AAAA");
    let none = json!({ "alg": "none", "typ": "JWT" });
    let wrong = [
        ("none", unsigned(&claims("user-1"), &none)),
        ("none, with a signature", world.shop.signed(none.clone(), claims("user-1"))),
        ("NoNe", unsigned(&claims("user-1"), &json!({ "alg": "NoNe" }))),
        ("no algorithm", signed(json!({ "alg": null }), json!({}))),
        ("another algorithm", signed(json!({ "alg": "HS256" }), json!({}))),
        ("a wrong key", stranger.token("user-1")),
        ("a wrong key of another name", other.token("user-1")),
        ("the name of no key", signed(json!({ "kid": "2025" }), json!({}))),
        ("a broken signature", broken),
        ("crit", signed(json!({ "crit": ["exp"] }), json!({}))),
        ("crit b64", signed(json!({ "crit": ["b64"], "b64": true }), json!({}))),
        ("nested", signed(json!({ "cty": "JWT" }), json!({}))),
        ("nested, without its name", signed(json!({ "cty": "jwt" }), json!({ "inner": inner }))),
        ("a logout token", signed(json!({ "typ": "logout+jwt" }), json!({}))),
        ("expired", signed(json!({}), json!({ "exp": now() - 40 }))),
        ("without an end", signed(json!({}), json!({ "exp": null }))),
        ("not yet valid", signed(json!({}), json!({ "nbf": now() + 90 }))),
        ("issued in the future", signed(json!({}), json!({ "iat": now() + 90 }))),
        ("of another issuer", signed(json!({}), json!({ "iss": "https://evil.example" }))),
        ("of none", signed(json!({}), json!({ "iss": null }))),
        ("for another audience", signed(json!({}), json!({ "aud": ["blog", "Shop"] }))),
        ("for none", signed(json!({}), json!({ "aud": null }))),
        ("of nobody", signed(json!({}), json!({ "sub": null }))),
        ("of no subject", signed(json!({}), json!({ "sub": "a\u{202e}b" }))),
        ("too long", signed(json!({}), json!({ "x": "x".repeat(8_192) }))),
        ("encrypted", format!("{good}.a.b")),
        (
            "its own key",
            stranger.signed(json!({ "jwk": stranger.jwk(), "jku": "https://evil.example" }), claims("user-1")),
        ),
        ("nothing", String::new()),
        ("no token", "x".to_owned()),
    ];
    let mut opened = Vec::new();
    for (what, token) in wrong {
        let (browser, answer) = exchange(&world.url(), &token).await;
        if answer.status != 401 {
            opened.push(what);
            continue;
        }
        let told = answer.assert_problem(401, "token-refused").json()["detail"].clone();
        assert_eq!((&told, answer.set_cookies().len()), (&json!("The token is not accepted. Sign in."), 0), "{what}");
        assert_eq!(browser.get("/me").await.status, 401, "{what}");
    }
    assert!(opened.is_empty(), "{opened:?}");
    for table in ["users", "sessions", "exchanged_tokens"] {
        assert_eq!(world.rows(table, "1 = 1"), 0, "{table}");
    }
    exchange(&world.url(), &good).await.1.assert_status(200);
}

/// One node, whose answer to a megabyte is its head or a hang-up, and which lives on.
#[tokio::test]
async fn a_megabyte_is_not_read() {
    let world = World::on(Backend::Embedded);
    let token = world.shop.signed(json!({}), claims_but("user-1", json!({ "x": "x".repeat(700_000) })));
    for line in [format!("Authorization: Bearer {token}"), format!("Cookie: jwt={token}")] {
        let request = format!("POST /exchange HTTP/1.1\r\nHost: localhost\r\nX-Requested-With: x\r\n{line}\r\n\r\n");
        let answer = tokio::time::timeout(Duration::from_secs(20), raw(&world.url(), request.as_bytes())).await;
        let status = answer.expect("an answer in time").status;
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
    }
    assert_eq!(world.rows("sessions", "1 = 1"), 0);
    exchange(&world.url(), &world.shop.token("user-1")).await.1.assert_status(200);
}

#[tokio::test]
async fn a_token_comes_in_one_place_and_from_a_page_of_ours() {
    let world = World::of(Backend::Embedded, Application::with_secret(), &[("SESSIOND_EXCHANGE_COOKIE", "jwt")]);
    let with_cookie = |token: &str| {
        let browser = Anonymous::at(&world.url());
        browser.browser().set_cookie("jwt", token);
        browser
    };
    let browser = with_cookie(&world.shop.token("user-1"));
    browser.post("/exchange").await.assert_status(200);
    browser.get("/me").await.assert_status(200);
    // Of two cookies, anybody may have set one.
    let token = world.shop.token("user-2");
    with_cookie(&format!("{token}; jwt={token}")).post("/exchange").await.assert_problem(401, "token-refused");
    with_cookie("").post("/exchange").await.assert_problem(401, "token-refused");
    let browser = Anonymous::at(&world.url());
    asked(&browser, &token).header("Authorization", "Bearer x").send().await.assert_problem(401, "token-refused");
    browser.post(&format!("/exchange?token={token}")).await.assert_problem(422, "invalid-body");
    browser.post("/exchange").await.assert_problem(401, "token-refused");
    // Another site's page, a form of it, and a page that forges a CSRF token.
    let cookie = with_cookie(&token);
    for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")] {
        cookie
            .change(Method::POST, "/exchange")
            .header(name, value)
            .send()
            .await
            .assert_problem(403, "forbidden-origin");
    }
    cookie.call(Method::POST, "/exchange").send().await.assert_problem(403, "forbidden-origin");
    cookie.get("/exchange").await.assert_problem(405, "method-not-allowed");
    assert_eq!(world.rows("users", "subject = 'user-2'"), 0);
    // The header counts before the cookie; another scheme is somebody else's.
    let basic = cookie.change(Method::POST, "/exchange").header("Authorization", "Basic YTpi").send().await;
    assert_eq!(basic.assert_status(200).json()["user"]["subject"], "user-2");
    let third = world.shop.token("user-3");
    let header = asked(&cookie, &third).header("Origin", &world.url()).send().await;
    assert_eq!(header.assert_status(200).json()["user"]["subject"], "user-3");
}

#[tokio::test]
async fn after_the_date_it_is_over_and_without_a_key_there_is_nothing() {
    let shop = Application::with_curve(None);
    let stores = Stores::new(Backend::Embedded);
    let end = chrono::DateTime::from_timestamp(now() + 600, 0).expect("a time").to_rfc3339();
    let settings = shop.exchanged_by(stores.settings()).with("SESSIOND_EXCHANGE_UNTIL", &end);
    let server = TestServer::on(stores, settings).await;
    exchange(&server.url(), &shop.token("user-1")).await.1.assert_status(200);
    server.clock.advance(Duration::from_secs(590));
    exchange(&server.url(), &shop.token("user-1")).await.1.assert_status(200);
    server.clock.advance(Duration::from_secs(10));
    let (browser, over) = exchange(&server.url(), &shop.token("user-1")).await;
    over.assert_problem(410, "exchange-over");
    assert!(browser.browser().cookie(COOKIE).is_none());
    exchange(&server.url(), "x").await.1.assert_problem(410, "exchange-over");
    let plain = TestServer::start(Backend::Embedded).await;
    exchange(&plain.url(), &shop.token("user-1")).await.1.assert_problem(404, "not-found");
    plain.anonymous().post("/exchange").await.assert_problem(404, "not-found");
}

/// The clock is ours, not the library's.
#[tokio::test]
async fn the_servers_clock_decides() {
    let shop = Application::with_secret();
    let stores = Stores::new(Backend::Embedded);
    let settings = shop.exchanged_by(stores.settings());
    let server = TestServer::on(stores, settings).await;
    let later = shop.signed(json!({}), claims_but("user-1", json!({ "nbf": now() + 7_200, "exp": now() + 7_800 })));
    exchange(&server.url(), &later).await.1.assert_problem(401, "token-refused");
    let soon = shop.token("user-1");
    server.clock.advance(Duration::from_secs(7_200));
    exchange(&server.url(), &soon).await.1.assert_problem(401, "token-refused");
    exchange(&server.url(), &later).await.1.assert_status(200);
}

#[tokio::test]
async fn a_loop_comes_to_an_end_for_a_user_and_for_an_address() {
    let (shop, stores) = (Application::with_secret(), Stores::new(Backend::Embedded));
    let settings = shop.exchanged_by(stores.settings()).with("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "4");
    let server = TestServer::on(stores, settings).await;
    // Where a span of ten minutes begins.
    set_clock(&server, (now() / 600 + 1) * 600_000);
    let url = server.url();
    for _ in 0..60 {
        exchange(&url, &shop.token("user-1")).await.1.assert_status(200);
    }
    let token = shop.token("user-1");
    exchange(&url, &token).await.1.assert_problem(429, "too-many-attempts");
    // What is refused uses up nothing of another's limit.
    for _ in 0..5 {
        exchange(&url, "x").await.1.assert_status(401);
    }
    for number in 0..20 {
        exchange(&url, &shop.token(&format!("other-{number}"))).await.1.assert_status(200);
    }
    exchange(&url, &shop.token("another")).await.1.assert_problem(429, "too-many-attempts");
    server.clock.advance(Duration::from_secs(600));
    exchange(&url, &token).await.1.assert_status(200);
    assert_eq!(server.stores.database.count("exchanged_tokens", "1 = 1"), 81, "what came too often was not used up");
}

#[tokio::test]
async fn a_revoked_token_is_refused_as_soon_as_the_file_names_it() {
    let shop = Application::with_secret();
    let list = shop.file("revoked", "one\n");
    let list = list.display().to_string();
    let world = World::of(Backend::Embedded, shop, &[("SESSIOND_EXCHANGE_REVOKED_FILE", &list)]);
    let token = |jti: Value| world.shop.signed(json!({}), claims_but("user-1", json!({ "jti": jti })));
    let status = async |jti: &str| exchange(&world.url(), &token(json!(jti))).await.1.status;
    assert_eq!((status("one").await, status("two").await), (401, 200));
    world.shop.file("revoked", "six\nten\n");
    assert_eq!((status("six").await, status("ten").await, status("one").await), (401, 401, 200));
    // None that it could not name.
    exchange(&world.url(), &token(Value::Null)).await.1.assert_problem(401, "token-refused");
    // Unknown is not "no".
    std::fs::remove_file(&list).expect("the file");
    exchange(&world.url(), &token(json!("eight"))).await.1.assert_problem(503, "unavailable");
    world.shop.file("revoked", "");
    assert_eq!(status("eight").await, 200);
    assert_eq!(world.rows("users", "1 = 1"), 1);
}
