//! A user of an application on our pages: the application says who it is, and verifies it.

use std::time::Duration;

use serde_json::json;

use super::driver::Driver;
use super::page::site;
use crate::support::client::COOKIE;
use crate::support::server::{Backend, TestServer};
use crate::support::service::{IssuedSession, Service, user};

const A_WHILE: Duration = Duration::from_secs(16 * 60);

#[tokio::test]
async fn a_user_of_an_application_sees_sessions_and_is_asked_for_no_password() {
    let server = TestServer::start(Backend::Embedded).await;
    let shop = Service::add(&server.settings, &server.url(), "shop", "issue");
    let mut body = user("user-4711");
    body["name"] = json!("Ana Silva");
    let session = IssuedSession::of(&shop.issue(&body).await);
    let other = shop.session_of("user-4711").await;
    let (driver, site) = (Driver::start(), site(&server));
    let window = driver.window().await;
    let cookie = json!({
        "name": COOKIE, "value": session.cookie, "url": format!("{site}/"), "path": "/", "secure": true, "httpOnly": true,
        "sameSite": "Strict",
    });
    window.devtools("Network.setCookie", cookie).await;
    window.open(&format!("{site}/account")).await;
    window.rows(2).await;
    window.says("#who", "Ana Silva").await;
    for css in ["#password-form", "#name-form", "#email"] {
        assert!(!window.sees(css).await, "{css}");
    }
    if let Some(folder) = std::env::var_os("SESSIOND_TEST_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("subject.png"), window.picture().await).expect("a picture");
    }
    // What wants a recent proof says where to give it.
    server.clock.advance(A_WHILE);
    window.end_others().await;
    window.says("#step-up-title", "Sign in again").await;
    assert!(!window.sees("#step-up-password").await && !window.sees("#step-up-yes").await);
    window.click("#step-up-no").await;
    window.shows("!document.querySelector('#step-up').open").await;
    assert_eq!(other.status(&server.url()).await, 200);
    // Signed in again there, the same button works.
    let mut again = user("user-4711");
    again["replaces"] = json!(session.cookie);
    let again = IssuedSession::of(&shop.issue(&again).await);
    assert_eq!(session.status(&server.url()).await, 401);
    assert_eq!(again.status(&server.url()).await, 200);
}
