//! The button "back", after a session has ended: nothing of the account comes back, not from the browser's memory either.

use std::time::Duration;

use super::driver::Driver;
use super::endings::says_ended;
use super::page::site;
use super::window::Window;
use crate::support::client::PASSWORD;
use crate::support::server::{Backend, TestServer};

/// Notes whether a page was loaded or came back out of the browser's memory.
const NOTE_RETURN: &str = "addEventListener('pageshow', (event) => { window.returned = event.persisted; });";

/// Looks at the page again and again for a while: it must never show anything of this.
async fn never_shows(window: &Window, secret: &str) {
    for _ in 0..10 {
        let everything = window.everything().await;
        assert!(!everything.contains(secret), "{everything}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn back_after_the_end_shows_nothing_of_the_account() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    window.before_every_page(NOTE_RETURN).await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    let id = window.current_id(2).await;
    window.open(&format!("{site}/reset")).await;
    window.back().await;
    window.has_account().await;
    let kept = window.script("return window.returned").await;
    let reasons = "return JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons ?? null)";
    println!("the account page with its stream came back out of memory: {kept}; {}", window.script(reasons).await);
    assert!(window.everything().await.contains(&owner.email), "it would be found");
    let other = owner.sign_in_again().await;
    window.rows(3).await;
    other.sign_out().await.assert_status(204);
    window.rows(2).await;

    // It ends while the page is put aside.
    window.forward().await;
    window.arrives_at("/reset").await;
    owner.end_session(&id).await.assert_status(204);
    window.back().await;
    never_shows(&window, &owner.email).await;
    println!("and after the end: {}", window.script("return window.returned ?? null").await);

    // It ends in an open tab; whoever goes away from there and comes back sees nothing, either.
    window.sign_in(&site, &owner.email, PASSWORD).await;
    let id = window.current_id(2).await;
    owner.end_session(&id).await.assert_status(204);
    says_ended(&window, "This session was ended from another of your sessions.").await;
    window.click("#ended-sign-in").await;
    window.is_at_the_door().await;
    window.back().await;
    never_shows(&window, &owner.email).await;
    window.assert_quiet_but_for(&["401 /sessions", "401 /events"]).await;
}
