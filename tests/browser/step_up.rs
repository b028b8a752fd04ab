//! The prompt for the password, where a change wants a recent proof.

use std::time::Duration;

use super::driver::Driver;
use super::page::site;
use crate::support::client::PASSWORD;
use crate::support::server::{Backend, TestServer};

const A_WHILE: Duration = Duration::from_secs(16 * 60);

#[tokio::test]
async fn a_page_that_was_open_for_a_while_asks_for_the_password_and_then_does_what_was_asked() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site(&server), &owner.email, PASSWORD).await;
    let rows = window.rows(2).await;
    server.clock.advance(A_WHILE);

    // Thought better of: nothing has happened, and nothing stays in the field.
    window.end(&rows[1]).await;
    window.fill("#step-up-password", "half of a passw").await;
    window.click("#step-up-no").await;
    window.shows("!document.querySelector('#step-up').open").await;
    assert_eq!(window.script("return document.querySelector('#step-up-password').value").await, "");
    assert!(owner.is_signed_in().await);

    window.end(&rows[1]).await;
    window.fill("#step-up-password", "not the password").await;
    window.click("#step-up-yes").await;
    window.says("#step-up-password-error", "That is not your current password.").await;
    window.fill("#step-up-password", PASSWORD).await;
    window.click("#step-up-yes").await;
    window.rows(1).await;
    assert!(!owner.is_signed_in().await);
    assert!(!window.sees("#step-up").await);
    assert_eq!(window.script("return document.querySelector('#step-up-password').value").await, "");

    // Proven for a while: the next change asks for nothing.
    let again = server.anonymous().sign_in(&owner.email, PASSWORD).await;
    window.reload().await;
    window.rows(2).await;
    window.end_others().await;
    window.rows(1).await;
    assert!(!again.is_signed_in().await);
    let refused = format!("403 /sessions/{}", rows[1].id);
    window.assert_quiet_but_for(&[&refused, "403 /reauthenticate"]).await;
}
