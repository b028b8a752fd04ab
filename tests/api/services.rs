//! Services: an application keeps its own users and login, and has their sessions here.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::service::{IssuedSession, Service, user};
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const ALL: &str = "issue,introspect,revoke";

/// A server, a service with all scopes, and what they stand on.
pub(super) struct World {
    pub(super) stores: Stores,
    pub(super) server: Process,
    pub(super) shop: Service,
}

impl World {
    pub(super) fn on(backend: Backend) -> Self {
        let stores = Stores::new(backend);
        let server = Process::start(&stores.settings());
        let shop = Service::add(&stores.settings(), &server.url(), "shop", ALL);
        Self { stores, server, shop }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// The lines of the audit log with this actor.
    fn lines_of(&self, actor: &str, event: &str) -> usize {
        self.stores.database.count("audit", &format!("actor = '{actor}' AND event = '{event}'"))
    }
}

macro_rules! on_both {
    ($($name:ident => $test:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test]
            async fn embedded() {
                super::$test(crate::support::server::Backend::Embedded).await;
            }
            #[cfg(feature = "postgres")]
            #[tokio::test]
            async fn production() {
                super::$test(crate::support::server::Backend::Production).await;
            }
        })*
    };
}

pub(super) use on_both;

on_both! {
    an_application_has_its_users_sessions_here => issues,
    what_an_application_says_is_shown_and_kept => profiles,
    a_session_may_last_shorter_and_never_longer => lives,
    nothing_is_guessed_about_a_body => bodies,
    a_repeated_request_gets_the_same_session => repeats,
    an_application_ends_its_users_sessions => ends,
    a_session_that_is_issued_while_its_user_is_disabled_does_not_live => races,
}

async fn issues(backend: Backend) {
    let world = World::on(backend);
    let answer = world.shop.issue(&user("user-4711")).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let session = IssuedSession::of(&answer);
    assert_eq!(answer.json()["session"]["ip"], "192.0.2.7", "the user's, not the application's");
    let set_cookie = answer.json()["cookie"]["set_cookie"].as_str().expect("a header").to_owned();
    assert!(set_cookie.starts_with(&format!("__Host-session={}; ", session.cookie)), "{set_cookie}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(set_cookie.contains(attribute), "{set_cookie}");
    }
    assert!(!set_cookie.contains("Max-Age") && !set_cookie.contains("Domain"), "{set_cookie}");
    // The browser is signed in like any other.
    let browser = session.at(&world.url());
    let me = browser.get("/me").await.assert_status(200).json();
    assert_eq!(me["user"]["subject"], "user-4711");
    assert_eq!((&me["user"]["email"], &me["user"]["claims"]), (&Value::Null, &Value::Null));
    let forward = browser.get("/auth/forward").await;
    assert_eq!(forward.header("x-session-user"), Some(session.user_id.as_str()));
    // The application asks about the cookie, decoded by its framework or not.
    let plain = session.cookie.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    for shown in [session.cookie.clone(), plain] {
        let told = world.shop.introspect(&shown, "&token_type_hint=x&client_id=shop").await.assert_status(200).json();
        assert_eq!(told["active"], true, "{told}");
        assert_eq!(told["sub"], session.user_id.as_str());
        assert_eq!(told["sid"], session.session_id.as_str());
        assert!(told["exp"].as_i64() > told["iat"].as_i64() && told["auth_time"] == told["iat"], "{told}");
        assert!(told.get("username").is_none() && told.get("claims").is_none(), "{told}");
    }
    // The address that it tells is that of the last use.
    world.shop.introspect(&session.cookie, "&ip=198.51.100.9").await.assert_status(200);
    until("the address shows", PATIENCE, async || {
        let listed = world.shop.ask(Method::GET, "/subjects/user-4711/sessions").send().await.json();
        listed["sessions"][0]["ip"] == "198.51.100.9"
    })
    .await;
    // After a sign-out the token is as unknown as any other text.
    browser.post("/logout").await.assert_status(204);
    for cookie in [session.cookie.as_str(), "", "garbage", &"x".repeat(9_000)] {
        let told = world.shop.introspect(cookie, "&claims=true").await;
        assert_eq!(told.assert_status(200).text(), r#"{"active":false}"#, "{cookie}");
    }
    assert_eq!(world.lines_of("service shop", "authn_login_success"), 1);
    assert_eq!(world.lines_of("service shop", "user_created"), 1);
    // A password never opens it.
    let empty = world.server.anonymous().login("", "").await;
    empty.assert_problem(401, "wrong-credentials");
}

async fn profiles(backend: Backend) {
    let world = World::on(backend);
    let account = world.server.anonymous().sign_up().await;
    let mut body = user("auth0|4711/ä%");
    // Anybody may register the address that is another user's subject: a command names neither of the two for the other.
    let twin = IssuedSession::of(&world.shop.issue(&user(&account.email)).await);
    let output = command_line(&world.stores.settings(), &["user", "disable", &account.email], "");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(&twin.user_id) && told.contains(&account.user_id), "{told}");
    assert_eq!(world.stores.database.count("users", "disabled_at IS NOT NULL"), 0);
    // The same address as that of an account here: it is another user.
    body["email"] = json!(account.email);
    body["name"] = json!(" Ana ");
    body["claims"] = json!({ "plan": "gold", "seats": [1, 2] });
    let session = IssuedSession::of(&world.shop.issue(&body).await);
    assert_ne!(session.user_id, account.user_id);
    let me = session.at(&world.url()).get("/me").await.json();
    let said = |me: &Value| (me["user"]["email"].clone(), me["user"]["name"].clone(), me["user"]["claims"].clone());
    assert_eq!(said(&me), (json!(account.email), json!("Ana"), body["claims"].clone()));
    let told = world.shop.introspect(&session.cookie, "&claims=true").await.json();
    assert_eq!((&told["username"], &told["subject"]), (&json!(account.email), &json!("auth0|4711/ä%")));
    assert_eq!((&told["claims"], &told["name"], &told["roles"]), (&body["claims"], &json!("Ana"), &json!(["user"])));
    // What is not mentioned stays, and null clears.
    let mut later = user("auth0|4711/ä%");
    later["email"] = Value::Null;
    later["claims"] = json!({ "plan": "free" });
    let again = IssuedSession::of(&world.shop.issue(&later).await);
    assert_eq!(again.user_id, session.user_id);
    let me = session.at(&world.url()).get("/me").await.json();
    assert_eq!(said(&me), (Value::Null, json!("Ana"), json!({ "plan": "free" })));
    // The account of this address is as it was.
    assert_eq!(account.me().await.json()["user"]["email"], account.email.as_str());
    account.sign_in_again().await;
}

