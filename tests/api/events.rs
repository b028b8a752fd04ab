//! `/events`: an open page is told what happens to its session, with the reason, whoever did it and however.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{column, set_clock};
use crate::api::travel::{FIREFOX, World};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::events::Events;
use crate::support::mmdb::{LISBON, TOKYO};
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer, on_each_backend};
use crate::support::wait::{stopwatch, until};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything takes that is told at once.
const CALM: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
const NEW: &str = "another four plain words";

on_each_backend! {
    async fn a_stream_says_whose_it_is_and_how_it_wants_to_be_passed_on(server: TestServer) {
        let owner = server.signed_in().await;
        let mut events = Events::try_of(&owner).await.expect("a stream");
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(events.header(name), Some(value), "{name}");
        }
        let first = events.next().await.expect("an event");
        assert_eq!((first.event.as_str(), first.data), ("session", json!({ "session": owner.session_id })));
        assert_eq!(events.retry.as_deref(), Some("2000"));
        events.assert_silent(CALM).await;
        server.anonymous().get("/events").await.assert_problem(401, "unauthenticated");
        let head = owner.call(Method::HEAD, "/events").send().await;
        assert_eq!(head.assert_status(200).header("content-type"), Some("text/event-stream"));
        owner.sign_out().await.assert_status(204);
        assert_eq!(events.ending().await, "signed_out");
    }

    async fn each_end_is_told_with_its_reason_and_the_stream_closes(server: TestServer) {
        let admin = server.admin().await;
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let mut events = Events::of(&other).await;
        owner.end_session(&other.session_id).await.assert_status(204);
        assert_eq!(events.ending().await, "signed_out_elsewhere");

        let mut events = Events::of(&server.issue(&owner).await).await;
        owner.end_others().await.assert_status(200);
        assert_eq!(events.ending().await, "signed_out_elsewhere");

        let other = server.issue(&owner).await;
        let mut events = Events::of(&other).await;
        admin.delete(&format!("/admin/sessions/{}", other.session_id)).await.assert_status(204);
        assert_eq!(events.ending().await, "revoked");

        let mut events = Events::of(&server.issue(&owner).await).await;
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert_eq!(events.ending().await, "password_changed");

        let mut events = Events::of(&owner).await;
        let token = server.reset_token(&owner.email);
        server.anonymous().post_json("/reset", &json!({ "token": token, "new_password": PASSWORD })).await.assert_status(204);
        assert_eq!(events.ending().await, "password_reset");

        let owner = owner.sign_in_anew(&server, PASSWORD).await;
        let mut events = Events::of(&owner).await;
        owner.post_json("/login", &json!({ "email": owner.email, "password": PASSWORD })).await.assert_status(200);
        assert_eq!(events.ending().await, "replaced");

        let mut events = Events::of(&server.issue(&owner).await).await;
        let (path, roles) = (format!("/admin/users/{}/roles", owner.user_id), json!({ "roles": ["user", "admin"] }));
        admin.put_json(&path, &roles).await.assert_status(204);
        assert_eq!(events.ending().await, "roles_changed");

        let mut events = Events::of(&server.issue(&owner).await).await;
        admin.disable(&owner.user_id).await.assert_status(204);
        assert_eq!(events.ending().await, "disabled");

        let somebody = server.signed_in().await;
        let mut events = Events::of(&somebody).await;
        admin.delete(&format!("/admin/users/{}", somebody.user_id)).await;
        assert_eq!(events.ending().await, "user_deleted");
    }

    async fn a_new_token_and_a_new_name_are_no_end_and_no_news(server: TestServer) {
        let owner = server.signed_in().await;
        let mut own = Events::of(&owner).await;
        own.assert_silent(CALM).await;
        let session = server.issue(&owner).await;
        assert_eq!(own.news().await.expect("the other one began").event, "sessions-changed");
        let mut other = Events::of(&session).await;
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        owner.rename(Some("Ana")).await.assert_status(200);
        own.assert_silent(CALM).await;
        other.assert_silent(CALM).await;
        owner.change_password(PASSWORD, NEW).await.assert_status(200);
        assert_eq!(other.ending().await, "password_changed");
        assert_eq!(own.news().await.expect("the other one is over").event, "sessions-changed");
        own.assert_silent(CALM).await;
        // The stream knows the session, not its token.
        owner.sign_out().await.assert_status(204);
        assert_eq!(own.ending().await, "signed_out");
    }

    async fn what_changes_the_list_is_told_to_its_owner_alone(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let (mut mine, mut also_mine) = (Events::of(&owner).await, Events::of(&owner).await);
        let mut theirs = Events::of(&stranger).await;
        let changed = async |events: &mut Events| events.news().await.expect("an event").event;
        let second = owner.sign_in_again().await;
        assert_eq!((changed(&mut mine).await, changed(&mut also_mine).await), (changed_name(), changed_name()));
        second.sign_out().await.assert_status(204);
        assert_eq!((changed(&mut mine).await, changed(&mut also_mine).await), (changed_name(), changed_name()));
        // Many at once are few for whoever listens.
        let many = [server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await];
        owner.end_others().await.assert_status(200);
        assert_eq!(changed(&mut mine).await, "sessions-changed");
        assert!(!many[0].is_signed_in().await);
        let mut further = 0;
        while mine.next_within(CALM).await.is_some() {
            further += 1;
        }
        assert!(further < 2 * many.len(), "{further}");
        theirs.assert_silent(CALM).await;
    }

    async fn a_stream_is_no_use_and_ends_with_the_idle_timeout(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "5m" } {
        let owner = server.signed_in().await;
        let (idle, busy) = (server.issue(&owner).await, server.issue(&owner).await);
        let (mut idle_events, mut busy_events) = (Events::of(&idle).await, Events::of(&busy).await);
        server.clock.advance(4 * MINUTE);
        assert!(busy.is_signed_in().await);
        // A page that looks by itself is no use either, nor is one that comes again.
        for path in ["/me", "/sessions", "/auth/forward"] {
            idle.call(Method::GET, path).header("X-No-Touch", "1").send().await.assert_status(200);
        }
        drop(Events::of(&idle).await);
        server.clock.advance(55 * SECOND);
        idle_events.assert_silent(CALM).await;
        server.clock.advance(6 * SECOND);
        let watch = stopwatch();
        assert_eq!(idle_events.ending().await, "expired");
        println!("an idle session's page is told {:?} after the deadline", watch());
        idle.get("/me").await.assert_problem(401, "unauthenticated");
        // The other one was used a minute ago, and its page is shown that the list is shorter.
        assert_eq!(busy_events.news().await.expect("an event").event, "sessions-changed");
        busy_events.assert_silent(CALM).await;
        server.clock.advance(4 * MINUTE);
        assert_eq!(busy_events.ending().await, "expired");
    }

    /// Also where no location file says what a place is.
    async fn a_poll_from_elsewhere_is_seen_and_is_no_use_still(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "5m", "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let admin = server.admin().await;
        let (polled, fresh) = (server.signed_in().await, server.signed_in().await);
        server.clock.advance(MINUTE);
        assert!(polled.is_signed_in().await);
        let shown = async |who: &SignedIn| {
            let path = format!("/admin/sessions?filter[user]={}", who.user_id);
            let session = admin.get(&path).await.assert_status(200).json()["sessions"][0].clone();
            let text = |name: &str| session[name].as_str().expect("a text").to_owned();
            (text("ip"), text("last_seen_at"))
        };
        let begun = shown(&fresh).await.1;
        until("the use", PATIENCE, async || shown(&polled).await.1 > begun).await;
        for (who, path) in [(&polled, "/me"), (&fresh, "/auth/forward")] {
            let (home, used) = shown(who).await;
            assert_eq!(home, "127.0.0.1");
            let poll = who.call(Method::GET, path).header("X-No-Touch", "1").header("X-Forwarded-For", "203.0.113.9");
            poll.send().await.assert_status(200);
            until("the address", PATIENCE, async || shown(who).await == ("203.0.113.9".to_owned(), used.clone())).await;
            server.clock.advance(MINUTE);
            let told = format!("id = '{}' AND last_ip = '203.0.113.9'", who.session_id);
            until("the ledger's", PATIENCE, async || server.stores.database.count("sessions", &told) == 1).await;
        }
        // Three minutes after its use, and five after the other's.
        server.clock.advance(2 * MINUTE);
        let ask = async |who: &SignedIn| who.call(Method::GET, "/me").header("X-No-Touch", "1").send().await.status;
        assert_eq!((ask(&polled).await, ask(&fresh).await), (200, 401));
        server.clock.advance(MINUTE);
        assert_eq!(ask(&polled).await, 401);
    }

    async fn whatever_changes_something_is_a_use_whatever_it_says(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "5m" } {
        let owner = server.signed_in().await;
        for _ in 0..2 {
            server.clock.advance(4 * MINUTE);
            let call = owner.change(Method::PATCH, "/me").header("X-No-Touch", "1");
            call.json(&json!({ "name": "Ana" })).send().await.assert_status(200);
        }
    }

    async fn a_stream_ends_with_the_absolute_timeout(server: TestServer)
    with { "SESSIOND_IDLE_TIMEOUT": "30m", "SESSIOND_ABSOLUTE_TIMEOUT": "1h" } {
        let owner = server.signed_in().await;
        let ends = column(&server, "expires_at", &owner);
        let mut events = Events::of(&owner).await;
        for _ in 0..2 {
            server.clock.advance(25 * MINUTE);
            assert!(owner.is_signed_in().await);
        }
        set_clock(&server, ends - 3_000);
        assert!(owner.is_signed_in().await);
        events.assert_silent(CALM).await;
        set_clock(&server, ends + 1);
        let watch = stopwatch();
        assert_eq!(events.ending().await, "expired");
        println!("an expired session's page is told {:?} after the deadline", watch());
        Events::try_of(&owner).await.err().expect("a refusal").assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn whoever_makes_room_is_told() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_MAX_SESSIONS", "2")]).await;
    let owner = server.signed_in().await;
    let mut events = Events::of(&owner).await;
    let (_second, _third) = (owner.sign_in_again().await, owner.sign_in_again().await);
    assert_eq!(events.ending().await, "evicted");
}

