//! The console: who is shown what, and that what is ended there is over elsewhere.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::console_page::{alert_about, place};
use super::driver::Driver;
use super::page::site;
use crate::support::client::{PASSWORD, SignedIn, new_email};
use crate::support::requests::Requests as _;
use crate::support::server::{Backend, TestServer};

const A_WHILE: Duration = Duration::from_secs(16 * 60);
const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// Before any script of the page: a service that passes on whatever it was sent.
const CARELESS_SERVICE: &str = "
    const trusted = window.fetch;
    const spoilt = (value, name) => {
      if (Array.isArray(value)) return value.map((one) => spoilt(one, name));
      if (value !== null && typeof value === 'object') {
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, spoilt(one, key)]));
      }
      return /(^|_)(id|at)$|^(sessions|roles|next_cursor|acknowledged_by)$/.test(name) ? value : MARKUP;
    };
    window.fetch = async (...request) => {
      const answer = await trusted(...request);
      if (!new URL(request[0]).pathname.startsWith('/admin/')) return answer;
      return Response.json(spoilt(await answer.json(), ''));
    };";

#[tokio::test]
async fn sessions_that_match_are_counted_then_ended_and_are_over_in_the_other_browser() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, admin, site) = (Driver::start(), server.admin().await, site(&server));
    let (here, there, user) = (driver.window().await, driver.window().await, server.signed_in().await);
    let bystander = server.signed_in().await;
    there.sign_in(&site, &user.email, PASSWORD).await;

    // A link from a colleague: to the sign-in page, and back to what it names.
    let shared = format!("#sessions?user={}", user.user_id);
    here.open(&format!("{site}/console{shared}")).await;
    here.is_at_the_door().await;
    here.says("#sign-in-result", "Sign in to continue.").await;
    here.enter(&admin.person().email, PASSWORD).await;
    here.arrives_at("/console").await;
    here.says("#sessions-found", "2 sessions, newest first.").await;
    assert_eq!(here.address().await.fragment(), Some(shared.trim_start_matches('#')));
    assert_eq!(here.value("#sessions-user").await, user.user_id, "the form shows what the address says");

    // Narrowed by the form; back is the list before.
    here.fill("#sessions-browser", "Chrome").await;
    here.click("#sessions-form [type=submit]").await;
    here.says("#sessions-found", "1 session, newest first.").await;
    here.back().await;
    here.says("#sessions-found", "2 sessions, newest first.").await;
    assert_eq!(here.value("#sessions-browser").await, "");

    server.clock.advance(A_WHILE);
    here.click("#sessions-end").await;
    here.says("#revoke-yes", "End 2 sessions").await;
    here.click("#revoke-no").await;
    assert!(user.is_signed_in().await, "only counted");
    here.click("#sessions-end").await;
    here.click("#revoke-yes").await;
    here.fill("#step-up-password", PASSWORD).await;
    assert!(user.is_signed_in().await, "not without a proof");
    here.click("#step-up-yes").await;
    here.says("#revoke-text", "2 sessions ended.").await;
    here.click("#revoke-no").await;
    here.says("#sessions-found", "No live session matches.").await;
    assert!(!user.is_signed_in().await);
    there.reload().await;
    there.is_at_the_door().await;
    assert!(bystander.is_signed_in().await && admin.person().is_signed_in().await);
    here.assert_quiet_but_for(&["403 /admin/sessions/revoke"]).await;
    there.assert_quiet_but_for(&["401 /sessions"]).await;
}

