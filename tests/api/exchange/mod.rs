//! Exchange: an application's own JSON Web Tokens become sessions, each once.

mod libraries;
mod refusals;
mod settings;

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::services::on_both;
use crate::support::client::{Admin, Anonymous, COOKIE};
use crate::support::old_tokens::{Application, asked, claims_but, cookie_of, exchange, now};
use crate::support::process::{Process, command_line_ok};
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::settings::Settings;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that exchanges an application's tokens.
struct World {
    stores: Stores,
    settings: Settings,
    server: Process,
    shop: Application,
}

impl World {
    fn on(backend: Backend) -> Self {
        Self::of(backend, Application::with_edwards(Some("2026")), &[])
    }

    fn of(backend: Backend, shop: Application, more: &[(&str, &str)]) -> Self {
        let stores = Stores::new(backend);
        let settings = shop.exchanged_by(stores.settings()).with_all(more);
        let server = Process::start(&settings);
        Self { stores, settings, server, shop }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn rows(&self, table: &str, condition: &str) -> usize {
        self.stores.database.count(table, condition)
    }
}

on_both! {
    a_token_becomes_a_session_like_one_of_a_sign_in => becomes,
    a_token_counts_once_on_all_nodes_however_often_it_comes_at_once => once,
    a_disabled_user_gets_none_and_the_token_stays_good => disabled,
    a_session_that_is_exchanged_for_while_its_user_is_disabled_does_not_live => races,
    an_operator_sees_who_still_comes => seen,
}

async fn becomes(backend: Backend) {
    let world = World::on(backend);
    let token = world.shop.token("user-4711");
    let (browser, answer) = exchange(&world.url(), &token).await;
    let body = answer.assert_status(200).json();
    assert_eq!((&body["user"]["subject"], &body["session"]["current"]), (&json!("user-4711"), &json!(true)), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let lines = answer.set_cookies();
    assert!(lines.len() == 1 && lines[0].starts_with(&format!("{COOKIE}=")), "{lines:?}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(lines[0].contains(attribute) && !lines[0].contains("Max-Age"), "{lines:?}");
    }
    assert_eq!(browser.get("/me").await.assert_status(200).json()["user"]["id"], body["user"]["id"]);
    browser.get("/auth/forward").await.assert_status(200);
    // The token proves less than a password: it ends no other session, unless it tells of a sign-in a moment ago.
    browser.delete("/sessions").await.assert_problem(403, "step-up-required");
    let fresh = world.shop.signed(json!({}), claims_but("user-fresh", json!({ "auth_time": now() - 5 })));
    exchange(&world.url(), &fresh).await.0.delete("/sessions").await.assert_status(200);
    // The user is found again; the browser's session ends with the next; it may outlive the browser.
    let again = world.shop.token("user-4711");
    let call =
        browser.change(Method::POST, "/exchange?remember=true").header("Authorization", &format!("bearer {again}"));
    let second = call.send().await;
    assert_eq!(second.assert_status(200).json()["user"]["id"], body["user"]["id"]);
    assert!(second.set_cookies()[0].contains("Max-Age=2592000"), "{second}");
    let first = Anonymous::at(&world.url());
    first.browser().set_cookie(COOKIE, &cookie_of(&answer));
    assert_eq!((first.get("/me").await.status, browser.get("/me").await.status), (401, 200));
    assert_eq!((world.rows("users", "subject = 'user-4711'"), world.rows("exchanged_tokens", "1 = 1")), (1, 3));
    // Who acted, and from where; and nothing of a token, anywhere.
    let of_user = format!("actor = '{}' AND ip = '127.0.0.1'", body["user"]["id"].as_str().expect("an id"));
    for (event, lines) in [("user_created", 1), ("authn_login_success", 2), ("authn_token_exchange", 2)] {
        assert_eq!(world.rows("audit", &format!("event = '{event}' AND {of_user}")), lines, "{event}");
    }
    let dump = world.stores.database.dump_text();
    for part in token.split('.').chain(again.split('.').skip(1)) {
        assert!(!dump.contains(part) && !world.server.output().contains(part), "a part of a token is kept");
    }
    browser.post("/logout").await.assert_status(204);
    assert_eq!(browser.get("/me").await.status, 401);
}

async fn once(backend: Backend) {
    let world = World::on(backend);
    let other = Process::start(&world.settings);
    let nodes = [world.url(), other.url()];
    let token = world.shop.token("user-1");
    exchange(&nodes[0], &token).await.1.assert_status(200);
    for node in &nodes {
        exchange(node, &token).await.1.assert_problem(409, "token-used");
    }
    // Another token of the same name is the same one, and what has no name is known by what is signed.
    let named = |jti| world.shop.signed(json!({}), claims_but("user-2", json!({ "jti": jti, "exp": now() + 600 })));
    exchange(&nodes[0], &named(json!("a"))).await.1.assert_status(200);
    let longer = world.shop.signed(json!({}), claims_but("user-2", json!({ "jti": "a", "exp": now() + 900 })));
    exchange(&nodes[1], &longer).await.1.assert_problem(409, "token-used");
    let nameless = named(json!(null));
    exchange(&nodes[0], &nameless).await.1.assert_status(200);
    exchange(&nodes[1], &nameless).await.1.assert_problem(409, "token-used");
    // At once, of one user who is new and of one who is known.
    for round in 0..10 {
        let token = world.shop.token(&format!("at-once-{}", round % 2));
        let asked = (0..8).map(|number| exchange(&nodes[number % 2], &token));
        let answers = futures_util::future::join_all(asked).await;
        let mut statuses: Vec<_> = answers.iter().map(|(_, answer)| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409], "round {round}");
    }
    assert_eq!(world.rows("sessions", "1 = 1"), 3 + 10);
    assert_eq!(world.rows("audit", "event = 'authn_token_exchange'"), 3 + 10);
}

async fn disabled(backend: Backend) {
    let world = World::on(backend);
    let (browser, answer) = exchange(&world.url(), &world.shop.token("user-1")).await;
    let id = answer.assert_status(200).json()["user"]["id"].as_str().expect("an id").to_owned();
    command_line_ok(&world.settings, &["user", "disable", "user-1"], "");
    assert_eq!(browser.get("/me").await.status, 401);
    let token = world.shop.token("user-1");
    let (refused, answer) = exchange(&world.url(), &token).await;
    answer.assert_problem(403, "user-disabled");
    assert!(answer.set_cookies().is_empty() && refused.browser().cookie(COOKIE).is_none(), "{answer}");
    command_line_ok(&world.settings, &["user", "enable", "user-1"], "");
    let (browser, answer) = exchange(&world.url(), &token).await;
    assert_eq!(answer.assert_status(200).json()["user"]["id"], id.as_str());
    // An administrator ends it like any other.
    let admin = Admin::create(&world.settings, &world.url()).await;
    admin.delete(&format!("/admin/users/{id}/sessions")).await.assert_status(200);
    assert_eq!(browser.get("/me").await.status, 401);
}

fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 30 }
}

