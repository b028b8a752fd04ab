//! Whoever acts for a user, on our pages: the user sees and ends it, and an administrator sees where they are.

use serde_json::json;

use super::accessibility::assert_accessible;
use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::{COOKIE, PASSWORD};
use crate::support::server::{Backend, TestServer};
use crate::support::service::{IssuedSession, Service, user};

/// A picture of the page as it is, where they are wanted.
async fn keep_picture(window: &Window, name: &str) {
    if let Some(folder) = std::env::var_os("SESSIOND_TEST_PICTURES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, window.picture().await).expect("a picture");
    }
}

#[tokio::test]
async fn a_user_sees_the_agents_and_ends_all_of_them() {
    let server = TestServer::start(Backend::Embedded).await;
    let shop = Service::add(&server.settings, &server.url(), "shop", "issue");
    let own = shop.session_of("user-4711").await;
    let mut agents = Vec::new();
    for id in ["assistant-7", "<img src=x onerror=alert(1)>"] {
        let mut body = user("user-4711");
        body["actor"] = json!({ "kind": "agent", "id": id.replace(' ', "_") });
        agents.push(IssuedSession::of(&shop.issue(&body).await));
    }
    let (driver, site) = (Driver::start(), site(&server));
    let window = driver.window().await;
    let cookie = json!({
        "name": COOKIE, "value": own.cookie, "url": format!("{site}/"), "path": "/", "secure": true, "httpOnly": true,
        "sameSite": "Strict",
    });
    window.devtools("Network.setCookie", cookie).await;
    window.open(&format!("{site}/account")).await;
    window.rows(3).await;
    let badges =
        "return [...document.querySelectorAll('.badge.actor:not([hidden])')].map((one) => one.textContent).sort()";
    assert_eq!(window.script(badges).await, json!(["Agent <img_src=x_onerror=alert(1)>", "Agent assistant-7"]));
    assert!(!window.sees("#acting").await);
    assert_accessible(&window, "agents in the list").await;
    keep_picture(&window, "acting-agents").await;
    window.click("#end-agents").await;
    window.says("#confirm-title", "End all agents?").await;
    window.click("#confirm-yes").await;
    window.rows(1).await;
    window.says("#sessions-result", "All agents are signed out.").await;
    assert!(!window.sees("#end-agents").await);
    for session in agents {
        assert_eq!(session.status(&server.url()).await, 401);
    }
    window.assert_quiet().await;
}

#[tokio::test]
async fn an_administrator_acts_as_a_user_and_stops() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let owner = server.signed_in().await;
    let window = driver.window().await;
    window.open(&format!("{site}/console#person?id={}", owner.user_id)).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.acts("Act as this user…").await;
    window.says("#ask-title", &format!("Act as {}?", owner.email)).await;
    window.click("#ask-yes").await;
    window.says("#ask-reason-error", "Say why.").await;
    keep_picture(&window, "acting-question").await;
    window.fill("#ask-reason", "Ticket 4711: the invoice does not open").await;
    window.click("#ask-yes").await;
    window.arrives_at("/account").await;
    window.says("#acting-who", &owner.email).await;
    assert!(window.text("#acting-why").await.starts_with("Ticket 4711: the invoice does not open · until "));
    for css in [".ledger", ".aside", "#sign-out", "#to-console"] {
        assert!(!window.sees(css).await, "{css}");
    }
    assert_accessible(&window, "acting for a user").await;
    keep_picture(&window, "acting-account").await;
    window.open(&format!("{site}/console")).await;
    window.says("#acting-who", &owner.email).await;
    assert_accessible(&window, "the console while acting").await;
    keep_picture(&window, "acting-console").await;
    // The user's own page says it, too, with the reason.
    let theirs = driver.window().await;
    theirs.sign_in(&site, &owner.email, PASSWORD).await;
    theirs.shows("[...document.querySelectorAll('.why')].some((one) => one.textContent.includes('Ticket 4711'))").await;
    keep_picture(&theirs, "acting-seen").await;
    window.click("#acting-stop").await;
    window.is_at_the_door().await;
    theirs.shows("!document.querySelector('.badge.actor:not([hidden])')").await;
    window.assert_quiet().await;
}
