//! The audit log: every security event is exactly one line, and a flood of refusals is few.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sessiond::domain::Token;
use sessiond::domain::event::Event;
use sessiond::service::Activity;

use crate::api::tools::send;
use crate::support::client::{Admin, Anonymous, PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::issue::client;
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const WRONG: &str = "four plain words, mistyped";
const NEW: &str = "four other words, unlikely";
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines about somebody, in the order of their names.
fn lines(server: &TestServer, user: &str) -> Vec<String> {
    let sql = format!("SELECT event AS value FROM audit WHERE user_id = '{user}' ORDER BY event, id");
    server.stores.database.values(&sql).into_iter().flatten().collect()
}

async fn guess_too_often(visitor: &Anonymous, email: &str) {
    for _ in 0..5 {
        visitor.login(email, WRONG).await.assert_status(401);
    }
    visitor.login(email, WRONG).await.assert_status(429);
}

/// By the service: no route does nothing else.
async fn renew(server: &TestServer, who: &SignedIn) {
    let (app, token) = (server.node().app(), Token::parse(&who.token()).expect("a token"));
    let checked =
        app.check.authenticate(&token, client().ip, Activity::Background).await.expect("an answer").expect("alive");
    app.sign_in.renew(&checked, &client()).await.expect("renewed");
}

/// A link, the same once more, and one that never was.
async fn use_links(server: &TestServer, who: &SignedIn) {
    let token = server.reset_token(&who.email);
    for (token, status) in [(token.as_str(), 204), (&token, 422), ("not a token", 422)] {
        let body = json!({ "token": token, "new_password": NEW });
        server.anonymous().post_json("/reset", &body).await.assert_status(status);
    }
}

/// Takes an account away from its owner: for good, until it is enabled, or until a new password is set.
async fn shut_out(server: &TestServer, admin: &Admin, event: Event, id: &str) {
    match event {
        Event::UserLocked => drop(command_line_ok(&server.settings, &["user", "lock", id], "")),
        Event::UserDeleted => drop(admin.delete(&format!("/admin/users/{id}")).await.assert_status(204)),
        _ => drop(admin.disable(id).await.assert_status(204)),
    }
}

/// By an administrator whose session ends for it.
async fn be_acted_for(server: &TestServer, user: &str) {
    let path = format!("/admin/users/{user}/impersonate");
    server.admin().await.post_json(&path, &json!({ "reason": "A ticket" })).await.assert_status(200);
}

/// Has an administrator do it to this user. What it adds to the log.
async fn administer(server: &TestServer, admin: &Admin, event: Event, id: &str) -> Vec<&'static str> {
    match event {
        Event::UserEnabled => {
            admin.disable(id).await.assert_status(204);
            admin.enable(id).await.assert_status(204);
            vec!["session_revoked", "user_disabled", event.name()]
        }
        Event::RolesChanged => {
            let path = format!("/admin/users/{id}/roles");
            admin.put_json(&path, &json!({ "roles": ["admin"] })).await.assert_status(204);
            vec![event.name(), "session_revoked"]
        }
        _ => {
            shut_out(server, admin, event, id).await;
            vec!["session_revoked", event.name()]
        }
    }
}