async fn races(backend: Backend) {
    let world = World::on(backend);
    let admin = Admin::create(&world.settings, &world.url()).await;
    for round in 0..rounds() {
        let subject = format!("user-{round}");
        let (_, first) = exchange(&world.url(), &world.shop.token(&subject)).await;
        let id = first.assert_status(200).json()["user"]["id"].as_str().expect("an id").to_owned();
        let token = world.shop.token(&subject);
        let disabling = async {
            tokio::time::sleep(Duration::from_micros(u64::try_from(round % 10).unwrap_or(0) * 700)).await;
            admin.disable(&id).await.assert_status(204);
        };
        let url = world.url();
        let ((), (browser, answer)) = tokio::join!(disabling, exchange(&url, &token));
        assert!([200, 403].contains(&answer.status), "{answer}");
        assert_eq!(browser.get("/auth/forward").await.status, 401, "round {round}: a disabled user's session lives");
    }
}

async fn seen(backend: Backend) {
    let world = World::on(backend);
    let nobody = command_line_ok(&world.settings, &["exchange"], "");
    assert!(nobody.starts_with("No old token was exchanged since "), "{nobody}");
    for (client, user_agent, times) in
        [("web", "curl/8.5.0", 2), ("app", "okhttp/4.12.0", 1), ("bad client\u{1b}[2J", "\u{7f}", 1)]
    {
        for _ in 0..times {
            let token = world.shop.signed(json!({}), claims_but("user-1", json!({ "azp": client })));
            let browser = Anonymous::at(&world.url());
            asked(&browser, &token)
                .header_of_bytes("User-Agent", user_agent.replace('\u{7f}', "").as_bytes())
                .send()
                .await;
        }
    }
    exchange(&world.url(), "not.a.token").await.1.assert_problem(401, "token-refused");
    let shown = command_line_ok(&world.settings, &["exchange", "--since", "1h"], "");
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    for line in [["CLIENT", "BROWSER", "TOKENS"], ["web", "curl", "2"], ["app", "okhttp", "1"], ["-", "-", "1"]] {
        assert!(lines.contains(&line.to_vec()), "{shown}");
    }
    let json = command_line_ok(&world.settings, &["exchange", "--json"], "");
    let first: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert!(first["count"].is_number() && first["last"].is_string(), "{json}");
    let why =
        || world.rows("audit", "event = 'authn_token_exchange_fail' AND detail LIKE 'not a JWT%' AND ip IS NOT NULL");
    until("the refusal is in the audit log", PATIENCE, async || why() == 1).await;
}

/// A token is remembered until it has expired, and not for ever.
#[tokio::test]
async fn a_token_is_remembered_until_it_has_expired() {
    let shop = Application::with_secret();
    let stores = Stores::new(Backend::Embedded);
    let settings = shop.exchanged_by(stores.settings());
    let server = TestServer::on(stores, settings).await;
    let token = shop.token("user-1");
    exchange(&server.url(), &token).await.1.assert_status(200);
    let rows = || server.stores.database.count("exchanged_tokens", "1 = 1");
    server.clock.advance(Duration::from_secs(3_600 + 20));
    exchange(&server.url(), &token).await.1.assert_problem(409, "token-used");
    server.clock.advance(Duration::from_secs(60));
    exchange(&server.url(), &token).await.1.assert_problem(401, "token-refused");
    assert_eq!(rows(), 1, "clocks differ: it stays for a while");
    server.clock.advance(Duration::from_secs(3_600));
    until("it is purged", PATIENCE, async || rows() == 0).await;
    exchange(&server.url(), &token).await.1.assert_problem(401, "token-refused");
}
