//! Sessions in which an agent acts for the user: short, marked everywhere, and good for reading alone.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::{Operation, fingerprint, operations};
use crate::support::client::Anonymous;
use crate::support::process::command_line_ok;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::service::{IssuedSession, Service, user};

const MINUTE: Duration = Duration::from_secs(60);
/// What is open to whoever acts: what needs no session, the sign-out, and three ways to look.
const OPEN: [(&str, &str); 13] = [
    ("GET", "/me"),
    ("GET", "/session"),
    ("GET", "/events"),
    ("GET", "/auth/forward"),
    ("GET", "/auth/forward/{page}"),
    ("POST", "/logout"),
    ("POST", "/login"),
    ("POST", "/register"),
    ("POST", "/reset"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/openapi.json"),
    ("GET", "/.well-known/jwks.json"),
];

/// A service with every scope.
pub(super) fn shop(server: &TestServer) -> Service {
    Service::add(&server.settings, &server.url(), "shop", "issue,introspect,revoke")
}

/// A body of `/issue` for an agent.
pub(super) fn agent(subject: &str) -> Value {
    acting(subject, "agent", "assistant-7")
}

fn acting(subject: &str, kind: &str, id: &str) -> Value {
    let mut body = user(subject);
    body["actor"] = json!({ "kind": kind, "id": id });
    body
}

/// With an empty body, where it takes one: who may not call is told so before the body is read.
async fn ask(who: &Anonymous, operation: &Operation) -> Response {
    let call = who.change(operation.method.clone(), &operation.path());
    let call = if operation.has_body { call.json(&json!({})) } else { call };
    call.send().await
}

fn is_open(operation: &Operation) -> bool {
    OPEN.contains(&(operation.method.as_str(), operation.template.as_str()))
}

/// The kinds and ids of who acts in each session of an answer, in the order of the ids.
fn actors(answer: &Response) -> Vec<String> {
    let sessions = answer.assert_status(200).json()["sessions"].as_array().expect("sessions").clone();
    let word = |session: &Value| match &session["actor"] {
        Value::Null => "-".to_owned(),
        actor => format!("{}:{}", actor["kind"].as_str().unwrap_or("?"), actor["id"].as_str().unwrap_or("?")),
    };
    let mut words: Vec<_> = sessions.iter().map(word).collect();
    words.sort_unstable();
    words
}

on_each_backend! {
    async fn an_agent_has_a_session_of_its_own_that_says_so(server: TestServer) {
        let shop = shop(&server);
        let own = shop.session_of("user-1").await;
        let answer = shop.issue(&agent("user-1")).await;
        let agents = IssuedSession::of(&answer);
        assert_eq!(answer.json()["session"]["actor"], json!({ "kind": "agent", "id": "assistant-7", "reason": null }));
        assert_eq!((answer.json()["session"]["remember"].clone(), &agents.user_id), (json!(false), &own.user_id));
        let set_cookie = answer.json()["cookie"]["set_cookie"].as_str().expect("a header").to_owned();
        assert!(!set_cookie.contains("Max-Age"), "{set_cookie}");
        let browser = agents.at(&server.url());
        for path in ["/me", "/session"] {
            let me = browser.get(path).await.assert_status(200).json();
            assert_eq!((&me["session"]["actor"]["id"], &me["user"]["subject"]), (&json!("assistant-7"), &json!("user-1")));
        }
        // More than once: by the ledger, by a record, and by a copy where there are copies.
        for _ in 0..4 {
            let forward = browser.get("/auth/forward").await;
            assert_eq!(forward.header("x-session-actor"), Some("agent:assistant-7"));
            assert_eq!(forward.header("x-session-authenticated-at"), Some("0"), "the user has proven nothing");
            assert_eq!(forward.header("x-session-user"), Some(own.user_id.as_str()));
            let told = shop.introspect(&agents.cookie, "").await.assert_status(200).json();
            assert_eq!(told["act"], json!({ "sub": "assistant-7", "kind": "agent" }), "{told}");
            assert!(told["active"] == true && told.get("auth_time").is_none(), "{told}");
        }
        let forward = own.at(&server.url()).get("/auth/forward").await;
        assert_eq!(forward.header("x-session-actor"), Some("none"), "so that it overwrites a client's own");
        assert!(shop.introspect(&own.cookie, "").await.json().get("act").is_none());
        // Marked in every list.
        let listed = own.at(&server.url()).get("/sessions").await;
        assert_eq!(actors(&listed), ["-", "agent:assistant-7"]);
        let listed = shop.ask(Method::GET, "/subjects/user-1/sessions").send().await;
        assert_eq!(actors(&listed), ["-", "agent:assistant-7"]);
        let admin = server.admin().await;
        assert_eq!(actors(&admin.get("/admin/sessions?filter[actor]=agent").await), ["agent:assistant-7"]);
        assert_eq!(actors(&admin.get("/admin/sessions?filter[actor]=admin").await), Vec::<String>::new());
        let of_user = format!("/admin/users/{}/sessions", own.user_id);
        assert_eq!(actors(&admin.get(&of_user).await), ["-", "agent:assistant-7"]);
        let printed = command_line_ok(&server.settings, &["sessions", "list", "--actor", "agent"], "");
        assert!(printed.contains(&agents.session_id) && printed.contains("agent:assistant-7"), "{printed}");
        assert!(!printed.contains(&own.session_id), "{printed}");
        let line = "event = 'acting_session_issued' AND detail = 'agent:assistant-7' AND actor = 'service shop'";
        assert_eq!(server.stores.database.count("audit", line), 1);
        assert_eq!(server.stores.database.count("audit", "event = 'authn_login_success' AND actor = 'service shop'"), 1);
        // It signs itself out, and nobody else.
        browser.post("/logout").await.assert_status(204);
        assert_eq!((agents.status(&server.url()).await, own.status(&server.url()).await), (401, 200));
    }

    /// Whatever the document lists, so that a new operation is closed until somebody opens it here and there.
    async fn whoever_acts_only_looks_whatever_the_user_may_do(server: TestServer) {
        let (shop, admin) = (shop(&server), server.admin().await);
        let first = shop.session_of("boss").await;
        let roles = format!("/admin/users/{}/roles", first.user_id);
        admin.put_json(&roles, &json!({ "roles": ["admin"] })).await.assert_status(204);
        let own = shop.session_of("boss").await;
        own.at(&server.url()).get("/admin/users").await.assert_status(200);
        let mut refused = 0;
        for kind in ["agent", "admin"] {
            let session = IssuedSession::of(&shop.issue(&acting("boss", kind, "somebody")).await);
            let browser = session.at(&server.url());
            let before = fingerprint(&server.stores.database);
            for operation in operations(&server).await {
                if operation.is_for_services() || is_open(&operation) {
                    continue;
                }
                ask(&browser, &operation).await.assert_problem(403, "acting-session");
                refused += 1;
            }
            assert_eq!(fingerprint(&server.stores.database), before);
            for (_, path) in OPEN.iter().take(4) {
                browser.get(path).await.assert_status(200);
            }
        }
        assert!(refused >= 40, "only {refused}");
        server.until_audited("authz_fail", refused).await;
        assert_eq!(own.status(&server.url()).await, 200);
    }

    async fn an_agent_takes_no_room_from_the_users_own_sessions(server: TestServer) with { "SESSIOND_MAX_SESSIONS": "2" } {
        let shop = shop(&server);
        let (one, two) = (shop.session_of("user-1").await, shop.session_of("user-1").await);
        let mut agents = Vec::new();
        for _ in 0..3 {
            agents.push(IssuedSession::of(&shop.issue(&agent("user-1")).await));
        }
        let alive = async |session: &IssuedSession| session.status(&server.url()).await == 200;
        assert!(alive(&one).await && alive(&two).await, "agents evict nobody");
        let three = shop.session_of("user-1").await;
        assert!(!alive(&one).await && alive(&two).await && alive(&three).await, "the limit is the user's own");
        for agent in &agents {
            assert!(alive(agent).await, "and no agent makes room");
        }
        // Nor does it end what the browser has, unless it is asked to.
        let mut replacing = agent("user-1");
        replacing["replaces"] = json!(two.cookie);
        shop.issue(&replacing).await.assert_status(201);
        assert!(!alive(&two).await && alive(&three).await);
    }

    async fn a_user_has_at_most_a_hundred_agents_and_signs_in_all_the_same(server: TestServer) {
        let shop = shop(&server);
        let mut statuses = Vec::new();
        for round in 0..101 {
            if round == 60 {
                shop.issue(&agent("user-1")).await.assert_problem(429, "too-many-attempts");
                assert_eq!(shop.issue(&user("user-1")).await.status, 201, "an agent in a loop locks nobody out");
                server.clock.advance(10 * MINUTE);
            }
            statuses.push(shop.issue(&agent("user-1")).await.status);
        }
        assert_eq!(statuses.pop(), Some(409));
        assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
        assert_eq!(shop.issue(&user("user-1")).await.status, 201);
    }

    async fn it_is_over_after_an_hour_however_busy_it_is(server: TestServer) {
        let shop = shop(&server);
        let own = shop.session_of("user-1").await;
        let session = IssuedSession::of(&shop.issue(&agent("user-1")).await);
        for _ in 0..3 {
            server.clock.advance(19 * MINUTE);
            assert_eq!((session.status(&server.url()).await, own.status(&server.url()).await), (200, 200));
        }
        server.clock.advance(4 * MINUTE);
        assert_eq!((session.status(&server.url()).await, own.status(&server.url()).await), (401, 200));
        // Shorter, never longer; and never remembered.
        let mut brief = agent("user-1");
        brief["absolute_timeout"] = json!(60);
        let brief = IssuedSession::of(&shop.issue(&brief).await);
        server.clock.advance(MINUTE);
        assert_eq!(brief.status(&server.url()).await, 401);
        for (field, value, named) in [
            ("absolute_timeout", json!(3_601), "idle_timeout"),
            ("idle_timeout", json!(1_801), "idle_timeout"),
            ("remember", json!(true), "remember"),
            ("actor", json!({ "kind": "agent", "id": "" }), "actor.id"),
            ("actor", json!({ "kind": "agent", "id": "a b" }), "actor.id"),
            ("actor", json!({ "kind": "agent", "id": "ä" }), "actor.id"),
            ("actor", json!({ "kind": "agent", "id": "x".repeat(65) }), "actor.id"),
            ("actor", json!({ "kind": "robot", "id": "x" }), "actor"),
            ("actor", json!({ "kind": "agent" }), "actor"),
            ("actor", json!({ "kind": "agent", "id": "x", "reason": "y" }), "actor"),
        ] {
            let mut wrong = agent("user-1");
            wrong[field] = value;
            let refusal = shop.issue(&wrong).await;
            let told = refusal.assert_problem(422, "invalid-body").json()["errors"][0]["field"].clone();
            assert_eq!(told, named, "{field}: {refusal}");
        }
    }

    async fn all_agents_end_with_one_request_and_nothing_else_does(server: TestServer) {
        let shop = shop(&server);
        let own = shop.session_of("user-1").await;
        let other = IssuedSession::of(&shop.issue(&agent("user-2")).await);
        let issue = async || {
            let agents = [shop.issue(&agent("user-1")).await, shop.issue(&agent("user-1")).await];
            let admin = shop.issue(&acting("user-1", "admin", "support-3")).await;
            (agents.map(|it| IssuedSession::of(&it)), IssuedSession::of(&admin))
        };
        let browser = own.at(&server.url());
        let admin = server.admin().await;
        let by_filter = json!({ "filter": { "actor": "agent", "user": own.user_id } });
        for way in 0..4 {
            let (agents, support) = issue().await;
            let ended = match way {
                0 => browser.delete("/sessions?actor=agent").await.assert_status(200).json(),
                1 => shop.ask(Method::DELETE, "/subjects/user-1/sessions?actor=agent").send().await.assert_status(200).json(),
                2 => admin.post_json("/admin/sessions/revoke", &by_filter).await.assert_status(200).json(),
                _ => {
                    let arguments = ["sessions", "revoke", "--actor", "agent", "--user", &own.user_id, "--yes", "--json"];
                    serde_json::from_str(&command_line_ok(&server.settings, &arguments, "")).expect("JSON")
                }
            };
            assert_eq!(ended["revoked"], 2, "{way}: {ended}");
            for session in &agents {
                assert_eq!(session.status(&server.url()).await, 401, "{way}");
            }
            for session in [&support, &own, &other] {
                assert_eq!(session.status(&server.url()).await, 200, "{way}");
            }
            browser.delete("/sessions?actor=admin").await.assert_status(200);
            assert_eq!(support.status(&server.url()).await, 401, "{way}");
        }
        browser.delete("/sessions?actor=robot").await.assert_problem(400, "invalid-body");
        // A thief with the user's cookie needs the proof for this, too.
        let (agents, _) = issue().await;
        server.clock.advance(16 * MINUTE);
        browser.delete("/sessions?actor=agent").await.assert_problem(403, "step-up-required");
        assert_eq!(agents[0].status(&server.url()).await, 200);
    }

    async fn it_ends_with_the_user(server: TestServer) {
        let shop = shop(&server);
        let ways = ["/subjects/{subject}/disable", "/subjects/{subject}/sessions", "user delete", "roles"];
        for (number, way) in ways.into_iter().enumerate() {
            let subject = format!("user-{number}");
            let session = IssuedSession::of(&shop.issue(&agent(&subject)).await);
            assert_eq!(session.status(&server.url()).await, 200);
            match way {
                "user delete" => drop(command_line_ok(&server.settings, &["user", "delete", &session.user_id], "")),
                "roles" => {
                    let path = format!("/admin/users/{}/roles", session.user_id);
                    server.admin().await.put_json(&path, &json!({ "roles": ["admin"] })).await.assert_status(204);
                }
                path => {
                    let method = if path.ends_with("disable") { Method::POST } else { Method::DELETE };
                    shop.ask(method, &path.replace("{subject}", &subject)).send().await.assert_status(200);
                }
            }
            assert_eq!(session.status(&server.url()).await, 401, "{way}");
        }
        shop.issue(&agent("user-0")).await.assert_problem(403, "user-disabled");
    }

    /// As often as `tests/run --soak` asks for.
    async fn an_agent_that_comes_while_all_sessions_end_does_not_stay_unseen(server: TestServer) {
        let shop = shop(&server);
        let rounds = if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 1_000 } else { 30 };
        for round in 0..rounds {
            let subject = format!("user-{round}");
            shop.session_of(&subject).await;
            let (disables, body) = (round % 2 == 0, agent(&subject));
            let path = format!("/subjects/{subject}/{}", if disables { "disable" } else { "sessions" });
            let method = if disables { Method::POST } else { Method::DELETE };
            let ending = async {
                tokio::time::sleep(Duration::from_micros(round % 10 * 700)).await;
                shop.ask(method, &path).send().await.assert_status(200);
            };
            let ((), issued) = tokio::join!(ending, shop.issue(&body));
            assert!([201, 403].contains(&issued.status), "{issued}");
            if issued.status == 403 {
                continue;
            }
            let session = IssuedSession::of(&issued);
            let alive = session.status(&server.url()).await == 200;
            assert!(!(disables && alive), "round {round}: an agent of a disabled user lives");
            if alive {
                let listed = shop.ask(Method::GET, &path).send().await.json();
                assert_eq!(listed["sessions"][0]["id"], session.session_id.as_str(), "round {round}: it lives unseen");
            }
        }
    }
}

