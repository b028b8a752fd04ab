//! The account page: who I am, where I am signed in, and the ways out.

use std::time::Duration;

use serde_json::json;

use super::driver::Driver;
use super::page::site;
use crate::support::client::{Anonymous, COOKIE, PASSWORD, new_email};
use crate::support::server::{Backend, TestServer, on_each_backend};

#[tokio::test]
async fn somebody_who_registers_is_signed_in_and_sees_their_account() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email) = (Driver::start(), new_email());
    let window = driver.window().await;
    window.register(&site(&server), &email, PASSWORD).await;
    window.arrives_at("/account").await;
    assert_eq!(window.text("#who").await, email);
    let rows = window.rows(1).await;
    assert!(rows[0].marked);
    assert_eq!(rows[0].device, "Chrome on Linux");
    assert!(!window.sees("#end-others").await);

    window.rename("Ana Example").await;
    window.says("#name-result", "Saved.").await;
    window.reload().await;
    window.says("#who", "Ana Example").await;
    assert_eq!(window.text("#email").await.trim_end_matches(" ·"), email);
    window.rename("").await;
    window.says("#who", &email).await;

    window.open(&format!("{}/", site(&server))).await;
    window.arrives_at("/account").await;
    window.assert_quiet().await;
}

on_each_backend! {
    async fn a_session_that_is_ended_in_another_browser_is_over_there(server: TestServer) {
        let (driver, email) = (Driver::start(), new_email());
        let (here, there) = (driver.window().await, driver.window().await);
        here.register(&site(&server), &email, PASSWORD).await;
        there.sign_in(&site(&server), &email, PASSWORD).await;
        here.reload().await;
        let rows = here.rows(2).await;
        assert!(rows[0].marked && !rows[1].marked, "this one is first, and no other is marked: {rows:?}");

        here.click(&format!("[data-session-id='{}'] .end", rows[1].id)).await;
        here.click("#confirm-no").await;
        here.rows(2).await;
        here.end(&rows[1]).await;
        here.rows(1).await;
        here.says("#sessions-result", "The session of Chrome on Linux has ended.").await;
        there.reload().await;
        there.is_at_the_door().await;

        there.sign_in(&site(&server), &email, PASSWORD).await;
        Anonymous::at(&server.url()).sign_in(&email, PASSWORD).await;
        here.reload().await;
        here.rows(3).await;
        here.end_others().await;
        here.rows(1).await;
        here.says("#sessions-result", "All other sessions have ended.").await;
        there.reload().await;
        there.is_at_the_door().await;
        here.assert_quiet().await;
        there.assert_quiet_but_for(&["401 /sessions"]).await;
    }
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_errors_stand_beside_their_field() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;

    window.try_sign_in(&site(&server), &owner.email, "not the password").await;
    window.says("#sign-in-result", "The e-mail address or the password is wrong.").await;
    window.sign_in(&site(&server), &owner.email, PASSWORD).await;
    window.rows(2).await;

    window.change_password("not the password", "another pass phrase").await;
    window.says("#current-password-error", "That is not your current password.").await;
    window.shows("document.activeElement.matches('#current-password[aria-invalid]')").await;
    window.change_password(PASSWORD, "short").await;
    window.says("#new-password-error", "Choose a password of at least 8 characters.").await;
    window.says("#current-password-error", "").await;
    window.change_password("", "another pass phrase").await;
    window.says("#current-password-error", "Enter your current password.").await;
    assert!(owner.is_signed_in().await, "nothing has changed so far");

    window.change_password(PASSWORD, "another pass phrase").await;
    window.says("#password-result", "Your password is changed. All other sessions have ended.").await;
    assert!(window.rows(1).await[0].marked);
    assert_eq!(window.script("return document.querySelector('#new-password').value").await, "");
    assert!(!owner.is_signed_in().await);

    window.click("#sign-out").await;
    window.is_at_the_door().await;
    window.try_sign_in(&site(&server), &owner.email, PASSWORD).await;
    window.says("#sign-in-result", "The e-mail address or the password is wrong.").await;
    window.sign_in(&site(&server), &owner.email, "another pass phrase").await;
    window.assert_quiet_but_for(&["401 /login", "401 /sessions", "403 /me/password", "422 /me/password"]).await;
}

#[tokio::test]
async fn after_signing_out_the_back_button_shows_nothing_of_the_account() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email, site) = (Driver::start(), new_email(), site(&server));
    let window = driver.window().await;
    window.register(&site, &email, PASSWORD).await;
    window.rename("Ana Example").await;
    window.says("#name-result", "Saved.").await;
    // Several pages back, so that some may come out of the browser's memory.
    for path in ["/reset", "/account", "/reset#there-is-no-such-token", "/account"] {
        window.open(&format!("{site}{path}")).await;
    }
    window.has_account().await;
    assert!(window.everything().await.contains(&email), "it would be found");

    window.click("#sign-out").await;
    window.is_at_the_door().await;
    assert!(window.cookie(COOKIE).await.is_none());
    for _ in 0..4 {
        window.back().await;
        for _ in 0..5 {
            let everything = window.everything().await;
            assert!(!everything.contains(&email) && !everything.contains("Ana Example"), "{everything}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    window.assert_quiet_but_for(&["401 /sessions"]).await;
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_no_sign_out() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email) = (Driver::start(), new_email());
    let window = driver.window().await;
    window.register(&site(&server), &email, PASSWORD).await;
    window.devtools("Network.enable", json!({})).await;
    for (offline, says) in
        [(true, "The service cannot be reached. Check your connection and try again."), (false, "Saved.")]
    {
        let network = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        window.devtools("Network.emulateNetworkConditions", network).await;
        window.rename("Ana Example").await;
        window.says("#name-result", says).await;
    }
    assert_eq!(window.text("#who").await, "Ana Example");
}

/// A word about the whole page lies over it until somebody does something else.
#[tokio::test]
async fn what_the_page_said_is_gone_when_it_is_over() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    window.rows(2).await;
    let gone = "document.querySelector('#notice').textContent === ''";
    for ends in ["form", "online"] {
        window.script("window.trusted = fetch; window.fetch = () => Promise.reject(new TypeError('offline'))").await;
        window.end_others().await;
        window.says("#notice", "The service cannot be reached. Check your connection and try again.").await;
        window.script("window.fetch = trusted").await;
        if ends == "form" {
            window.rename("Ana Example").await;
            window.says("#name-result", "Saved.").await;
        } else {
            window.script("dispatchEvent(new Event('online'))").await;
        }
        assert_eq!(window.script(&format!("return {gone}")).await, true, "{ends}");
    }
    window.assert_quiet().await;
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookies_is_told_so() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, email) = (Driver::start(), site(&server), new_email());
    let window = driver.window_with(json!({ "profile.default_content_setting_values.cookies": 2 })).await;
    let words = "Your browser blocks cookies for this address. Allow them, then sign in again.";
    window.open(&format!("{site}/#register")).await;
    window.fill("#register-email", &email).await;
    window.fill("#register-password", PASSWORD).await;
    window.click("#register-submit").await;
    window.says("#sign-in-result", words).await;
    window.try_sign_in(&site, &email, PASSWORD).await;
    window.says("#sign-in-result", words).await;
    assert_eq!(window.address().await.path(), "/");
    window.assert_quiet().await;
}
