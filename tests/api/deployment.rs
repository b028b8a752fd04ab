//! What an operator can set, and what gateways, probes and programs ask: registration, base path, cookie domain,
//! `/auth/forward`, `/health`, `/openapi.json`.

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{cookie_line, only_cookie, send};
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::process::command_line_ok;
use crate::support::raw::{RawResponse, get_with, raw};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const JSON: &str = "Content-Type: application/json";

/// A request with the host that these lines say.
async fn send_to(server: &TestServer, what: &str, lines: &[&str], body: &str) -> RawResponse {
    let lines = lines.join("\r\n");
    let length = body.len();
    let request = format!("{what} HTTP/1.1\r\n{lines}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    raw(&server.url(), request.as_bytes()).await
}

/// Domain and path of the session cookies that an answer removes.
fn removed(answer: &RawResponse) -> Vec<String> {
    let attribute =
        |line: &str, name: &str| line.split("; ").find_map(|part| part.strip_prefix(name)).unwrap_or("-").to_owned();
    let lines = answer.header("set-cookie").into_iter().filter(|line| line.starts_with("__Secure-session=;"));
    lines.map(|line| attribute(line, "Domain=") + &attribute(line, "Path=")).collect()
}

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
        let out = visitor.post("/logout").await;
        let removed = out.assert_status(204).set_cookies();
        assert!(removed.iter().all(|line| line.starts_with("__Secure-session=;") && line.contains("Max-Age=0")), "{out}");
        assert!(removed.iter().any(|line| line.contains("Domain=example.com")), "{out}");
        assert_eq!(status(format!("Cookie: {pair}")).await, Some(401));
    }

    /// A browser that has the cookie of the domain that was configured before, or one that a sibling host has set, signs in.
    async fn several_cookies_of_a_shared_name_go_with_the_refusal_with_a_sign_in_and_with_a_sign_out(server: TestServer)
    with { "SESSIOND_COOKIE_DOMAIN": "example.co.uk", "SESSIOND_ORIGIN": "https://app.example.co.uk,https://a.b.example.co.uk" } {
        let email = new_email();
        server.anonymous().register(&email).await.assert_status(201);
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        let login = async |host: &str, cookie: &str| {
            send_to(&server, "POST /login", &[&format!("Host: {host}"), JSON, cookie], &body).await
        };
        let own = |answer: &RawResponse| {
            let lines = answer.header("set-cookie").into_iter().filter(|line| !line.contains("Max-Age=0"));
            lines.filter(|line| line.starts_with("__Secure-session=")).map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let first = login("app.example.co.uk", "X: x").await;
        assert_eq!((own(&first).len(), removed(&first).len()), (1, 0), "a browser without a cookie needs nothing removed");
        let pair = own(&first).concat().split(';').next().expect("a pair").to_owned();

        for (host, above) in [
            ("app.example.co.uk", vec!["-/", "app.example.co.uk/"]),
            ("a.b.example.co.uk", vec!["-/", "a.b.example.co.uk/", "b.example.co.uk/"]),
            // Whatever host a proxy makes of it.
            ("sessiond:8080", vec!["-/", "app.example.co.uk/"]),
            ("evil.example", vec!["-/", "app.example.co.uk/"]),
        ] {
            let refusal = send_to(&server, "GET /me", &[&format!("Host: {host}"), &format!("Cookie: {pair}; __Secure-session=x")], "").await;
            assert_eq!(refusal.status, Some(401), "which one is meant cannot be told: {refusal:?}");
            let gone = removed(&refusal);
            for place in above.iter().chain(&["example.co.uk/", "-/me", "example.co.uk/me"]) {
                assert!(gone.contains(&(*place).to_owned()), "{host}: {place}: {gone:?}");
            }
            assert!(gone.iter().all(|place| !place.starts_with("co.uk") && !place.contains("evil")), "{gone:?}");
            for cookie in [format!("Cookie: {pair}"), format!("Cookie: {pair}; __Secure-session=x"), "Cookie: __Secure-session=x".to_owned()] {
                let signed_in = login(host, &cookie).await;
                assert_eq!((signed_in.status, own(&signed_in).len()), (Some(200), 1), "{signed_in:?}");
                let gone = removed(&signed_in);
                for place in &above {
                    assert!(gone.contains(&(*place).to_owned()), "{host}: {place}: {gone:?}");
                }
                assert!(!gone.contains(&"example.co.uk/".to_owned()), "but for the one that is set: {gone:?}");
            }
        }
        // A gateway never gets a cookie, and where only the cookie of this configuration was sent it is told alone.
        let pair = own(&login("app.example.co.uk", "X: x").await).concat().split(';').next().expect("a pair").to_owned();
        let asked = send_to(&server, "GET /auth/forward", &["Host: app.example.co.uk", &format!("Cookie: {pair}; {pair}")], "").await;
        assert_eq!((asked.status, asked.header("set-cookie").len()), (Some(401), 0), "{asked:?}");
        let me = send_to(&server, "GET /me", &["Host: app.example.co.uk", &format!("Cookie: {pair}")], "").await;
        assert_eq!((me.status, me.header("set-cookie").len()), (Some(200), 0), "{me:?}");
        // One that a sibling host has set for this path alone keeps nobody from signing out.
        for cookie in [format!("Cookie: {pair}; __Secure-session=x"), "Cookie: __Secure-session=x; __Secure-session=y".to_owned()] {
            let out = send_to(&server, "POST /logout", &["Host: app.example.co.uk", "X-Requested-With: x", &cookie], "").await;
            let gone = removed(&out);
            assert_eq!(out.status, Some(204), "{out:?}");
            for place in ["-/", "-/logout", "app.example.co.uk/", "example.co.uk/logout", "example.co.uk/"] {
                assert!(gone.contains(&place.to_owned()), "{place}: {gone:?}");
            }
        }
        let me = send_to(&server, "GET /me", &["Host: app.example.co.uk", &format!("Cookie: {pair}")], "").await;
        assert_eq!(me.status, Some(401), "{me:?}");
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
        // A file needs no lease.
        let (ok, lease) = ("ok", if server.stores.redis_if_any().is_some() { "ok" } else { "unused" });
        let ready = json!({ "ready": true, "ledger": ok, "redis": redis, "clock": ok, "settings": ok, "lease": lease });
        assert_eq!(probe.get("/health/ready").await.assert_status(200).json(), ready);
        for path in ["/health/live", "/health/ready", "/openapi.json"] {
            let answer = probe.call(Method::HEAD, path).send().await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        }
        for path in ["/health/live", "/health/ready"] {
            // As HAProxy asks where nobody has told it otherwise.
            let answer = raw(&server.url(), format!("OPTIONS {path} HTTP/1.0\r\n\r\n").as_bytes()).await;
            assert_eq!(answer.status, Some(200), "{path}: {answer:?}");
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
        assert_eq!(document["servers"][0]["url"], "/", "at the root");
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