/// Redis and the copies in memory. Production only.
#[cfg(feature = "postgres")]
mod records {
    use super::*;
    use crate::support::server::Backend;

    /// The last fields of the records in Redis, by their length.
    fn records(server: &TestServer) -> Vec<Vec<String>> {
        let servers = server.stores.servers();
        let texts = servers.keys("session:*").into_iter().map(|key| servers.of(&key).cli::<String>(&["GET", &key]));
        let records = texts.filter(|text| text.starts_with("1 "));
        records.map(|text| text.split(' ').map(str::to_owned).collect()).collect()
    }

    #[tokio::test]
    async fn only_an_acting_session_has_an_eleventh_field_and_none_is_copied() {
        let server = TestServer::with(Backend::Production, &[("SESSIOND_NEAR_CACHE", "1000")]).await;
        let shop = shop(&server);
        let own = shop.session_of("user-1").await;
        let agents = IssuedSession::of(&shop.issue(&agent("user-1")).await);
        let (user, agent) = (own.at(&server.url()), agents.at(&server.url()));
        for _ in 0..8 {
            assert_eq!(user.get("/auth/forward").await.header("x-session-actor"), Some("none"));
            assert_eq!(agent.get("/auth/forward").await.header("x-session-actor"), Some("agent:assistant-7"));
            let told = shop.introspect(&agents.cookie, "").await.json();
            assert_eq!(told["act"]["sub"], "assistant-7", "{told}");
        }
        let mut records = records(&server);
        records.sort_by_key(Vec::len);
        let lengths: Vec<_> = records.iter().map(Vec::len).collect();
        assert_eq!(lengths, [10, 11], "{records:?}");
        assert_eq!(records[1][10], "agent:assistant-7");
    }

    /// As for any other session.
    #[tokio::test]
    async fn a_check_of_an_acting_session_costs_one_redis_command_and_no_sql() {
        let server = TestServer::start(Backend::Production).await;
        let shop = shop(&server);
        let session = IssuedSession::of(&shop.issue(&agent("user-1")).await);
        let browser = session.at(&server.url());
        for _ in 0..4 {
            session.at(&server.url()).get("/auth/forward").await.assert_status(200);
        }
        let ledger = server.node().app().core.ledger().clone();
        let mut least = u64::MAX;
        // Short windows: what the node asks by itself is in some of them, and not in all.
        for _ in 0..40 {
            let before = ledger.statements();
            for _ in 0..3 {
                browser.get("/auth/forward").await.assert_status(200);
                shop.introspect(&session.cookie, "").await.assert_status(200);
            }
            least = least.min(ledger.statements() - before);
        }
        assert_eq!(least, 0, "no SQL at all");
    }
}
