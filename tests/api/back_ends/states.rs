//! Each client, and a real sessiond that is brought into each state of the contract.
//!
//! One client object lives through all of them: what it keeps of an answer is found out by the next.
#![cfg(feature = "postgres")]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{At, Runner};
use crate::support::back_end::Language;
use crate::support::database::Database;
use crate::support::ports::free_port;
use crate::support::process::{Process, command_line_ok};
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests as _;
use crate::support::server::Stores;
use crate::support::service::{IssuedSession, Service, user};
use crate::support::settings::Settings;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// A subject that an address has to escape.
const SUBJECT: &str = "urn:shop/47?11 ä%2f..";

/// sessiond below a path, both of its stores behind proxies, and a service.
struct World {
    direct: Settings,
    proxies: [Proxy; 2],
    server: Process,
    url: String,
    shop: Service,
    _stores: Stores,
}

impl World {
    fn start() -> Self {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, database) = stores.through_proxy();
        let redis = Proxy::start(stores.redis().address());
        let base = [("SESSIOND_BASE_PATH", "/auth"), ("SESSIOND_ON_DEVICE_CHANGE", "step_up")];
        let settings = settings.with("REDIS_URL", &redis.in_url(&stores.redis().url())).with_all(&base);
        let server = Process::start(&settings);
        let (direct, url) = (stores.settings(), format!("{}/auth", server.url()));
        let shop = Service::add(&direct, &url, "shop", "issue,introspect,revoke");
        Self { direct, proxies: [database, redis], server, url, shop, _stores: stores }
    }

    fn at(&self) -> At<'_> {
        At { url: &self.url, secret: &self.shop.secret }
    }

    /// Until its leases are over, a node may go on saying yes.
    async fn until_unwell(&self, session: &IssuedSession) {
        let unwell = async || self.shop.introspect(&session.cookie, "").await.status == 503;
        until("sessiond is unwell", PATIENCE, unwell).await;
    }

    async fn until_well(&self, session: &IssuedSession) {
        self.proxies.iter().for_each(Proxy::pass);
        until("sessiond is well", PATIENCE, async || {
            let answer = self.shop.introspect(&session.cookie, "").await;
            answer.status == 200 && answer.json()["active"] == true
        })
        .await;
    }
}

/// A session that the client itself has issued.
async fn issued(runner: &mut Runner, world: &World, mut body: Value) -> IssuedSession {
    body["name"] = json!("Ana");
    let told = runner.call(&world.at(), "issue", &[body]).await;
    let text = |at: &str| told.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{told}")).to_owned();
    let set_cookie = text("/result/cookie/set_cookie");
    assert!(set_cookie.starts_with("__Host-session=") && set_cookie.contains("HttpOnly"), "{set_cookie}");
    let (user_id, session_id) = (text("/result/user/id"), text("/result/session/id"));
    IssuedSession { user_id, session_id, cookie: text("/result/cookie/value") }
}

async fn keeps_the_contract(language: Language) {
    let (mut runner, world) = (Runner::start(language), World::start());
    let session = issued(&mut runner, &world, user(SUBJECT)).await;
    let other = issued(&mut runner, &world, user("other")).await;
    let cookies = [session.cookie.as_str(), other.cookie.as_str()];
    // A proof of no age at all would be as recent as one can be.
    tokio::time::sleep(Duration::from_secs(2)).await;
    runner.assert("live", &world.at(), cookies).await;
    runner.assert("live", &world.at(), [&other.cookie, &session.cookie]).await;
    proofs(&mut runner, &world).await;
    secrets(&mut runner, &world, cookies).await;
    silence(&mut runner, &world, &session, cookies).await;
    stores(&mut runner, &world, &session, cookies).await;
    ends(&mut runner, &world, [&session, &other]).await;
}

async fn proofs(runner: &mut Runner, world: &World) {
    let mut body = user("changed");
    body["user_agent"] = json!(CHROME);
    let session = issued(runner, world, body).await;
    let browser = session.at(&world.url);
    for user_agent in [CHROME, FIREFOX] {
        let call = browser.call(Method::GET, "/auth/forward").header("User-Agent", user_agent);
        call.send().await.assert_status(200);
    }
    runner.assert("aged", &world.at(), [&session.cookie, ""]).await;
}