async fn lives(backend: Backend) {
    let world = World::on(backend);
    // Shorter lives, and none that is longer.
    let mut brief = user("brief");
    brief["idle_timeout"] = json!(60);
    brief["absolute_timeout"] = json!(90);
    let brief = world.shop.issue(&brief).await.assert_status(201).json();
    let span = |of: &str| {
        let at = |name: &str| chrono::DateTime::parse_from_rfc3339(brief["session"][name].as_str().expect("a time"));
        (at(of).expect("a time") - at("created_at").expect("a time")).num_seconds()
    };
    assert_eq!((span("idle_expires_at"), span("expires_at")), (60, 90));
    let mut remembered = user("brief");
    remembered["remember"] = json!(true);
    let kept = world.shop.issue(&remembered).await.assert_status(201).json();
    let set_cookie = kept["cookie"]["set_cookie"].as_str().expect("a header").to_owned();
    assert!(set_cookie.contains("Max-Age=2592000"), "{set_cookie}");
}

async fn bodies(backend: Backend) {
    let world = World::on(backend);
    // Nothing is guessed.
    for (field, value) in [
        ("subject", json!("")),
        ("subject", json!("x".repeat(256))),
        ("subject", json!("a\nb")),
        ("subject", json!(7)),
        ("email", json!("nobody")),
        ("name", json!("a\u{202e}b")),
        ("claims", json!([1])),
        ("claims", json!({ "a": "x".repeat(2_048) })),
        ("claims", json!({ "a": "\0" })),
        ("ip", json!("localhost")),
        ("idle_timeout", json!(0)),
        ("idle_timeout", json!(1_801)),
        ("absolute_timeout", json!(43_201)),
        ("roles", json!("admin")),
        ("password", json!("x")),
    ] {
        let mut wrong = user("user-9");
        wrong[field] = value;
        let refusal = world.shop.issue(&wrong).await;
        assert_eq!(
            refusal.assert_problem(422, "invalid-body").json()["errors"][0]["field"]
                .as_str()
                .map(|it| it.replace("absolute", "idle")),
            Some(field.replace("absolute", "idle")),
            "{refusal}"
        );
    }
    for missing in ["subject", "ip", "user_agent"] {
        let mut wrong = user("user-9");
        wrong.as_object_mut().expect("an object").remove(missing);
        world.shop.issue(&wrong).await.assert_problem(422, "invalid-body");
    }
    assert_eq!(world.stores.database.count("users", "subject = 'user-9'"), 0);
}

