//! The two examples as a person uses them: an application with users and a sign-in form of its own, whose sessions are here.
#![cfg(feature = "postgres")]

use std::cell::RefCell;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::driver::Driver;
use super::window::Window;
use crate::support::back_end::{BackEnd, Language};
use crate::support::client::{Admin, Anonymous, COOKIE, PASSWORD};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests as _;
use crate::support::server::Stores;
use crate::support::service::Service;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const ANA: &str = "ana@example.org";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// An application beside sessiond, and what both stand on.
struct World {
    application: BackEnd,
    admin: Admin,
    server: Process,
    /// In front of the database.
    proxy: Proxy,
    stores: Stores,
}

impl World {
    async fn start(language: Language) -> Self {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, proxy) = stores.through_proxy();
        let port = BackEnd::port();
        let server = Process::start(&settings.with_all(&[
            ("SESSIOND_BASE_PATH", "/auth"),
            ("SESSIOND_ORIGIN", &format!("http://localhost:{port}")),
            ("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"),
            ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
            ("SESSIOND_ON_DEVICE_CHANGE", "step_up"),
        ]));
        let base = format!("{}/auth", server.url());
        let service = Service::add(&stores.settings(), &base, "application", "issue,introspect,revoke");
        let admin = Admin::create(&stores.settings(), &base).await;
        let variables = [
            ("SESSIOND_URL", base.as_str()),
            ("SESSIOND_SECRET", service.secret.as_str()),
            ("ANAS_PASSWORD", PASSWORD),
            ("RECENT", "3600"),
        ];
        let application = BackEnd::start(language, port, server.address(), &variables);
        Self { application, admin, server, proxy, stores }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.application.site)
    }

    /// The session's cookie, shown by another browser.
    async fn is_shown_elsewhere(&self, window: &Window) {
        let cookie = window.cookie(COOKIE).await.expect("a session cookie");
        let thief = Anonymous::at(&format!("{}/auth", self.server.url()));
        thief.browser().set_cookie(COOKIE, cookie.value());
        let call = thief.call(Method::GET, "/auth/forward").header("User-Agent", FIREFOX);
        call.send().await.assert_status(200);
    }

    /// An administrator ends the only session of the application's user.
    async fn ends_at_the_console(&self, window: &Window) {
        let id = self.stores.database.value("SELECT id AS value FROM users WHERE subject IS NOT NULL");
        window.open(&self.at(&format!("/auth/console#sessions?user={id}"))).await;
        window.is_at_the_door().await;
        window.enter(&self.admin.person().email, PASSWORD).await;
        window.arrives_at("/auth/console").await;
        window.says("#sessions-found", "1 session, newest first.").await;
        window.click("#sessions-end").await;
        window.says("#revoke-yes", "End 1 session").await;
        window.click("#revoke-yes").await;
        window.says("#revoke-text", "1 session ended.").await;
    }
}

async fn signs_in(window: &Window, password: &str) {
    window.fill("#email", ANA).await;
    window.fill("#password", password).await;
    window.click("#sign-in").await;
}

/// What the application answers the next request, such as `401 urn:…`.
async fn answer(window: &Window, path: &str) -> String {
    let ask = format!(
        "return fetch({}).then((answer) => answer.json().then((told) => `${{answer.status}} ${{told.type ?? told.name}}`))",
        json!(path)
    );
    window.script(&ask).await.as_str().expect("a text").to_owned()
}

const YES: &str = "200 Ana Silva";
const NO: &str = "401 urn:sessiond:problem:unauthenticated";
const AGAIN: &str = "403 urn:sessiond:problem:step-up-required";
const UNWELL: &str = "503 urn:sessiond:problem:unavailable";

async fn an_application_and_its_users(language: Language) {
    let world = World::start(language).await;
    let driver = Driver::start();
    let (window, console) = (driver.window().await, driver.window().await);
    window.open(&world.at("/")).await;
    assert_eq!(answer(&window, "/orders").await, NO);
    signs_in(&window, "not the password").await;
    window.text("#wrong").await;
    signs_in(&window, PASSWORD).await;
    window.says("#who", "Signed in as Ana Silva.").await;
    assert_eq!(answer(&window, "/orders").await, YES);

    // One cookie serves both.
    window.open(&world.at("/auth/account")).await;
    window.says("#who", "Ana Silva").await;
    window.rows(1).await;
    world.ends_at_the_console(&console).await;
    assert_eq!(answer(&window, "/orders").await, NO);
    window.open(&world.at("/")).await;
    signs_in(&window, PASSWORD).await;
    window.says("#who", "Signed in as Ana Silva.").await;

    // What wants a recent proof: the sign-in was one, until the cookie is shown by another browser.
    assert_eq!(answer(&window, "/address").await, YES);
    world.is_shown_elsewhere(&window).await;
    assert_eq!((answer(&window, "/orders").await.as_str(), answer(&window, "/address").await.as_str()), (YES, AGAIN));
    window.click("#sign-out").await;
    window.text("#sign-in").await;
    assert_eq!(answer(&window, "/orders").await, NO);
    signs_in(&window, PASSWORD).await;
    window.says("#who", "Signed in as Ana Silva.").await;
    assert_eq!(answer(&window, "/address").await, YES);

    nobody_is_signed_out_by_an_outage(&world, &window).await;
}

async fn nobody_is_signed_out_by_an_outage(world: &World, window: &Window) {
    let seen = RefCell::new(Vec::new());
    let answers = async |expected: &str| {
        let answer = answer(window, "/orders").await;
        let is_expected = answer == expected;
        seen.borrow_mut().push(answer);
        is_expected
    };
    world.stores.redis().kill();
    world.proxy.refuse();
    world.proxy.cut();
    until("nobody can say who it is", PATIENCE, async || answers(UNWELL).await).await;
    window.open(&world.at("/")).await;
    assert_eq!(window.script("return performance.getEntriesByType('navigation')[0].responseStatus").await, 503);
    assert!(window.cookie(COOKIE).await.is_some());
    world.proxy.pass();
    world.stores.redis().restart();
    until("the stores are back", PATIENCE, async || answers(YES).await).await;
    let surprises: Vec<_> = seen.take().into_iter().filter(|answer| answer != YES && answer != UNWELL).collect();
    assert_eq!(surprises, Vec::<String>::new());
    window.open(&world.at("/")).await;
    window.says("#who", "Signed in as Ana Silva.").await;
}

#[tokio::test]
async fn the_express_shop_has_its_sessions_here() {
    an_application_and_its_users(Language::Node).await;
}

#[tokio::test]
async fn the_fastapi_page_has_its_sessions_here() {
    an_application_and_its_users(Language::Python).await;
}