async fn secrets(runner: &mut Runner, world: &World, cookies: [&str; 2]) {
    let wrong = sessiond::domain::ServiceSecret::generate(&sessiond::domain::SystemRandom);
    let at = |secret| At { url: &world.url, secret };
    runner.assert("wrong_secret", &at(wrong.expose()), cookies).await;
    let gone = Service::add(&world.direct, &world.url, "gone", "introspect");
    command_line_ok(&world.direct, &["service", "remove", "gone"], "");
    runner.assert("removed_secret", &at(&gone.secret), cookies).await;
    let issues = Service::add(&world.direct, &world.url, "issues", "issue");
    runner.assert("no_scope", &at(&issues.secret), cookies).await;
    let refused = runner.call(&at(&issues.secret), "end_all", &[json!("other")]).await;
    assert_eq!(refused["error"]["type"], "urn:sessiond:problem:insufficient-scope", "{refused}");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let nowhere = At { url: &nowhere, secret: &world.shop.secret };
    runner.assert("refused", &nowhere, cookies).await;
    let refused = runner.call(&nowhere, "issue", &[user("other")]).await;
    assert_eq!(refused["error"]["status"], 0, "{refused}");
}

async fn silence(runner: &mut Runner, world: &World, session: &IssuedSession, cookies: [&str; 2]) {
    world.server.pause();
    runner.assert("frozen", &world.at(), cookies).await;
    world.server.resume();
    world.until_well(session).await;
}

async fn stores(runner: &mut Runner, world: &World, session: &IssuedSession, cookies: [&str; 2]) {
    world.proxies.iter().for_each(Proxy::refuse);
    world.proxies.iter().for_each(Proxy::cut);
    world.until_unwell(session).await;
    runner.assert("stores_stopped", &world.at(), cookies).await;
    let refused = runner.call(&world.at(), "issue", &[user("other")]).await;
    assert_eq!(refused["error"]["status"], 503, "{refused}");
    world.until_well(session).await;
    runner.assert("back", &world.at(), cookies).await;
    world.proxies.iter().for_each(Proxy::black_hole);
    world.until_unwell(session).await;
    runner.assert("stores_frozen", &world.at(), cookies).await;
    world.until_well(session).await;
    runner.assert("back", &world.at(), cookies).await;
}

async fn ends(runner: &mut Runner, world: &World, [session, other]: [&IssuedSession; 2]) {
    let at = &world.at();
    let more = issued(runner, world, user(SUBJECT)).await;
    let ended = runner.call(at, "end_session", &[json!(SUBJECT), json!(more.session_id)]).await;
    assert_eq!(ended["result"], Value::Null, "{ended}");
    runner.assert("ended", at, [&more.cookie, ""]).await;
    assert_eq!(session.status(&world.url).await, 200, "only the one");
    let ended = runner.call(at, "end_all", &[json!(SUBJECT)]).await;
    assert_eq!(ended["result"], 1, "{ended}");
    runner.assert("ended", at, [&session.cookie, &other.cookie]).await;
    // These would lead to another path.
    for nobody in ["", ".", ".."] {
        let refused = runner.call(at, "end_all", &[json!(nobody)]).await;
        assert!(refused["error"]["name"] == "RangeError" || refused["error"]["name"] == "ValueError", "{refused}");
    }
    let refused = runner.call(at, "end_all", &[json!("nobody")]).await;
    assert_eq!(refused["error"]["type"], "urn:sessiond:problem:not-found", "{refused}");
    world.shop.ask(Method::POST, "/subjects/other/disable").send().await.assert_status(200);
    runner.assert("disabled", at, [&other.cookie, ""]).await;
    let refused = runner.call(at, "issue", &[user("other")]).await;
    assert_eq!(refused["error"]["type"], "urn:sessiond:problem:user-disabled", "{refused}");
    let mut brief = user("brief");
    brief["idle_timeout"] = json!(1);
    let brief = issued(runner, world, brief).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    runner.assert("expired", at, [&brief.cookie, ""]).await;
}

#[tokio::test]
async fn node_keeps_the_contract() {
    keeps_the_contract(Language::Node).await;
}

#[tokio::test]
async fn python_keeps_the_contract() {
    keeps_the_contract(Language::Python).await;
}
