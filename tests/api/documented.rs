//! Answers, and what `/openapi.json` says of them: every status, every type and every header that tells a client something.
//!
//! Owns the comparison. Must never leave a header out because the document does not name it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::{holder, operations};
use crate::support::client::{PASSWORD, new_email};
use crate::support::requests::{Browser, Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

/// What every answer of HTTP has, or every one of sessiond (`tests/api/headers.rs`).
const OF_EVERY_ANSWER: [&str; 13] = [
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "referrer-policy",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
];

struct Document(Value);

impl Document {
    async fn of(server: &TestServer) -> Self {
        Self(server.anonymous().get("/openapi.json").await.assert_status(200).json())
    }

    #[track_caller]
    fn assert_tells(&self, method: &Method, template: &str, answer: &Response) {
        let what = format!("{method} {template}");
        let operation = &self.0["paths"][template][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{what} is not described");
        let said = &operation["responses"][answer.status.to_string()];
        assert!(said.is_object(), "{what}: no such status is described: {answer}");
        let described: Vec<String> =
            said["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect();
        for name in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let is_told = OF_EVERY_ANSWER.contains(&name) || described.iter().any(|it| it == name);
            assert!(is_told, "{what}: {name} is not described: {answer}");
        }
        if let Some(kind) = answer.header("content-type").and_then(|kind| kind.split(';').next()) {
            assert!(said["content"][kind].is_object(), "{what}: {kind} is not described: {answer}");
        }
    }
}

/// The answer to what is asked too often: in two spans of time, if need be.
async fn refused_at_last(ask: impl AsyncFn() -> Response) -> Response {
    for _ in 0..150 {
        let answer = ask().await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("never too often");
}

on_each_backend! {
    async fn every_refusal_of_every_operation_is_described(server: TestServer)
    with { "SESSIOND_COOKIE_DOMAIN": "example.org", "SESSIOND_ORIGIN": "https://app.example.org" } {
        let document = Document::of(&server).await;
        let (url, owner) = (server.url(), server.signed_in().await);
        let people = [
            ("nobody", holder(Browser::at(&url))),
            ("two cookies", holder(Browser::at(&url))),
            ("somebody", holder(owner.browser().copy_at(&url))),
        ];
        let mut answers = 0;
        for operation in operations(&server).await.into_iter().filter(|it| it.template != "/logout") {
            // A stream is read in tests/api/events.rs.
            let is_left_out = |who: &str| who == "somebody" && operation.template == "/events";
            for (who, browser) in people.iter().filter(|(who, _)| !is_left_out(who)) {
                let call = |path: &str| browser.change(operation.method.clone(), path);
                let path = operation.path();
                let mut asked = vec![
                    call(&path).header("Origin", "https://evil.example"),
                    call(&path).header("X-CSRF-Token", "wrong"),
                    call(&format!("{path}?x=1")),
                ];
                if operation.has_body {
                    asked.push(call(&path).json(&json!({})));
                    asked.push(call(&path).json(&json!([])));
                    asked.push(call(&path).json(&json!({ "x": "y".repeat(20_000) })));
                    asked.push(call(&path).header("Sec-Fetch-Site", "same-origin").body("text/plain", "{}"));
                }
                for call in asked {
                    if *who == "two cookies" {
                        // The last refusal has removed them.
                        browser.browser().set_cookie("__Secure-session", "x; __Secure-session=y");
                    }
                    let answer = call.send().await;
                    document.assert_tells(&operation.method, &operation.template, &answer);
                    let is_of_session = answer.header("www-authenticate").is_some_and(|it| it.starts_with("Cookie"));
                    let is_removed = *who == "two cookies" && is_of_session && !operation.template.starts_with("/auth/");
                    assert_eq!(answer.set_cookies().len() > 1, is_removed, "{who}: {operation:?}: {answer}");
                    answers += 1;
                }
            }
        }
        assert!(answers > 250, "{answers}");
    }

    async fn every_answer_of_a_visit_is_described(server: TestServer) with { "SESSIOND_STEP_UP_AGE": "1h" } {
        let document = Document::of(&server).await;
        let tells = |method: Method, template: &str, status: u16, answer: &Response| {
            answer.assert_status(status);
            document.assert_tells(&method, template, answer);
        };
        let (visitor, email, new) = (server.anonymous(), new_email(), "a wholly different password");
        tells(Method::POST, "/register", 201, &visitor.register(&email).await);
        tells(Method::POST, "/register", 409, &visitor.register(&email).await);
        let answer = visitor.login(&email, PASSWORD).await;
        tells(Method::POST, "/login", 200, &answer);
        let owner = visitor.into_signed_in(&email, PASSWORD, &answer);
        tells(Method::GET, "/me", 200, &owner.me().await);
        tells(Method::GET, "/session", 200, &owner.get("/session").await);
        tells(Method::GET, "/sessions", 200, &owner.get("/sessions").await);
        tells(Method::GET, "/events", 200, &owner.get("/events").await);
        tells(Method::GET, "/auth/forward", 200, &owner.get("/auth/forward").await);
        tells(Method::GET, "/auth/forward/{page}", 200, &owner.get("/auth/forward/a/page?x=1").await);
        tells(Method::PATCH, "/me", 200, &owner.rename(Some("Ana")).await);
        tells(Method::POST, "/reauthenticate", 403, &owner.reauthenticate("wrong").await);
        tells(Method::POST, "/reauthenticate", 200, &owner.reauthenticate(PASSWORD).await);
        tells(Method::PUT, "/me/password", 200, &owner.change_password(PASSWORD, new).await);
        let nothing = refused_at_last(async || owner.end_others().await).await;
        tells(Method::DELETE, "/sessions", 429, &nothing);
        let other = server.issue(&owner).await;
        tells(Method::DELETE, "/sessions/{id}", 204, &other.end_session(&other.session_id).await);
        let other = server.issue(&owner).await;
        tells(Method::DELETE, "/sessions", 200, &other.end_all().await);
        tells(Method::GET, "/me", 401, &owner.me().await);
        tells(Method::POST, "/logout", 204, &owner.sign_out().await);
        let reset = json!({ "token": server.reset_token(&email), "new_password": PASSWORD });
        tells(Method::POST, "/reset", 204, &server.anonymous().post_json("/reset", &reset).await);
        tells(Method::POST, "/reset", 422, &server.anonymous().post_json("/reset", &reset).await);
        let guesses = refused_at_last(async || server.anonymous().login(&email, "wrong").await).await;
        tells(Method::POST, "/login", 429, &guesses);
    }

    async fn what_a_gateway_is_told_is_described(server: TestServer) with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
        "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method",
    } {
        let (document, owner) = (Document::of(&server).await, server.signed_in().await);
        for (template, path) in [("/auth/forward", "/auth/forward?redirect"), ("/auth/forward/{page}", "/auth/forward/a")] {
            let person = server.anonymous();
            let page = person.call(Method::GET, path).header("Accept", "text/html").send().await;
            document.assert_tells(&Method::GET, template, page.assert_status(302));
            let refused = owner.call(Method::POST, path).send().await;
            document.assert_tells(&Method::GET, template, refused.assert_status(403));
        }
    }
}

#[cfg(feature = "postgres")]
mod without_stores {
    use super::*;
    use crate::support::server::Backend;

    /// The ledger has it, and no Redis has heard of it.
    #[tokio::test]
    async fn what_is_unconfirmed_is_described() {
        let server = TestServer::start(Backend::Production).await;
        let (document, owner) = (Document::of(&server).await, server.signed_in().await);
        let (second, third, last) =
            (server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await);
        for who in [&owner, &second, &third, &last] {
            who.get("/auth/forward").await.assert_status(200);
        }
        server.stores.servers().kill();
        let tells = |method: Method, template: &str, answer: &Response| {
            document.assert_tells(&method, template, answer.assert_problem(503, "unconfirmed"));
        };
        tells(Method::POST, "/logout", &last.sign_out().await);
        tells(Method::DELETE, "/sessions/{id}", &third.end_session(&third.session_id).await);
        tells(Method::POST, "/reauthenticate", &second.reauthenticate(PASSWORD).await);
        tells(Method::PUT, "/me/password", &second.change_password(PASSWORD, "a wholly different password").await);
        tells(Method::DELETE, "/sessions", &second.end_all().await);
        server.stores.servers().restart();
    }
}