/// Has somebody new, who is signed in, do or suffer what the event is about. What it adds to the log, beside the sign-up.
async fn drive(server: &TestServer, admin: &Admin, event: Event, who: &SignedIn) -> Vec<&'static str> {
    let (visitor, id) = (server.anonymous(), &who.user_id);
    match event {
        Event::ActingSessionIssued => be_acted_for(server, id).await,
        Event::LoginFail => drop(visitor.login(&who.email, WRONG).await.assert_status(401)),
        Event::LoginFailMax => {
            guess_too_often(&visitor, &who.email).await;
            return [vec!["authn_login_fail"; 5], vec![event.name()]].concat();
        }
        Event::PasswordFail => drop(who.reauthenticate(WRONG).await.assert_status(403)),
        Event::AccessFail => drop(who.get("/admin/users").await.assert_status(403)),
        Event::Forgery => {
            let forged = who.change(Method::DELETE, "/sessions").header("X-CSRF-Token", "a forged token");
            forged.send().await.assert_status(403);
        }
        Event::SessionRevoked => drop(who.sign_out().await.assert_status(204)),
        Event::SessionsRevokedByFilter => {
            let body = json!({ "filter": { "user": id } });
            admin.post_json("/admin/sessions/revoke", &body).await.assert_status(200);
            return vec!["session_revoked", "sessions_revoked_by_filter"];
        }
        Event::SessionRenewed => renew(server, who).await,
        Event::DeviceChanged => {
            for user_agent in [FIREFOX, CHROME, CHROME] {
                who.call(Method::GET, "/me").header("User-Agent", user_agent).send().await.assert_status(200);
            }
        }
        Event::Reauthenticated => drop(who.reauthenticate(PASSWORD).await.assert_status(200)),
        Event::PasswordChanged => drop(who.change_password(PASSWORD, NEW).await.assert_status(200)),
        Event::PasswordResetIssued => drop(server.reset_token(&who.email)),
        Event::PasswordReset => {
            use_links(server, who).await;
            return vec!["authn_password_reset", "authn_password_reset_issued", "session_revoked"];
        }
        // Counted at the end, or driven where there is what it takes: a hundred wrong passwords or unknown tokens in a minute,
        // somebody who is somewhere, a service, an application's key.
        Event::UserCreated
        | Event::LoginSuccess
        | Event::LedgerRestored
        | Event::PasswordResetFail
        | Event::GuessingFlood
        | Event::TokenFail
        | Event::AlertOpened
        | Event::AlertAcknowledged
        | Event::TokenExchanged
        | Event::TokenExchangeFail
        | Event::ServiceAdded
        | Event::ServiceSecretRotated
        | Event::ServiceRemoved
        | Event::SigningKeysRotated => return vec![],
        Event::UserDisabled | Event::UserLocked | Event::UserDeleted | Event::UserEnabled | Event::RolesChanged => {
            return administer(server, admin, event, id).await;
        }
    }
    vec![event.name()]
}

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// Somebody new whose session is bound to Firefox.
async fn newcomer(server: &TestServer) -> SignedIn {
    let (visitor, email) = (server.anonymous(), new_email());
    visitor.register(&email).await.assert_status(201);
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = visitor.change(Method::POST, "/login").header("User-Agent", FIREFOX).json(&body).send().await;
    answer.assert_status(200);
    visitor.into_signed_in(&email, PASSWORD, &answer)
}

/// The numbers that counting lines tell, of an event.
fn counted(server: &TestServer, event: &str) -> Vec<u64> {
    let sql = format!("SELECT detail AS value FROM audit WHERE event = '{event}' AND detail LIKE '% since %'");
    let details = server.stores.database.values(&sql).into_iter().flatten();
    details.map(|detail| detail.split(' ').next().unwrap_or_default().parse().expect("a number")).collect()
}