#[tokio::test]
async fn whoever_shows_it_on_another_device_ends_it_for_all() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_ON_DEVICE_CHANGE", "revoke")]).await;
    let owner = server.issue(&server.signed_in().await).await;
    let mut events = Events::of(&owner).await;
    let thief = owner.call(Method::GET, "/me").header("User-Agent", FIREFOX).header("X-No-Touch", "1").send().await;
    thief.assert_problem(401, "unauthenticated");
    assert_eq!(events.ending().await, "device_changed");
}

#[tokio::test]
async fn what_an_operator_ends_on_the_command_line_is_told() {
    let server = TestServer::start(Backend::Embedded).await;
    let people = [server.signed_in().await, server.signed_in().await, server.signed_in().await];
    let mut events = Vec::new();
    for who in &people {
        events.push(Events::of(who).await);
    }
    let watch = stopwatch();
    command_line_ok(&server.settings, &["user", "disable", &people[0].email], "");
    assert_eq!(events[0].ending().await, "disabled");
    command_line_ok(&server.settings, &["sessions", "revoke", &people[1].session_id], "");
    assert_eq!(events[1].ending().await, "revoked");
    command_line_ok(&server.settings, &["ledger", "restored", "--yes"], "");
    assert_eq!(events[2].ending().await, "ledger_restored");
    println!("three ends by the command line were told after {:?} in all", watch());
}