async fn repeats(backend: Backend) {
    let world = World::on(backend);
    let key = "0198c0de-0000-7000-8000-00000000000a";
    let issue = async |service: &Service, body: &Value, key: &str| {
        service.ask(Method::POST, "/issue").header("Idempotency-Key", key).json(body).send().await
    };
    let first = IssuedSession::of(&issue(&world.shop, &user("user-1"), key).await);
    let again = IssuedSession::of(&issue(&world.shop, &user("user-1"), key).await);
    assert_eq!((&first.session_id, &first.cookie), (&again.session_id, &again.cookie));
    // At once, from many sides: one session.
    let body = user("user-2");
    let many = (0..8).map(|_| issue(&world.shop, &body, "0198c0de-0000-7000-8000-00000000000b"));
    let many = futures_util::future::join_all(many).await;
    let ids: std::collections::BTreeSet<_> =
        many.iter().filter(|it| it.status == 201).map(|it| IssuedSession::of(it).session_id).collect();
    assert_eq!((ids.len(), many.iter().all(|it| it.status == 201)), (1, true), "{many:?}");
    // Many users under one key, at once: one of them.
    let users: Vec<_> = (0..6).map(|number| user(&format!("many-{number}"))).collect();
    let one = "0198c0de-0000-7000-8000-00000000000c";
    let statuses = futures_util::future::join_all(users.iter().map(|body| issue(&world.shop, body, one))).await;
    let mut statuses: Vec<_> = statuses.iter().map(|it| it.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422, 422, 422, 422, 422]);
    assert_eq!(world.stores.database.count("users", "subject LIKE 'many-%'"), 1);
    assert_eq!(world.stores.database.count("sessions", "1 = 1"), 3);
    // Another request, another service, an ended session.
    issue(&world.shop, &user("user-3"), key).await.assert_problem(422, "idempotency-key-reused");
    let mut longer = user("user-1");
    longer["remember"] = json!(true);
    issue(&world.shop, &longer, key).await.assert_problem(422, "idempotency-key-reused");
    let other = Service::add(&world.stores.settings(), &world.url(), "other", ALL);
    let others = IssuedSession::of(&issue(&other, &user("user-1"), key).await);
    assert_ne!(others.session_id, first.session_id);
    let mut named = user("user-1");
    named["name"] = json!("Ana");
    issue(&world.shop, &named, key).await.assert_problem(422, "idempotency-key-reused");
    first.at(&world.url()).post("/logout").await.assert_status(204);
    issue(&world.shop, &user("user-1"), key).await.assert_problem(422, "idempotency-key-reused");
    // Long after, when nothing is left of both: another session, and the old token stays dead.
    world.stores.database.execute("DELETE FROM issued_keys");
    let later = IssuedSession::of(&issue(&world.shop, &user("user-1"), key).await);
    assert_ne!(later.cookie, first.cookie);
    assert_eq!((first.status(&world.url()).await, later.status(&world.url()).await), (401, 200));
    for wrong in ["short", "with a space in it"] {
        issue(&world.shop, &user("user-1"), wrong).await.assert_problem(422, "invalid-body");
    }
    // The browser's earlier session ends with the next sign-in.
    let mut next = user("user-1");
    next["replaces"] = json!(others.cookie);
    let next = IssuedSession::of(&world.shop.issue(&next).await);
    assert_eq!((others.status(&world.url()).await, next.status(&world.url()).await), (401, 200));
}

