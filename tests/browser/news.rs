//! What happens elsewhere, in a page that somebody is busy with: it is shown, and nothing is taken out of their hands.

use std::time::Duration;

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::json;

use super::driver::Driver;
use super::page::site;
use crate::support::client::PASSWORD;
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";

#[tokio::test]
async fn news_takes_neither_the_focus_nor_the_question_away() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let window = driver.window().await;
    window.sign_in(&site(&server), &owner.email, PASSWORD).await;
    let first = window.rows(2).await.remove(1);
    window.fill("#name", "half of a na").await;
    let button = format!("[data-session-id='{}'] .end", first.id);
    let focused = format!("document.activeElement === document.querySelector({})", json!(button));

    // By keyboard alone: from the button into the question, and back.
    window.script(&format!("document.querySelector({}).focus()", json!(button))).await;
    window.press(Key::Enter).await;
    window.shows("document.querySelector('#confirm').open").await;
    let second = owner.sign_in_again().await;
    window.rows(3).await;
    window.shows("document.activeElement.id === 'confirm-no' && document.querySelector('#confirm').open").await;
    window.press(Key::Escape).await;
    window.shows(&format!("!document.querySelector('#confirm').open && {focused}")).await;
    assert_eq!(window.value("#name").await, "half of a na");

    // A line that goes leaves the others where they are, and what has the focus keeps it.
    second.sign_out().await.assert_status(204);
    window.rows(2).await;
    window.shows(&focused).await;

    // What the question is about goes by itself: the answer is that it has ended.
    window.press(Key::Enter).await;
    window.shows("document.querySelector('#confirm').open").await;
    owner.sign_out().await.assert_status(204);
    window.rows(1).await;
    window.press(Key::Tab).await;
    window.press(Key::Enter).await;
    window.says("#sessions-result", &format!("The session of {} has ended.", first.device)).await;
    window.shows("document.activeElement.id === 'sessions-title'").await;
    window.assert_quiet_but_for(&[&format!("404 /sessions/{}", first.id)]).await;
}

#[tokio::test]
async fn sessions_say_where_they_are_and_who_is_there_now() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, owner) = (Driver::start(), server.signed_in().await);
    let place = format!("UPDATE sessions SET country = 'PT', city = 'Lisbon' WHERE id = '{}'", owner.session_id);
    server.stores.database.execute(&place);
    // The browser's clock stays behind.
    server.clock.rewind(Duration::from_secs(200));
    let phone = server.anonymous();
    let credentials = json!({ "email": owner.email, "password": PASSWORD });
    phone.call(Method::POST, "/login").header("User-Agent", PHONE).json(&credentials).send().await.assert_status(200);
    server.clock.advance(Duration::from_secs(200));
    let window = driver.window().await;
    window.sign_in(&site(&server), &owner.email, PASSWORD).await;
    window.rows(3).await;
    let texts = window
        .script(
            "return [...document.querySelectorAll('#sessions li')].map((row) => [
               row.querySelector('.this-one').checkVisibility(),
               row.querySelector('use').getAttribute('href'),
               row.querySelector('.device').innerText,
               row.querySelector('.place').innerText,
               row.querySelector('.last-seen').innerText,
             ].join('|').replaceAll(' ·', ''))",
        )
        .await;
    let expected = [
        "true|#icon-desktop|Chrome on Linux||active now",
        "false|#icon-unknown|Unknown device|Lisbon, Portugal|active now",
        "false|#icon-mobile|Safari on iOS||last seen 3 minutes ago",
    ];
    assert_eq!(texts, json!(expected));
    window.assert_quiet().await;
}