#[tokio::test]
async fn who_is_no_administrator_or_none_any_more_sees_nothing_of_others() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let (admin, user) = (server.admin().await, server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{site}/console#people")).await;
    window.enter(&user.email, PASSWORD).await;
    window.arrives_at("/console").await;
    window.says("#refused-who", &user.email).await;
    assert!(!window.everything().await.contains(&admin.person().email));
    let asked = window
        .script("return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/admin/')).length")
        .await;
    assert_eq!(asked, 0, "nothing of others was even asked for");
    window.click("#refused-sign-out").await;
    window.is_at_the_door().await;

    window.open(&format!("{site}/console#people")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.says("#people-found", "2 accounts.").await;
    assert!(window.everything().await.contains(&user.email), "it would be found");
    let demoted = format!("UPDATE users SET roles = 'user' WHERE id = '{}'", admin.person().user_id);
    server.stores.database.execute(&demoted);
    window.click("#ways [href='#sessions']").await;
    window.says("#refused-who", &admin.person().email).await;
    assert!(!window.everything().await.contains(&user.email));
    window.assert_quiet_but_for(&["403 /admin/sessions"]).await;
}

#[tokio::test]
async fn an_account_is_disabled_enabled_promoted_and_deleted_and_the_trail_tells_of_it() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let (admin, user) = (server.admin().await, server.signed_in().await);
    let window = driver.window().await;
    window.open(&format!("{site}/console#people")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.fill("#people-query", &user.email).await;
    window.click("#people-form [type=submit]").await;
    window.says("#people-found", "1 account.").await;
    window.click("#people-table tbody a").await;
    window.says("#person-found", "1 live session.").await;
    window.shows("document.activeElement.id === 'person-title'").await;

    window.acts("Disable").await;
    window.click("#ask-yes").await;
    window.says("#notice", &format!("{} is disabled; all sessions have ended.", user.email)).await;
    window.says("#person-found", "Not signed in anywhere.").await;
    assert!(!user.is_signed_in().await);
    window.text("#person-history tbody tr").await;
    window.acts("Enable").await;
    window.click("#ask-yes").await;
    window.says("#notice", &format!("{} can sign in again.", user.email)).await;
    let again = server.anonymous().sign_in(&user.email, PASSWORD).await;
    window.acts("Make administrator").await;
    window.click("#ask-yes").await;
    window.says("#person-facts .badge", "Administrator").await;
    assert!(!again.is_signed_in().await, "a change of roles ends the sessions");

    window.acts("Delete…").await;
    window.fill("#ask-typed", "somebody else").await;
    window.click("#ask-yes").await;
    window.says("#ask-typed-error", &format!("Type {}, letter by letter.", user.email)).await;
    window.fill("#ask-typed", &user.email).await;
    window.click("#ask-yes").await;
    window.says("#notice", &format!("{} is deleted.", user.email)).await;
    window.arrives_at_view("people").await;
    assert!(!window.text("#people-table").await.contains(&user.email));

    window.open(&format!("{site}/console#audit?user={}", user.user_id)).await;
    window.text("#audit-table tbody tr").await;
    let trail = window.text("#audit-table").await;
    for event in ["user_disabled", "user_enabled", "authz_change", "user_deleted"] {
        assert!(trail.contains(event), "{event}: {trail}");
    }
    window.assert_quiet().await;
}

#[tokio::test]
async fn the_overview_says_what_is_strange_and_an_alert_leads_to_its_sessions() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let (admin, user) = (server.admin().await, server.signed_in().await);
    let others = [user.sign_in_again().await, user.sign_in_again().await];
    let sessions = [&user, &others[0], &others[1]];
    for (session, country) in sessions.iter().zip(["PT", "BR", "VN"]) {
        place(&server, &session.session_id, country);
    }
    let ids = sessions.map(|session| session.session_id.as_str());
    alert_about(&server, &user.user_id, &ids, &["Three sessions are alive in three countries."]);

    let window = driver.window().await;
    window.sign_in(&site, &admin.person().email, PASSWORD).await;
    window.click("#to-console").await;
    window.says("#overview-strange", "1 open alert.").await;
    assert!(window.text("#overview-alerts .reasons").await.contains("three countries"));
    let places = window.text("#overview-places").await;
    assert!(["Portugal 1", "Brazil 1", "Vietnam 1"].iter().all(|place| places.contains(place)), "{places}");
    window.click("#overview-alerts h3 a").await;
    window.says("#person-found", "3 live sessions.").await;
    window.shows("document.querySelectorAll('#person-sessions tr.marked').length === 3").await;
    window.click("#person-alerts .alert button.danger").await;
    window.click("#ask-yes").await;
    window.says("#notice", &format!("3 sessions of {} ended.", user.email)).await;
    for session in sessions {
        assert!(!session.is_signed_in().await);
    }
    window.click("#ways [href='#alerts']").await;
    window.says("#alerts-found", "1 alert, newest first.").await;
    window.click("#alerts-list .alert button:last-child").await;
    window.says("#alerts-found", "There are no open alerts.").await;
    window.assert_quiet().await;
}

/// Signs in with a hostile browser.
async fn hostile(server: &TestServer) -> SignedIn {
    let email = new_email();
    let visitor = server.anonymous();
    let account = json!({ "email": email, "password": PASSWORD, "name": MARKUP });
    visitor.post_json("/register", &account).await.assert_status(201);
    let credentials = json!({ "email": email, "password": PASSWORD });
    let call = visitor.call(Method::POST, "/login").header("User-Agent", MARKUP).json(&credentials);
    let answer = call.send().await;
    answer.assert_status(200);
    visitor.into_signed_in(&email, PASSWORD, &answer)
}

// An alert would make every later command fail.
#[tokio::test]
async fn whatever_others_are_called_is_shown_as_text_in_every_view() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let (admin, user) = (server.admin().await, hostile(&server).await);
    alert_about(&server, &user.user_id, &[&user.session_id], &[MARKUP]);
    let window = driver.window().await;
    window.open(&format!("{site}/console#person?id={}", user.user_id)).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.says("#person-title", MARKUP).await;
    assert!(window.text("#person-alerts .reasons").await.contains(MARKUP));

    let careless = CARELESS_SERVICE.replace("MARKUP", &json!(MARKUP).to_string());
    window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": careless })).await;
    window.reload().await;
    let person = format!("person?id={}", user.user_id);
    for view in ["overview", "sessions", "people", &person, "alerts", "audit"] {
        window.script(&format!("location.hash = {}", json!(view))).await;
        window.arrives_at_view(view).await;
        window.shows(&format!("document.querySelector('main').innerText.includes({})", json!(MARKUP))).await;
        assert_eq!(window.script("return document.querySelectorAll('img:not([alt=\"\"])').length").await, 0, "{view}");
    }
    window.assert_quiet().await;
}

#[tokio::test]
async fn an_alert_outlives_its_account_and_says_so() {
    let server = TestServer::start(Backend::Embedded).await;
    let (driver, site) = (Driver::start(), site(&server));
    let (admin, user) = (server.admin().await, server.signed_in().await);
    alert_about(&server, &user.user_id, &[&user.session_id], &["Something strange."]);
    admin.delete(&format!("/admin/users/{}", user.user_id)).await.assert_status(204);
    let window = driver.window().await;
    window.open(&format!("{site}/console#alerts?state=all")).await;
    window.enter(&admin.person().email, PASSWORD).await;
    window.says("#alerts-found", "1 alert, newest first.").await;
    let card = window.text("#alerts-list .alert").await;
    assert!(card.contains("A deleted account") && !card.contains("undefined"), "{card}");
    assert_eq!(
        window.script("return document.querySelectorAll('#alerts-list a, #alerts-list button').length").await,
        0
    );
    // One from before alerts were closed with their accounts.
    server.stores.database.execute("UPDATE alerts SET acknowledged_at = NULL");
    window.reload().await;
    window.click("#alerts-list .alert button").await;
    window.shows("document.body.innerText.includes('The alert about a deleted account is acknowledged.')").await;
}