async fn ends(backend: Backend) {
    let world = World::on(backend);
    let subject = "urn:shop/4711 ä%";
    let path = |rest: &str| format!("/subjects/urn%3Ashop%2F4711%20%C3%A4%25/{rest}");
    let account = world.server.anonymous().sign_up().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let session = world.shop.session_of(subject).await;
        assert_eq!(session.status(&world.url()).await, 200);
        sessions.push(session);
    }
    let ask = async |method, path: &str| world.shop.ask(method, path).send().await;
    let listed = ask(Method::GET, &path("sessions")).await.assert_status(200).json();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(3));
    assert!(!listed.to_string().contains(&sessions[0].cookie));
    let [first, ..] = sessions.as_slice() else { panic!("three") };
    ask(Method::DELETE, &path(&format!("sessions/{}", first.session_id))).await.assert_status(204);
    assert_eq!((first.status(&world.url()).await, sessions[1].status(&world.url()).await), (401, 200));
    // Another user's session and accounts are out of reach.
    let other = world.shop.session_of("other").await;
    for id in [&other.session_id, &account.session_id] {
        ask(Method::DELETE, &path(&format!("sessions/{id}"))).await.assert_problem(404, "not-found");
    }
    for nobody in ["/subjects/nobody/sessions", &format!("/subjects/{}/sessions", account.user_id)] {
        ask(Method::GET, nobody).await.assert_problem(404, "not-found");
        ask(Method::DELETE, nobody).await.assert_problem(404, "not-found");
    }
    let ended = ask(Method::DELETE, &path("sessions")).await.assert_status(200).json();
    assert_eq!(ended["revoked"], 2);
    for session in &sessions {
        assert_eq!(session.status(&world.url()).await, 401);
    }
    // Disabled: nothing is issued until it is enabled again.
    let last = world.shop.session_of(subject).await;
    assert_eq!(ask(Method::POST, &path("disable")).await.assert_status(200).json()["revoked"], 1);
    assert_eq!(last.status(&world.url()).await, 401);
    world.shop.issue(&user(subject)).await.assert_problem(403, "user-disabled");
    ask(Method::POST, &path("enable")).await.assert_status(204);
    assert_eq!(last.status(&world.url()).await, 401, "what has ended stays ended");
    assert_eq!(world.shop.session_of(subject).await.status(&world.url()).await, 200);
    assert_eq!((other.status(&world.url()).await, account.is_signed_in().await), (200, true));
    for event in ["session_revoked", "user_disabled", "user_enabled"] {
        assert!(world.lines_of("service shop", event) > 0, "{event}");
    }
    // What the application says is not the user's to change, and there is no password to set.
    let browser = world.shop.session_of(subject).await.at(&world.url());
    let rename = browser.change(Method::PATCH, "/me").json(&json!({ "name": "Another" })).send().await;
    rename.assert_problem(403, "forbidden");
    let link = command_line(&world.stores.settings(), &["user", "reset", &last.user_id], "");
    assert!(String::from_utf8_lossy(&link.stderr).contains("An application verifies this user"), "{link:?}");
    // Deleted at the command line: the subject is free, and the next user is another one.
    command_line_ok(&world.stores.settings(), &["user", "delete", &last.user_id], "");
    assert_eq!(world.stores.database.count("users", &format!("subject = '{subject}'")), 0);
    assert_ne!(world.shop.session_of(subject).await.user_id, last.user_id);
}

/// As often as `tests/run --soak` asks for.
fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 40 }
}

async fn races(backend: Backend) {
    let world = World::on(backend);
    let base = world.url();
    for round in 0..rounds() {
        let subject = format!("user-{round}");
        world.shop.session_of(&subject).await;
        let path = format!("/subjects/{subject}/{}", if round % 2 == 0 { "disable" } else { "sessions" });
        let method = if round % 2 == 0 { Method::POST } else { Method::DELETE };
        let body = user(&subject);
        let ending = async {
            tokio::time::sleep(Duration::from_micros(u64::try_from(round % 10).unwrap_or(0) * 700)).await;
            world.shop.ask(method, &path).send().await.assert_status(200);
        };
        let ((), issued) = tokio::join!(ending, world.shop.issue(&body));
        assert!([201, 403].contains(&issued.status), "{issued}");
        if issued.status == 403 {
            continue;
        }
        // After a disable nothing may live; after an end of all sessions only what was issued after it.
        let session = IssuedSession::of(&issued);
        let alive = session.status(&base).await == 200;
        if round % 2 == 0 {
            assert!(!alive, "round {round}: a session of a disabled user lives");
        } else if alive {
            let listed = world.shop.ask(Method::GET, &path).send().await.json();
            assert_eq!(listed["sessions"][0]["id"], session.session_id.as_str(), "round {round}: it lives unseen");
        }
    }
}

/// Whatever cannot be told is 503, never inactive.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_sick_store_is_never_taken_for_a_signed_out_user() {
    let stores = Stores::new(Backend::Production);
    let (settings, way) = stores.through_proxy();
    let server = Process::start(&settings);
    let shop = Service::add(&stores.settings(), &server.url(), "shop", ALL);
    let session = shop.session_of("user-1").await;
    assert_eq!(shop.introspect(&session.cookie, "").await.json()["active"], true);
    stores.redis().kill();
    way.refuse();
    way.cut();
    for _ in 0..50 {
        let told = shop.introspect(&session.cookie, "").await;
        assert!(told.status == 503 || told.json()["active"] == true, "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = shop.introspect(&session.cookie, "").await;
    told.assert_problem(503, "unavailable");
    assert!(told.header("retry-after").is_some());
    shop.issue(&user("user-2")).await.assert_status(503);
}