on_each_backend! {
    /// The match of [`drive`] has no arm for others, so a new event cannot be forgotten.
    async fn every_event_is_exactly_one_line(server: TestServer) {
        let admin = server.admin().await;
        let mut expected = Vec::new();
        for event in Event::ALL {
            let who = newcomer(&server).await;
            let mut lines = [vec!["user_created", "authn_login_success"], drive(&server, &admin, *event, &who).await].concat();
            lines.sort_unstable();
            expected.push((*event, who.user_id, lines));
        }
        let foreign = send(&server, "POST", "/logout", &["Origin: https://evil.example"], b"").await;
        assert_eq!(foreign.status, Some(403));
        server.anonymous().login(&new_email(), WRONG).await.assert_status(401);
        // What is counted is written when its minute is over.
        server.clock.advance(Duration::from_secs(61));
        server.until_audited("authn_login_fail_max", 1).await;
        // One that comes twice would have come by now.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        for (event, user, wanted) in expected {
            assert_eq!(lines(&server, &user), wanted, "{event:?}");
        }
        assert_eq!(counted(&server, "authn_login_fail_max"), [1]);
        assert_eq!(server.stores.database.count("audit", "event = 'sessions_revoked_by_filter'"), 1);
        let unknown = |event: &str| server.stores.database.count("audit", &format!("event = '{event}' AND user_id IS NULL AND ip = '127.0.0.1'"));
        assert_eq!((unknown("csrf_fail"), unknown("authn_login_fail")), (1, 1), "of nobody in particular");
        assert_eq!(unknown("authn_password_reset_fail"), 2, "a used one and one that never was");
        command_line_ok(&server.settings, &["ledger", "restored", "--yes"], "");
        assert_eq!(server.stores.database.count("audit", "event = 'sys_ledger_restored'"), 1);
        let dump = server.stores.database.dump_text();
        assert!(!dump.contains("mistyped"), "what was typed is nowhere");
    }

    /// The route as it is written in the interface's description: what somebody typed into it is not kept.
    async fn what_was_refused_to_whom_is_in_the_line(server: TestServer) {
        let who = server.signed_in().await;
        who.get("/admin/audit?limit=2").await.assert_status(403);
        let path = format!("/admin/users/{}/roles", who.user_id);
        who.put_json(&path, &json!({ "roles": ["admin"] })).await.assert_status(403);
        server.until_audited("authz_fail", 2).await;
        let details = server.stores.database.values("SELECT detail AS value FROM audit WHERE event = 'authz_fail' ORDER BY id");
        let details: Vec<_> = details.into_iter().flatten().collect();
        assert_eq!(details, ["GET /admin/audit", "PUT /admin/users/{id}/roles"]);
    }

    async fn the_log_is_read_by_filters_and_pages_newest_first(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let other = user.sign_in_again().await;
        other.sign_out().await.assert_status(204);
        server.clock.advance(Duration::from_secs(60));
        admin.disable(&user.user_id).await.assert_status(204);
        let list = async |query: &str| -> Vec<Value> {
            let (mut events, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = admin.get(&format!("/admin/audit?limit=2{query}{cursor}")).await.assert_status(200).json();
                events.extend(page["events"].as_array().expect("events").clone());
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return events,
                }
            }
        };
        let names = |events: &[Value]| -> Vec<String> {
            events.iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
        };
        let of_user = format!("&filter[user]={}", user.user_id);
        let events = list(&of_user).await;
        // Both were written in the same moment, so which of them comes first nobody knows.
        assert_eq!(names(&events[2..]), ["session_revoked", "authn_login_success", "authn_login_success", "user_created"]);
        let moments: Vec<&str> = events.iter().filter_map(|event| event["at"].as_str()).collect();
        assert!(moments.is_sorted_by(|a, b| a >= b), "{moments:?}");
        let (moment, session) = (&events[1]["at"].as_str().expect("a time"), &other.session_id);
        for (query, expected) in [
            (format!("{of_user}&filter[event]=user_created"), vec!["user_created"]),
            (format!("&filter[session]={session}"), vec!["session_revoked", "authn_login_success"]),
            (format!("&filter[session]={session}&filter[event]=session_revoked{of_user}"), vec!["session_revoked"]),
            (format!("&filter[actor]={}&filter[event]=user_disabled", admin.person().user_id), vec!["user_disabled"]),
            (format!("{of_user}&filter[before]={moment}"), vec!["session_revoked", "authn_login_success", "authn_login_success", "user_created"]),
            ("&filter[actor]=command%20line".to_owned(), vec!["user_created"]),
            (format!("{of_user}&filter[after]=2200-01-01T00:00:00Z"), vec![]),
        ] {
            assert_eq!(names(&list(&query).await), expected, "{query}");
        }
        let after = list(&format!("{of_user}&filter[after]={moment}")).await;
        assert_eq!(after.len(), 2, "{after:?}");
        let revoked = events.iter().find(|event| event["session_id"] == json!(session)).expect("its end");
        assert_eq!((&revoked["detail"], &revoked["actor"]), (&json!("signed_out"), &revoked["user_id"]));
        assert!(revoked["ip"] == "127.0.0.1" && revoked["request_id"].is_string(), "{revoked}");
    }

    /// One account is guessed at in a minute as often as can be, then others from the same address.
    async fn a_flood_of_wrong_passwords_is_few_lines_that_count_all_of_it(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": "1000" } {
        hash_cost::full();
        let owner = server.signed_in().await;
        let before = server.stores.database.count("audit", "1 = 1");
        let watch = crate::support::wait::stopwatch();
        let attackers = (0..8).map(|_| flood(server.anonymous(), owner.email.clone(), wrong_passwords() / 8));
        let refused: usize = futures_util::future::join_all(attackers).await.into_iter().sum();
        let took = watch();
        // Other names come from the same address, until that is throttled, too.
        let others = (0..20).map(|number| flood(server.anonymous(), format!("nobody-{number}@example.org"), 1));
        let refused = refused + futures_util::future::join_all(others).await.into_iter().sum::<usize>();
        server.clock.advance(Duration::from_secs(61));
        let singles = |event: &str| server.stores.database.count("audit", &format!("event = '{event}' AND (detail IS NULL OR detail NOT LIKE '% since %')"));
        let all = || {
            let counts = ["authn_login_fail", "authn_login_fail_max"].map(|event| counted(&server, event).iter().sum::<u64>());
            singles("authn_login_fail") + usize::try_from(counts[0] + counts[1]).expect("a number")
        };
        crate::support::wait::until("all are counted", PATIENCE, async || all() >= refused).await;
        assert_eq!(all(), refused, "none twice");
        let rows = server.stores.database.count("audit", "1 = 1") - before;
        println!("{refused} refused in {took:?}: {rows} lines, {} of them of single ones", singles("authn_login_fail"));
        assert!(rows <= 40, "{rows} lines");
        let of_owner = format!("event = 'authn_login_fail_max' AND user_id = '{}'", owner.user_id);
        assert!(server.stores.database.count("audit", &of_owner) >= 1, "it is known whose account it was");
        assert!(owner.is_signed_in().await);
    }
}