#[tokio::test]
async fn what_is_strange_is_told_and_a_poll_hides_no_thief() {
    let server = TestServer::start(Backend::Embedded).await;
    let world = World::beside(&server, &[("SESSIOND_RISK_ACTION", "revoke")]).await;
    let owner = world.session(&server.signed_in().await, LISBON).await;
    let mut events = Events::of(&owner).await;
    let thief = owner.copy_at(&world.node.url());
    let poll = thief.call(Method::GET, "/auth/forward").header("X-No-Touch", "1");
    poll.header("User-Agent", FIREFOX).header("X-Forwarded-For", TOKYO).send().await.assert_status(200);
    assert_eq!(events.ending().await, "suspicious");
}

/// Where a node has to confirm it first.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn what_an_operator_ends_beside_a_redis_is_told() {
    let server = TestServer::start(Backend::Production).await;
    let owner = server.signed_in().await;
    let mut events = Events::of(&owner).await;
    command_line_ok(&server.settings, &["user", "disable", &owner.email], "");
    assert_eq!(events.ending().await, "disabled");
}

fn changed_name() -> String {
    "sessions-changed".to_owned()
}

impl SignedIn {
    async fn sign_in_anew(&self, server: &TestServer, password: &str) -> Self {
        server.anonymous().sign_in(&self.email, password).await
    }
}
