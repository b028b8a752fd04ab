//! What a machine may do: a service that administers with its secret, and roles that a service gives to its users.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sessiond::domain::ServiceSecret;

use crate::api::tools::{NOBODY, Operation, fingerprint, operations};
use crate::support::requests::{Call, Requests};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::service::{IssuedSession, Service, user};

fn service(server: &TestServer, name: &str, scopes: &str) -> Service {
    Service::add(&server.settings, &server.url(), name, scopes)
}

async fn administration(server: &TestServer) -> Vec<Operation> {
    let mut all = operations(server).await;
    all.retain(|it| it.template.starts_with("/admin/"));
    assert!(all.len() >= 14, "only {all:?}");
    all
}

/// With a body that changes nothing.
fn with_body<'a>(call: Call<'a>, operation: &Operation) -> Call<'a> {
    let body = if operation.template.ends_with("/roles") { json!({ "roles": [] }) } else { json!({ "filter": {} }) };
    if operation.has_body { call.json(&body) } else { call }
}

fn lines(server: &TestServer, actor: &str, event: &str) -> usize {
    server.stores.database.count("audit", &format!("actor = '{actor}' AND event = '{event}'"))
}

on_each_backend! {
    async fn every_administrators_route_is_open_to_the_scope_for_it_and_never_to_a_browser(server: TestServer) {
        let (reader, writer) = (service(&server, "reader", "admin.read"), service(&server, "writer", "admin.write"));
        let others = service(&server, "others", "issue,introspect,revoke");
        let admin = server.admin().await;
        let cookie = format!("__Host-session={}", admin.person().cookie());
        let before = fingerprint(&server.stores.database);
        for operation in administration(&server).await {
            let (right, wrong, missing) = match operation.method == Method::GET {
                true => (&reader, &writer, "admin.read"),
                false => (&writer, &reader, "admin.write"),
            };
            let ask = |who: &'_ Service| {
                let authorization = format!("Bearer {}", who.secret);
                with_body(right.call(operation.method.clone(), &operation.path()), &operation)
                    .header("Authorization", &authorization)
            };
            let answer = ask(right).send().await;
            assert!([200, 204, 404, 422].contains(&answer.status), "{operation:?}: {answer}");
            for who in [wrong, &others] {
                let answer = ask(who).send().await;
                answer.assert_problem(403, "insufficient-scope");
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                assert!(challenge.contains(&format!("scope=\"{missing}\"")), "{operation:?}: {answer}");
            }
            // A browser gives itself away; so does a person's cookie beside the secret, whatever it opens.
            for (name, value) in [
                ("Origin", server.url().as_str()),
                ("Origin", "null"),
                ("Sec-Fetch-Site", "same-origin"),
                ("Cookie", &cookie),
                ("Cookie", "__Host-session=forged"),
            ] {
                ask(right).header(name, value).send().await.assert_problem(403, "from-browser");
            }
            // No secret, a damaged one, two of them.
            let bare = || with_body(right.change(operation.method.clone(), &operation.path()), &operation);
            bare().send().await.assert_problem(401, "unauthenticated");
            bare().header("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.").send().await.assert_status(401);
            let mut damaged = right.secret.clone();
            damaged.replace_range(30..31, if damaged.get(30..31) == Some("0") { "1" } else { "0" });
            let answer = bare().header("Authorization", &format!("Bearer {damaged}")).send().await;
            answer.assert_problem(401, "unknown-service");
            ask(right).header("Authorization", "Basic eDp5").send().await.assert_problem(401, "unknown-service");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        // Other credentials in that header change nothing for a person.
        let admins = admin.person().call(Method::GET, "/admin/users").header("Authorization", "Basic eDp5");
        admins.send().await.assert_status(200);
        // And the secret opens nothing that is a person's own.
        writer.ask(Method::GET, "/me").send().await.assert_problem(401, "unauthenticated");
        writer.ask(Method::DELETE, "/sessions").header("X-Requested-With", "x").send().await.assert_status(401);
    }

    async fn a_service_administers_without_a_proof_and_the_log_names_it(server: TestServer) {
        let (reader, writer) = (service(&server, "reader", "admin.read"), service(&server, "writer", "admin.write"));
        let (person, other) = (server.signed_in().await, server.signed_in().await);
        let at = |rest: &str| format!("/admin/users/{}{rest}", person.user_id);
        let found = reader.ask(Method::GET, &at("")).send().await.assert_status(200).json();
        assert_eq!(found["sessions"][0]["current"], false, "a service has no session of its own: {found}");
        let all = reader.ask(Method::GET, "/admin/sessions").send().await.assert_status(200).json();
        assert_eq!(all["sessions"].as_array().map(Vec::len), Some(2));
        writer.ask(Method::POST, &at("/disable")).send().await.assert_status(204);
        assert!(!person.is_signed_in().await);
        writer.ask(Method::POST, &at("/enable")).send().await.assert_status(204);
        let again = person.sign_in_again().await;
        writer.ask(Method::PUT, &at("/roles")).json(&json!({ "roles": ["admin"] })).send().await.assert_status(204);
        assert!(!again.is_signed_in().await, "the next session has the role");
        again.sign_in_again().await.get("/admin/users").await.assert_status(200);
        let session = format!("/admin/sessions/{}", other.session_id);
        writer.ask(Method::DELETE, &session).send().await.assert_status(204);
        assert!(!other.is_signed_in().await);
        let other = other.sign_in_again().await;
        let matching = json!({ "filter": { "user": other.user_id } });
        let ended = writer.ask(Method::POST, "/admin/sessions/revoke").json(&matching).send().await;
        assert_eq!(ended.assert_status(200).json()["revoked"], 1);
        assert!(!other.is_signed_in().await);
        let third = other.sign_in_again().await;
        let theirs = format!("/admin/users/{}/sessions", other.user_id);
        assert_eq!(writer.ask(Method::DELETE, &theirs).send().await.assert_status(200).json()["revoked"], 1);
        assert!(!third.is_signed_in().await);
        writer.ask(Method::DELETE, &format!("/admin/users/{}", other.user_id)).send().await.assert_status(204);
        for (event, count) in [("user_disabled", 1), ("user_enabled", 1), ("authz_change", 1), ("user_deleted", 1)] {
            assert_eq!(lines(&server, "service writer", event), count, "{event}");
        }
        let log = reader.ask(Method::GET, "/admin/audit?filter[actor]=service%20writer").send().await;
        let log = log.assert_status(200).json();
        assert!(log["events"].as_array().is_some_and(|it| it.len() >= 4), "{log}");
        reader.ask(Method::GET, "/admin/audit?filter[actor]=service%20").send().await.assert_status(422);
    }

    async fn a_service_is_never_the_last_administrator_and_may_not_remove_it(server: TestServer) {
        let writer = service(&server, "writer", "admin.write,issue");
        let admin = server.admin().await;
        // A subject may administer, and does not count either.
        let mut body = user("user-1");
        body["roles"] = json!(["admin"]);
        IssuedSession::of(&writer.issue(&body).await);
        let at = |rest: &str| format!("/admin/users/{}{rest}", admin.person().user_id);
        writer.ask(Method::POST, &at("/disable")).send().await.assert_problem(409, "last-administrator");
        writer.ask(Method::DELETE, &at("")).send().await.assert_problem(409, "last-administrator");
        let roles = writer.ask(Method::PUT, &at("/roles")).json(&json!({ "roles": [] })).send().await;
        roles.assert_problem(409, "last-administrator");
        assert!(admin.person().is_signed_in().await);
    }

    /// A node may go by what it has read for three seconds: nothing is changed meanwhile.
    async fn a_secret_that_was_removed_a_moment_ago_changes_nothing(server: TestServer) {
        // From now on the node's stopwatch stands still, so what it reads stays young.
        server.clock.advance(Duration::from_secs(10));
        let writer = service(&server, "writer", "admin.read,admin.write");
        let (person, admin) = (server.signed_in().await, server.admin().await);
        let at = |rest: &str| format!("/admin/users/{}{rest}", person.user_id);
        writer.ask(Method::GET, &at("")).send().await.assert_status(200);
        server.stores.database.execute("DELETE FROM service_credentials");
        writer.ask(Method::GET, &at("")).send().await.assert_status(200);
        let before = fingerprint(&server.stores.database);
        for operation in administration(&server).await.into_iter().filter(|it| it.method != Method::GET) {
            let path = operation.template.replace("{id}", &person.user_id);
            let path = if path.starts_with("/admin/sessions/0") { format!("/admin/sessions/{}", person.session_id) } else { path };
            if path.contains("/alerts/") {
                continue;
            }
            let call = writer.ask(operation.method.clone(), &path);
            let body = json!({ "filter": { "user": person.user_id } });
            let call = if path.ends_with("/sessions/revoke") { call.json(&body) } else { with_body(call, &operation) };
            call.send().await.assert_problem(401, "unknown-service");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(person.is_signed_in().await && admin.person().is_signed_in().await);
    }

    async fn requests_of_one_service_are_limited(server: TestServer) {
        let (reader, other) = (service(&server, "reader", "admin.read"), service(&server, "other", "admin.read"));
        let credentials = &server.node().app().credentials;
        let secret = ServiceSecret::parse(&reader.secret).expect("a secret");
        let caller = credentials.recognise(&secret).await.expect("an answer").expect("it counts");
        for _ in 0..6_000 {
            credentials.count_administration(&caller).await.expect("within the limit");
        }
        let answer = reader.ask(Method::GET, "/admin/users").send().await;
        answer.assert_problem(429, "too-many-attempts");
        assert!(answer.header("retry-after").is_some(), "{answer}");
        other.ask(Method::GET, "/admin/users").send().await.assert_status(200);
        server.clock.advance(Duration::from_secs(600));
        reader.ask(Method::GET, "/admin/users").send().await.assert_status(200);
    }

    async fn a_service_with_both_scopes_gives_roles_and_takes_them(server: TestServer) {
        let both = service(&server, "both", "issue,admin.write");
        let shop = service(&server, "shop", "issue");
        let with = |roles: Value| {
            let mut body = user("user-1");
            body["roles"] = roles;
            body
        };
        let refused = shop.issue(&with(json!([]))).await;
        refused.assert_problem(403, "insufficient-scope");
        assert!(refused.header("www-authenticate").is_some_and(|it| it.contains("scope=\"admin.write\"")), "{refused}");
        assert_eq!(server.stores.database.count("users", "subject = 'user-1'"), 0, "nothing was made");
        for wrong in [Value::Null, json!("admin"), json!(["root"])] {
            both.issue(&with(wrong)).await.assert_problem(422, "invalid-body");
        }
        let answer = both.issue(&with(json!(["admin"]))).await;
        assert_eq!(answer.assert_status(201).json()["user"]["roles"], json!(["user", "admin"]));
        let first = IssuedSession::of(&answer);
        let reaches = async |session: &IssuedSession| session.at(&server.url()).get("/admin/users").await.status;
        assert_eq!(reaches(&first).await, 200);
        // Without a word about roles, or with the same ones, nothing changes.
        let second = shop.session_of("user-1").await;
        let third = IssuedSession::of(&both.issue(&with(json!(["user", "admin"]))).await);
        assert_eq!((reaches(&first).await, reaches(&second).await, reaches(&third).await), (200, 200, 200));
        let fourth = IssuedSession::of(&both.issue(&with(json!([]))).await);
        for session in [&first, &second, &third] {
            assert_eq!(reaches(session).await, 401, "it was issued under other roles");
        }
        assert_eq!(reaches(&fourth).await, 403);
        assert_eq!(fourth.status(&server.url()).await, 200);
        let details = "SELECT detail AS value FROM audit WHERE event = 'authz_change' AND actor = 'service both' ORDER BY id";
        let details: Vec<_> = server.stores.database.values(details).into_iter().flatten().collect();
        assert_eq!(details, ["user -> user admin", "user admin -> user"]);
    }

    async fn other_roles_make_room_where_there_was_none(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "1", "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        let both = service(&server, "both", "issue,admin.write");
        let first = both.session_of("user-1").await;
        both.issue(&user("user-1")).await.assert_problem(409, "too-many-sessions");
        let mut body = user("user-1");
        body["roles"] = json!(["admin"]);
        let second = IssuedSession::of(&both.issue(&body).await);
        assert_eq!((first.status(&server.url()).await, second.status(&server.url()).await), (401, 200));
        assert_ne!(second.user_id, NOBODY);
    }
}
