//! What an open tab shows when its session ends somewhere else: that it has, at once, without a request of its own.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sessiond::domain::{Clock as _, SystemClock};

use super::driver::Driver;
use super::page::site;
use super::window::Window;
use crate::support::client::{Anonymous, COOKIE, PASSWORD, new_email};
use crate::support::process::command_line_ok;
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

/// From now on the page's requests are counted, and the moment is kept at which it says that the session has ended.
const COUNT: &str = "
    window.asked = [];
    const trusted = window.fetch;
    window.fetch = (...request) => { asked.push(String(request[0])); return trusted(...request); };
    window.EventSource = class extends EventSource {
      constructor(...address) { super(...address); asked.push(String(address[0])); }
    };
    window.saidAt = null;
    new MutationObserver((_, observer) => {
      if (document.querySelector('#ended').hidden) return;
      observer.disconnect();
      window.saidAt = performance.timeOrigin + performance.now();
    }).observe(document.querySelector('#ended'), { attributes: true });";

/// Whether there is time.
pub fn soak() -> bool {
    std::env::var_os("SESSIOND_TEST_SOAK").is_some()
}

/// Counts what the page asks for from now on.
pub async fn count_requests(window: &Window) {
    window.script(COUNT).await;
}

/// What the page has asked for since.
pub async fn requests(window: &Window) -> Vec<String> {
    let asked = window.script("return window.asked").await;
    asked.as_array().expect("a list").iter().map(|one| one.as_str().expect("an address").to_owned()).collect()
}

/// Waits until the page has a stream, and has looked for what it had missed until then.
pub async fn listens(window: &Window) {
    let twice = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/sessions')).length > 1";
    window.shows(twice).await;
}

/// Waits until the page says that the session has ended, and why.
pub async fn says_ended(window: &Window, reason: &str) {
    window.says("#ended-reason", reason).await;
    assert_eq!(window.text("#ended-title").await, "You are signed out");
    window.shows("document.activeElement.id === 'ended-title'").await;
}

#[tokio::test]
async fn a_tab_is_told_at_once_and_asks_for_nothing() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, email, site) = (Driver::start(), new_email(), site(&server));
    let (here, there) = (driver.window().await, driver.window().await);
    here.register(&site, &email, PASSWORD).await;
    here.rows(1).await;
    there.sign_in(&site, &email, PASSWORD).await;
    let rows = here.rows(2).await;
    here.says("#sessions-result", "Signed in just now: Chrome on Linux.").await;
    there.fill("#current-password", "half of a passw").await;
    listens(&there).await;
    count_requests(&there).await;

    here.end(&rows[1]).await;
    here.rows(1).await;
    says_ended(&there, "This session was ended from another of your sessions.").await;
    assert_eq!(requests(&there).await, Vec::<String>::new());
    let everything = there.everything().await;
    assert!(!everything.contains(&email) && !everything.contains("half of a passw"), "{everything}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(requests(&there).await, Vec::<String>::new(), "nor later");

    // In again in the same tab; it is heard of there, and is told again.
    there.click("#ended-sign-in").await;
    there.enter(&email, PASSWORD).await;
    there.has_account().await;
    here.rows(2).await;
    there.rows(2).await;
    here.end_others().await;
    says_ended(&there, "This session was ended from another of your sessions.").await;
    here.assert_quiet().await;
    there.assert_quiet().await;
}

/// From the 2xx of the revocation to the page that says so, in milliseconds. Negative: the page was first.
#[tokio::test]
async fn how_long_it_takes() {
    let rounds = if soak() { 100 } else { 3 };
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, owner) = (Driver::start(), site(&server), server.signed_in().await);
    let window = driver.window().await;
    let mut took = Vec::new();
    for _ in 0..rounds {
        window.sign_in(&site, &owner.email, PASSWORD).await;
        let id = window.current_id(2).await;
        listens(&window).await;
        count_requests(&window).await;
        owner.end_session(&id).await.assert_status(204);
        let answered = SystemClock::default().now().ms();
        window.shows("window.saidAt").await;
        let said = window.script("return Math.round(window.saidAt)").await.as_i64().expect("a time");
        took.push(said - answered);
        assert_eq!(requests(&window).await, Vec::<String>::new());
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    let (median, p99, longest) = (at(50), at(99), at(100));
    println!("from the 2xx to the page, {rounds} rounds: median {median} ms, p99 {p99} ms, max {longest} ms");
    assert!(median < 2_000, "it is pushed, not found out: {took:?}");
}

