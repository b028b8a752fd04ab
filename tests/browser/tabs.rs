//! Several tabs of one browser: one stream for all of them, and all are told.

use super::driver::Driver;
use super::endings::{count_requests, listens, requests, says_ended};
use super::page::site;
use super::window::{Tab, Window};
use crate::support::client::{PASSWORD, new_email};
use crate::support::server::{Backend, TestServer};

/// Counts the streams that a page has open.
const COUNT_STREAMS: &str = "
    window.streams = new Set();
    window.EventSource = class extends EventSource {
      constructor(...address) { super(...address); streams.add(this); }
      close() { streams.delete(this); super.close(); }
    };";

/// One more tab, with the account in it.
async fn tab_with_account(window: &Window, site: &str) -> Tab {
    let tab = window.new_tab().await;
    window.before_every_page(COUNT_STREAMS).await;
    window.open(&format!("{site}/account")).await;
    window.has_account().await;
    tab
}

/// How many of these tabs have a stream that is open.
async fn streams(window: &Window, tabs: &[Tab]) -> Vec<bool> {
    let mut open = Vec::new();
    for tab in tabs {
        window.go_to(tab).await;
        let count =
            window.script("return [...streams].filter((one) => one.readyState === EventSource.OPEN).length").await;
        open.push(count.as_u64().expect("a number") > 0);
    }
    open
}

/// The place of the one tab that has the stream; panics unless there is one.
async fn leader(window: &Window, tabs: &[Tab]) -> usize {
    for _ in 0..40 {
        let open = streams(window, tabs).await;
        let leaders: Vec<usize> = open.iter().enumerate().filter(|(_, open)| **open).map(|(place, _)| place).collect();
        assert!(leaders.len() < 2, "more than one stream for one browser: {open:?}");
        if let [leader] = leaders[..] {
            return leader;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no tab has a stream");
}

#[tokio::test]
async fn eight_tabs_share_one_stream_and_all_are_told() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    let id = window.current_id(2).await;
    let first = window.tab().await;
    window.before_every_page(COUNT_STREAMS).await;
    window.reload().await;
    window.has_account().await;
    let mut tabs = vec![first];
    for _ in 1..8 {
        tabs.push(tab_with_account(&window, &site).await);
    }
    let mut leads = leader(&window, &tabs).await;

    // With six connections for a host, the seventh stream would have left nothing for anything else.
    for tab in &tabs {
        window.go_to(tab).await;
        window.rename("Ana Example").await;
        window.says("#name-result", "Saved.").await;
    }
    let third = server.anonymous().sign_in(&owner.email, PASSWORD).await;
    for tab in &tabs {
        window.go_to(tab).await;
        window.rows(3).await;
    }

    // The tab with the stream goes; another one takes over, and asks what it has missed.
    for remaining in [7, 6] {
        window.go_to(&tabs.remove(leads)).await;
        window.close_tab().await;
        assert_eq!(tabs.len(), remaining);
        leads = leader(&window, &tabs).await;
    }
    owner.end_session(&third.session_id).await.assert_status(204);
    for tab in &tabs {
        window.go_to(tab).await;
        window.rows(2).await;
        count_requests(&window).await;
    }

    owner.end_session(&id).await.assert_status(204);
    for tab in &tabs {
        window.go_to(tab).await;
        says_ended(&window, "This session was ended from another of your sessions.").await;
        assert_eq!(requests(&window).await, Vec::<String>::new());
    }
    assert_eq!(streams(&window, &tabs).await, [false; 6], "there is nothing left to hear");
    window.assert_quiet().await;
}

#[tokio::test]
async fn what_one_tab_does_the_others_are_told() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, email) = (Driver::start(), site(&server), new_email());
    let window = driver.window().await;
    window.register(&site, &email, PASSWORD).await;
    let one = window.tab().await;
    let other = tab_with_account(&window, &site).await;
    window.go_to(&one).await;
    listens(&window).await;
    count_requests(&window).await;
    window.go_to(&other).await;
    window.click("#sign-out").await;
    window.is_at_the_door().await;
    window.go_to(&one).await;
    says_ended(&window, "You signed out in another tab of this browser.").await;
    assert_eq!(requests(&window).await, Vec::<String>::new());

    // In again, in both tabs, by signing in in one; then as somebody else.
    window.click("#ended-sign-in").await;
    window.enter(&email, PASSWORD).await;
    window.has_account().await;
    window.go_to(&other).await;
    window.open(&format!("{site}/account")).await;
    window.has_account().await;
    let somebody = server.signed_in().await;
    window
        .script(&format!(
            "return import('/static/sessiond.js').then(({{ call }}) => call('POST', 'login', {{ body: {} }}))",
            serde_json::json!({ "email": somebody.email, "password": PASSWORD })
        ))
        .await;
    for tab in [&one, &other] {
        window.go_to(tab).await;
        says_ended(&window, "Someone signed in in another tab of this browser.").await;
        assert!(!window.everything().await.contains(&email));
    }
    window.assert_quiet().await;
}
