//! Paths, methods and ids: each thing has one address, one set of methods, and answers to its owner alone.

use std::collections::BTreeSet;

use serde_json::json;

use crate::api::tools::{cookie_line, fingerprint, operations, problem_of, send};
use crate::support::client::{COOKIE, SignedIn};
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

const ASKED: &str = "X-Requested-With: sessiond";
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "ANYTHING"];

/// Spellings of an id that is somebody's, none of which is that id.
fn misspelt(id: &str) -> Vec<String> {
    let mut found: Vec<String> = [
        "1",
        "me",
        "current",
        "..",
        "%2e%2e",
        "..%2f..%2fme",
        "*",
        "%00",
        "%",
        "null",
        "undefined",
        "' OR 1=1 --",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    let plain = id.replace('-', "");
    found.extend([
        id.to_uppercase(),
        plain,
        format!("%7B{id}%7D"),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id}%00"),
        format!("{id}%20"),
        format!("{id}/"),
        format!("{id};x"),
        format!("{id}.json"),
        "a".repeat(1_000),
    ]);
    found
}

on_each_backend! {
    async fn an_id_has_one_spelling_and_one_owner(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let admin = server.admin().await;
        let target = server.issue(&owner).await;
        let before = fingerprint(&server.stores.database);
        let (by_owner, by_admin) = (cookie_line(&owner), cookie_line(admin.person()));
        let mut attempts: Vec<(&str, String, &str)> = misspelt(&target.session_id)
            .into_iter()
            .map(|id| ("DELETE", format!("/sessions/{id}"), by_owner.as_str()))
            .collect();
        attempts.extend([&stranger.session_id, &admin.person().session_id].map(|id| {
            ("DELETE", format!("/sessions/{id}"), by_owner.as_str())
        }));
        // An administrator has no power over others' sessions by this route, and a session's id is no user's.
        attempts.push(("DELETE", format!("/sessions/{}", target.session_id), by_admin.as_str()));
        for action in ["disable", "enable"] {
            let ids = misspelt(&owner.user_id).into_iter().chain([target.session_id.clone()]);
            attempts.extend(ids.map(|id| ("POST", format!("/admin/users/{id}/{action}"), by_admin.as_str())));
        }
        for (method, path, cookie) in attempts {
            let answer = send(&server, method, &path.replace(' ', "%20"), &[cookie, ASKED], b"").await;
            // What cannot be in an address at all is refused by the parser.
            let malformed = path.contains(['{', '\'']) && answer.status == Some(400);
            assert!(malformed || answer.status == Some(404), "{method} {path}: {answer:?}");
            assert!(malformed || problem_of(&answer).as_deref() == Some("not-found"), "{method} {path}: {answer:?}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        for who in [&owner, &target, &stranger] {
            assert!(who.is_signed_in().await);
        }
    }

    async fn a_wrong_method_is_405_for_everybody_and_changes_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        let all = operations(&server).await;
        let paths: BTreeSet<&str> = all.iter().map(|operation| operation.template.as_str()).collect();
        let cookie = cookie_line(&owner);
        for template in paths.into_iter().filter(|path| !path.starts_with("/auth/forward")) {
            let of_path = || all.iter().filter(|operation| operation.template == template);
            let mut right: BTreeSet<String> = of_path().map(|operation| operation.method.to_string()).collect();
            // A page stands at /reset, too; the document leaves pages out.
            if right.contains("GET") || template == "/reset" {
                right.extend(["GET".to_owned(), "HEAD".to_owned()]);
            }
            // HAProxy asks so.
            if template.starts_with("/health/") {
                right.insert("OPTIONS".to_owned());
            }
            let path = of_path().next().expect("an operation").path();
            for method in METHODS.iter().filter(|method| !right.contains(**method)) {
                for who in [ASKED, cookie.as_str()] {
                    let lines = [who, ASKED, "X-HTTP-Method-Override: DELETE", "Content-Type: application/json"];
                    let answer = send(&server, method, &path, &lines, b"").await;
                    assert_eq!(answer.status, Some(405), "{method} {path}: {answer:?}");
                    let allow = answer.header("allow").join(", ");
                    let allowed: BTreeSet<String> = allow.split(", ").map(str::to_owned).collect();
                    assert_eq!(allowed, right, "{method} {path}");
                }
            }
        }
        let overriding = [cookie.as_str(), ASKED, "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE"];
        assert_eq!(send(&server, "GET", "/sessions?_method=DELETE", &overriding, b"").await.status, Some(200));
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(owner.is_signed_in().await);
    }

    async fn no_other_spelling_of_a_path_gets_past_the_guard(server: TestServer) {
        let owner = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        let disable = format!("/admin/users/{}/disable", owner.user_id);
        for (method, path) in [("GET", "/me"), ("GET", "/sessions"), ("DELETE", "/sessions"), ("POST", disable.as_str())] {
            let (first, rest) = path.split_at(2);
            let encoded = format!("/%{:02x}{rest}", first.as_bytes()[1]);
            let spellings = [
                format!("/{path}"), format!("{path}/"), path.to_uppercase(), encoded.clone(), encoded.to_uppercase(), format!("{path};x"),
                format!("/.{path}"), format!("/x/..{path}"), format!("/%2e{path}"), format!("{path}%00"), format!("{path}%20"),
                format!("{path}/."), format!("{path}//"), format!("{path}%2f"), format!("{path}?x=/health/live"), format!("{path}#/health/live"),
                format!("/health/live/..{path}"), format!("/static/..{path}"), format!("/static/..%2f{rest}"), format!("/openapi.json{path}"),
                path.replace('/', "\\"), format!("http://evil.example{path}"), format!("*{path}"), path.trim_start_matches('/').to_owned(),
            ];
            for spelling in spellings {
                let lines = [ASKED, "X-Original-URL: /health/live", "X-Rewrite-URL: /health/live", "X-Forwarded-Prefix: /static"];
                let answer = send(&server, method, &spelling, &lines, b"").await;
                let status = answer.status.unwrap_or(400);
                assert!([400, 401, 404, 405].contains(&status), "{method} {spelling}: {answer:?}");
            }
        }
        // The guard cannot be talked round from an open route either.
        for line in ["X-Original-URL: /me", "X-Rewrite-URL: /me", "X-Forwarded-Uri: /me", "X-Original-Method: GET"] {
            let answer = send(&server, "GET", "/health/live", &[line, &cookie_line(&owner)], b"").await;
            assert_eq!(answer.body, "{\"status\":\"ok\"}", "{line}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn a_token_counts_in_the_cookie_alone(server: TestServer) {
        let owner = server.signed_in().await;
        let (token, cookie) = (owner.token(), owner.cookie());
        for path in ["/me", "/sessions", "/auth/forward"] {
            for secret in [&token, &cookie] {
                for line in [
                    format!("Authorization: Bearer {secret}"),
                    format!("Authorization: Cookie {secret}"),
                    format!("Authorization: {secret}"),
                    format!("X-Session-Token: {secret}"),
                    format!("X-Auth-Token: {secret}"),
                    format!("{COOKIE}: {secret}"),
                    format!("Set-Cookie: {COOKIE}={secret}"),
                    format!("X-Cookie: {COOKIE}={secret}"),
                    format!("X-Session-User: {}", owner.user_id),
                    format!("Remote-User: {}", owner.email),
                ] {
                    assert_eq!(send(&server, "GET", path, &[&line], b"").await.status, Some(401), "{line} at {path}");
                }
                for query in ["token", "session", "access_token", "sid", COOKIE] {
                    let path = format!("{path}?{query}={secret}");
                    assert_eq!(send(&server, "GET", &path, &[], b"").await.status, Some(401), "{path}");
                }
            }
        }
    }

    async fn a_query_is_ignored_where_nothing_changes(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let of = |who: &SignedIn| who.user_id.clone();
        for query in [format!("user_id={}", of(&stranger)), "admin=true&role=admin".to_owned(), "%zz=%ff&&=&a[]=1".to_owned()] {
            let me = owner.get(&format!("/me?{query}")).await.assert_status(200).json();
            assert_eq!(me.pointer("/user/id").and_then(serde_json::Value::as_str), Some(of(&owner).as_str()), "{query}");
            assert_eq!(owner.get(&format!("/sessions?{query}")).await.assert_status(200).json()["sessions"].as_array().map(Vec::len), Some(1));
        }
        owner.post(&format!("/admin/users/{}/disable?admin=true", of(&stranger))).await.assert_problem(403, "forbidden");
        let admin = server.admin().await;
        admin.post(&format!("/admin/users/{}/disable?admin=true", of(&stranger))).await.assert_problem(422, "invalid-body");
        // Where it means something, it is read strictly: a guess could end the wrong sessions.
        for query in ["include_current=", "include_current=1", "include_current=TRUE", "include_current=true&include_current=false"] {
            owner.delete(&format!("/sessions?{query}")).await.assert_problem(400, "invalid-body");
        }
        assert!(owner.is_signed_in().await && stranger.is_signed_in().await);
    }

    /// `?dry_run=true` belongs into a body: where it was overlooked, sessions would really end.
    async fn what_changes_something_knows_every_parameter_or_does_nothing(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let before = fingerprint(&server.stores.database);
        let mut asked = 0;
        for operation in operations(&server).await.iter().filter(|it| it.mutates()) {
            let path = operation.template.replace("{id}", &user.user_id);
            for (query, name) in [("dry_run=true", "dry_run"), ("include_current=true&x=1", if path == "/sessions" { "x" } else { "include_current" })] {
                let method = operation.method.clone();
                let answer = admin.change(method, &format!("{path}?{query}")).json(&json!({ "filter": { "user": user.user_id } })).send().await;
                let problem = answer.assert_problem(422, "invalid-body").json();
                assert_eq!(problem["errors"][0]["field"], json!(name), "{} {path}: {answer}", operation.method);
                asked += 1;
            }
        }
        assert!(asked > 20, "{asked}");
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(user.is_signed_in().await && admin.person().is_signed_in().await);
        // Nobody is told what a route knows before who asks is.
        server.anonymous().post("/admin/sessions/revoke?dry_run=true").await.assert_problem(401, "unauthenticated");
        user.post("/admin/sessions/revoke?dry_run=true").await.assert_problem(403, "forbidden");
    }
}