/// Five thousand with SESSIOND_TEST_SOAK.
fn wrong_passwords() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 5_000 } else { 800 }
}

async fn flood(visitor: Anonymous, email: String, times: usize) -> usize {
    let mut refused = 0;
    for _ in 0..times {
        // 503 is nobody's failure: nothing was compared.
        let answer = visitor.login(&email, WRONG).await;
        assert!([401, 429, 503].contains(&answer.status), "{answer}");
        refused += usize::from(answer.status != 503);
    }
    refused
}

/// What is still to be written when a node stops is written.
#[tokio::test]
async fn what_was_refused_last_is_written_at_the_stop() {
    use crate::support::server::{Backend, Stores};
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings();
    let mut process = crate::support::process::Process::start(&settings);
    let owner = process.anonymous().sign_up().await;
    for _ in 0..8 {
        process.anonymous().login(&owner.email, WRONG).await;
    }
    assert!(process.terminate());
    let lines = |event: &str| {
        let sql = format!("SELECT coalesce(detail, '1') AS value FROM audit WHERE event = '{event}'");
        let details = stores.database.values(&sql).into_iter().flatten();
        details
            .map(|detail| detail.split(' ').next().unwrap_or("").parse::<u64>().expect("a number"))
            .collect::<Vec<_>>()
    };
    let (single, counted) = (lines("authn_login_fail"), lines("authn_login_fail_max"));
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!(single.iter().sum::<u64>() + counted[0], 8, "{single:?} {counted:?}");
}