/// Every way in which somebody else can end a session, and the words for it.
#[tokio::test]
async fn each_reason_is_said_in_words() {
    let settings = [("SESSIOND_MAX_SESSIONS", "4"), ("SESSIOND_ON_DEVICE_CHANGE", "revoke")];
    let server = TestServer::with(Backend::Embedded, &settings).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let mut owner = server.signed_in().await;
    let window = driver.window().await;
    let again = async || server.anonymous().sign_in(&owner.email, &owner.password).await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    let id = window.current_id(2).await;
    admin.delete(&format!("/admin/sessions/{id}")).await.assert_status(204);
    says_ended(&window, "An administrator ended this session.").await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    let cookie = window.cookie(COOKIE).await.expect("a session");
    let thief = owner.with_session(&server.url(), "", cookie.value());
    thief.call(Method::GET, "/me").header("User-Agent", "curl/8.5.0").send().await.assert_status(401);
    says_ended(&window, "A different browser or system used this session.").await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    for _ in 0..4 {
        server.clock.advance(Duration::from_secs(1));
        again().await;
    }
    says_ended(&window, "You have too many sessions, so the one that was unused for longest has ended.").await;

    owner = again().await;
    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    owner.change_password(PASSWORD, "another pass phrase").await.assert_status(200);
    says_ended(&window, PASSWORD_CHANGED).await;

    window.sign_in(&site, &owner.email, "another pass phrase").await;
    listens(&window).await;
    let reset = json!({ "token": server.reset_token(&owner.email), "new_password": PASSWORD });
    server.anonymous().post_json("/reset", &reset).await.assert_status(204);
    says_ended(&window, PASSWORD_RESET).await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    let roles = format!("/admin/users/{}/roles", owner.user_id);
    admin.put_json(&roles, &json!({ "roles": ["admin"] })).await.assert_status(204);
    says_ended(&window, "The roles of your account have changed. Sign in again to continue.").await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    admin.disable(&owner.user_id).await.assert_status(204);
    says_ended(&window, "Your account was disabled. Ask an administrator for help.").await;
    admin.enable(&owner.user_id).await.assert_status(204);

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    server.clock.advance(Duration::from_secs(31 * 60));
    says_ended(&window, "The session was unused for too long, or reached its maximum age.").await;

    window.sign_in(&site, &owner.email, PASSWORD).await;
    listens(&window).await;
    let admin = Anonymous::at(&server.url()).sign_in(&admin.person().email, PASSWORD).await;
    admin.delete(&format!("/admin/users/{}", owner.user_id)).await.assert_status(204);
    says_ended(&window, "Your account was deleted.").await;

    let survivor = server.signed_in().await;
    window.sign_in(&site, &survivor.email, PASSWORD).await;
    listens(&window).await;
    command_line_ok(&server.settings, &["ledger", "restored", "--yes"], "");
    says_ended(&window, "The service was restored from a backup, so it ended every session to be safe.").await;
    window.assert_quiet_but_for(&["401 /sessions"]).await;
}

const PASSWORD_CHANGED: &str =
    "Your password was changed in another session. If it was not you, ask an administrator for help.";
const PASSWORD_RESET: &str = "Your password was reset with a link. If it was not you, ask an administrator for help.";

/// The page knows every reason by its name, and no other.
#[test]
fn no_reason_is_without_words() {
    let reasons = |text: &str, begin: &str, end: &str| -> Vec<String> {
        let part = text.split(begin).nth(1).and_then(|rest| rest.split(end).next()).expect("the list is there");
        let names = part.lines().filter_map(|line| line.split(['"', ':']).map(str::trim).find(|word| is_name(word)));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let mut known = reasons(include_str!("../../src/domain/session.rs"), "pub fn name(self)", "\n    }\n}");
    known.push("expired".to_owned());
    known.sort();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(reasons(include_str!("../../static/ending.js"), "const REASONS = {", "};"), known);
}

fn is_name(word: &str) -> bool {
    word.len() > 2 && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// The console is given up, too, with whatever was open in it, and leads back.
#[tokio::test]
async fn the_console_gives_up_and_leads_back() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site, admin) = (Driver::start(), site(&server), server.admin().await);
    let user = server.signed_in().await;
    let window = driver.window().await;
    window.open(&format!("{site}/console#people")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.says("#people-found", "2 accounts.").await;
    window.open(&format!("{site}/console#person?id={}", user.user_id)).await;
    window.acts("Delete…").await;
    // The stream is there in no time; nothing in the console shows it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    window.fill("#ask-typed", "half of an address").await;
    count_requests(&window).await;
    admin.person().end_others().await.assert_status(200);
    says_ended(&window, "This session was ended from another of your sessions.").await;
    assert_eq!(requests(&window).await, Vec::<String>::new());
    let everything = window.everything().await;
    for secret in [&user.email, &admin.person().email, "half of an address"] {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }
    window.click("#ended-sign-in").await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.says("#person-title", &user.email).await;
    window.assert_quiet().await;
}
