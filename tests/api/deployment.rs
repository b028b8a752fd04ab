//! What an operator can set, and what gateways, probes and programs ask: registration, base path, cookie domain,
//! `/auth/forward`, `/health`, `/openapi.json`.

use reqwest::Method;
use serde_json::json;

use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::process::command_line_ok;
use crate::support::raw::get_with;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;
use crate::tools::{cookie_line, only_cookie, send};

on_each_backend! {
    async fn with_registration_closed_accounts_come_from_the_command_line(server: TestServer)
    with { "SESSIOND_REGISTRATION": "closed" } {
        let (visitor, email) = (server.anonymous(), new_email());
        visitor.register(&email).await.assert_problem(403, "registration-closed");
        assert_eq!(server.stores.database.count("users", "1 = 1"), 0);
        command_line_ok(&server.settings, &["user", "add", &email], &format!("{PASSWORD}\n"));
        // Closed is closed: it does not tell which addresses have an account.
        visitor.register(&email).await.assert_problem(403, "registration-closed");
        visitor.login(&email, PASSWORD).await.assert_status(200);
        visitor.get("/me").await.assert_status(200);
    }

    async fn everything_is_under_the_base_path_and_nothing_beside_it(server: TestServer)
    with { "SESSIOND_BASE_PATH": "/auth" } {
        let (visitor, email) = (server.anonymous(), new_email());
        let body = json!({ "email": email, "password": PASSWORD });
        visitor.post_json("/auth/register", &body).await.assert_status(201);
        let answer = visitor.post_json("/auth/login", &body).await;
        let line = only_cookie(answer.assert_status(200));
        assert!(line.starts_with(COOKIE) && line.ends_with("; Path=/"), "__Host- cookies are for the whole host: {line}");
        visitor.get("/auth/me").await.assert_status(200);
        visitor.get("/auth/auth/forward").await.assert_status(200);
        for path in ["/", "/auth/", "/auth/account", "/auth/health/ready", "/auth/openapi.json"] {
            let expected = if path == "/" { 404 } else { 200 };
            visitor.get(path).await.assert_status(expected);
        }
        for path in ["/me", "/login", "/health/live", "/openapi.json", "/auth/forward", "/auth/auth/me", "/authme"] {
            visitor.get(path).await.assert_problem(404, "not-found");
        }
        let bare = visitor.get("/auth").await;
        assert_eq!((bare.status, bare.header("location")), (307, Some("/auth/")), "as people type it: {bare}");
        let document = visitor.get("/auth/openapi.json").await.json();
        assert_eq!(document.pointer("/servers/0/url"), Some(&json!("/auth")));
        let link = command_line_ok(&server.settings, &["user", "reset", &email], "");
        assert!(link.contains("/auth/reset#"), "{link}");
        visitor.post("/auth/logout").await.assert_status(204);
        visitor.get("/auth/me").await.assert_problem(401, "unauthenticated");
    }

    async fn a_shared_domain_has_its_own_cookie_name(server: TestServer)
    with { "SESSIOND_COOKIE_DOMAIN": "example.com", "SESSIOND_ORIGIN": "https://app.example.com" } {
        let (visitor, email) = (server.anonymous(), new_email());
        visitor.register(&email).await.assert_status(201);
        let answer = visitor.login(&email, PASSWORD).await;
        let line = only_cookie(answer.assert_status(200));
        let mut parts = line.split("; ");
        let pair = parts.next().expect("a pair").to_owned();
        let mut attributes: Vec<&str> = parts.collect();
        attributes.sort_unstable();
        assert!(pair.starts_with("__Secure-session="), "{line}");
        assert_eq!(attributes, ["Domain=example.com", "HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
        let status = async |line: String| get_with(&server.url(), "/me", &[line.as_bytes()]).await.status;
        let value = pair.split_once('=').map(|(_, value)| value.to_owned()).expect("a value");
        assert_eq!(status(format!("Cookie: {pair}")).await, Some(200));
        assert_eq!(status(format!("Cookie: {COOKIE}={value}")).await, Some(401), "the other name");
        assert_eq!(status(format!("Cookie: {pair}; {pair}")).await, Some(401), "twice");
        let out = only_cookie(visitor.post("/logout").await.assert_status(204));
        assert!(out.starts_with("__Secure-session=;") && out.contains("Domain=example.com"), "{out}");
        assert_eq!(status(format!("Cookie: {pair}")).await, Some(401));
    }

    async fn a_gateway_may_ask_with_any_method_and_gets_three_headers(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "ANYTHING"] {
            // What the gateway's own client sent along must make no difference: its origin, its body, its headers.
            let lines = [cookie.as_str(), "Origin: https://evil.example", "X-Session-User: admin", "Sec-Fetch-Site: cross-site"];
            let answer = send(&server, method, "/auth/forward?x=1", &lines, b"").await;
            assert_eq!(answer.status, Some(200), "{method}: {answer:?}");
            assert_eq!(answer.header("x-session-user"), [owner.user_id.as_str()], "{method}");
            assert_eq!(answer.header("x-session-id"), [owner.session_id.as_str()], "{method}");
            assert_eq!(answer.header("x-session-authenticated-at").len(), 1, "{method}");
            assert_eq!((answer.body.as_str(), answer.header("set-cookie").len()), ("", 0), "{method}");
            let answer = send(&server, method, "/auth/forward", &["X-Session-User: admin"], b"").await;
            assert_eq!(answer.status, Some(401), "{method}");
            assert!(answer.header("x-session-user").is_empty() && answer.header("set-cookie").is_empty(), "{answer:?}");
        }
        owner.sign_out().await.assert_status(204);
        let answer = send(&server, "GET", "/auth/forward", &[&cookie], b"").await;
        assert_eq!((answer.status, answer.header("set-cookie").len()), (Some(401), 0));
    }

    async fn probes_are_told_how_it_is(server: TestServer) {
        let probe = server.anonymous();
        assert_eq!(probe.get("/health/live").await.assert_status(200).json(), json!({ "status": "ok" }));
        let redis = if server.stores.redis_if_any().is_some() { "ok" } else { "unused" };
        let ready = json!({ "ready": true, "ledger": "ok", "redis": redis, "clock": "ok" });
        assert_eq!(probe.get("/health/ready").await.assert_status(200).json(), ready);
        for path in ["/health/live", "/health/ready", "/openapi.json"] {
            let answer = probe.call(Method::HEAD, path).send().await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        }
    }

    async fn the_interface_describes_itself(server: TestServer) {
        let answer = server.anonymous().get("/openapi.json").await;
        let document = answer.assert_status(200).json();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
        for (path, method) in [("/login", "post"), ("/me", "patch"), ("/sessions/{id}", "delete"), ("/auth/forward", "get")] {
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
        assert!(document.get("servers").is_none(), "at the root");
    }

    async fn pages_are_there_without_a_session(server: TestServer) {
        let visitor = server.anonymous();
        for path in ["/", "/account", "/reset", "/console"] {
            let answer = visitor.get(path).await;
            assert_eq!(answer.assert_status(200).header("content-type"), Some("text/html; charset=utf-8"), "{path}");
            assert!(answer.set_cookies().is_empty(), "nobody gets a session by looking: {answer}");
        }
        for path in ["/static/", "/static/..%2fCargo.toml", "/static/index.html", "/static/nothing.js"] {
            visitor.get(path).await.assert_problem(404, "not-found");
        }
    }
}
