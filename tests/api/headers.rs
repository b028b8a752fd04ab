//! The headers of every answer, whatever its status; what a gateway gets instead; and the one place where a token may
//! stand.

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{NOBODY, operations};
use crate::support::client::PASSWORD;
use crate::support::requests::{Call, Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// What a gateway reads, and what HTTP itself needs.
const FOR_A_GATEWAY: [&str; 8] = [
    "cache-control",
    "content-length",
    "date",
    "x-session-actor",
    "x-session-authenticated-at",
    "x-session-csrf",
    "x-session-id",
    "x-session-user",
];

/// The id that a gateway has given to its request. The server never takes it over.
const ASKED_FOR: (&str, &str) = ("X-Request-Id", "7");

/// One answer of every status that there is, with what was asked.
async fn one_of_each(server: &TestServer) -> Vec<(u16, &'static str, Response)> {
    let visitor = server.anonymous();
    let owner = server.signed_in().await;
    let tag = visitor.get("/").await.header("etag").expect("a tag").to_owned();
    let mut answers = vec![
        (200, "me", owner.me().await),
        (200, "live", visitor.get("/health/live").await),
        (200, "document", visitor.get("/openapi.json").await),
        (200, "page", visitor.get("/").await),
        (200, "file", visitor.get("/static/index.js").await),
        (304, "page again", visitor.call(Method::GET, "/").header("If-None-Match", &tag).send().await),
        (201, "register", visitor.register("somebody@example.org").await),
        (409, "register again", visitor.register("somebody@example.org").await),
        (200, "login", visitor.login("somebody@example.org", PASSWORD).await),
        (401, "wrong password", server.anonymous().login("somebody@example.org", "wrong").await),
        (204, "logout", visitor.post("/logout").await),
        (401, "nobody", visitor.get("/me").await),
        (401, "forward", visitor.get("/auth/forward").await),
        (400, "no JSON", visitor.change(Method::POST, "/login").body("application/json", "{").send().await),
        (400, "query", owner.delete("/sessions?include_current=x").await),
        (403, "no administrator", owner.post(&format!("/admin/users/{NOBODY}/enable")).await),
        (403, "origin", owner.call(Method::POST, "/logout").header("Origin", "https://evil.example").send().await),
        (403, "wrong password", owner.change_password("wrong", "long enough, this one").await),
        (404, "nothing", visitor.get("/nothing/here").await),
        (404, "no file", visitor.get("/static/nothing.js").await),
        (404, "session", owner.end_session(NOBODY).await),
        (405, "method", visitor.delete("/login").await),
        (405, "method", visitor.delete("/").await),
        (413, "body", visitor.post_json("/login", &json!({ "email": "x".repeat(20_000) })).await),
        (
            415,
            "form",
            visitor
                .change(Method::POST, "/login")
                .header("Sec-Fetch-Site", "same-origin")
                .body("text/plain", "{}")
                .send()
                .await,
        ),
        (422, "field", visitor.post_json("/login", &json!({})).await),
    ];
    server.clock.set_wrong_by(3_000);
    answers.push((503, "not ready", visitor.get("/health/ready").await));
    answers.push((503, "wrong clock", owner.me().await));
    server.clock.set_wrong_by(0);
    visitor.get("/health/ready").await.assert_status(200);
    // A ledger that cannot answer.
    server.stores.database.execute("ALTER TABLE users RENAME TO users_away");
    answers.push((503, "login", visitor.login("somebody@example.org", PASSWORD).await));
    answers.push((503, "me", owner.me().await));
    server.stores.database.execute("ALTER TABLE users_away RENAME TO users");
    owner.me().await.assert_status(200);
    answers
}

fn assert_common(what: &str, answer: &Response) {
    let is = |name: &str, value: &str| assert_eq!(answer.header(name), Some(value), "{name} of {what}: {answer}");
    is("x-content-type-options", "nosniff");
    is("referrer-policy", "no-referrer");
    is("cross-origin-resource-policy", "same-origin");
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {answer}");
    assert!(!policy.contains("unsafe-"), "{what}: {answer}");
    let id = answer.header("x-request-id").unwrap_or_default();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{what}: {answer}");
    for name in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
        assert!(!name.starts_with("access-control-"), "nobody of another origin has asked: {what}: {answer}");
        assert!(!["server", "x-powered-by", "via"].contains(&name), "no word about what is behind: {what}: {answer}");
    }
}

/// What an answer has that a browser may see, at an https origin.
fn assert_guarded(what: &str, answer: &Response) {
    assert_common(what, answer);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=63072000"), "{what}: {answer}");
    assert_eq!(answer.header("content-security-policy"), Some(DATA_POLICY), "{what}: {answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}: {answer}");
}

fn assert_for_a_gateway(what: &str, answer: &Response, asked_for_id: bool) {
    assert_eq!(answer.status, 200, "{what}: {answer}");
    let mut expected = FOR_A_GATEWAY.to_vec();
    expected.extend(asked_for_id.then_some("x-request-id"));
    expected.sort_unstable();
    // A name that stands twice is here twice.
    let mut names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, expected, "{what}: {answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}: {answer}");
    let id = answer.header("x-request-id").map(uuid::Uuid::parse_str);
    assert!(id.is_none_or(|id| id.is_ok()), "the server's own: {what}: {answer}");
    assert!(answer.body.is_empty(), "{what}: {answer}");
}

fn assert_problem(what: &str, status: u16, answer: &Response) {
    if status < 400 || what == "not ready" {
        return;
    }
    let body = answer.json();
    answer.problem();
    assert_eq!(body.get("status"), Some(&json!(status)), "{what}: {answer}");
    let instance = format!("urn:uuid:{}", answer.header("x-request-id").unwrap_or_default());
    assert_eq!(body.get("instance"), Some(&json!(instance)), "{what}: {answer}");
    for inside in ["diesel", "sqlite", "postgres", "redis", "relation", "table", "src/", "panicked", "sessiond.db"] {
        assert!(!answer.text().to_lowercase().contains(inside), "{inside} in {what}: {answer}");
    }
}

on_each_backend! {
    async fn every_answer_of_every_status_carries_them(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        for (status, what, answer) in one_of_each(&server).await {
            assert_eq!(answer.status, status, "{what}: {answer}");
            assert_common(what, &answer);
            assert_problem(what, status, &answer);
            assert_eq!(answer.header("strict-transport-security"), Some("max-age=63072000"), "{what}");
            let is_file = ["page", "page again", "file"].contains(&what);
            let expected = if is_file { "no-cache" } else { "no-store" };
            assert_eq!(answer.header("cache-control"), Some(expected), "{what}: {answer}");
            assert_eq!(answer.header("content-security-policy") == Some(DATA_POLICY), !is_file, "{what}: {answer}");
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{what}: {answer}");
            assert_eq!(answer.header("allow").is_some(), status == 405, "{what}: {answer}");
            assert_eq!(answer.header("retry-after").is_some(), status == 503, "{what}: {answer}");
            if status == 401 {
                assert_eq!(answer.header("www-authenticate"), Some("Cookie realm=\"sessiond\""), "{what}");
            }
            let sets = !answer.set_cookies().is_empty();
            assert_eq!(sets, ["login", "logout"].contains(&what) && status < 300, "{what}: {answer}");
        }
    }

    async fn other_hosts_under_this_one_are_promised_where_that_was_asked_for(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org", "SESSIOND_HSTS": "subdomains" } {
        let said = server.anonymous().get("/me").await;
        assert_eq!(said.header("strict-transport-security"), Some("max-age=63072000; includeSubDomains"));
    }

    async fn without_https_nothing_is_promised_about_it(server: TestServer) {
        for path in ["/", "/me", "/nothing", "/health/ready"] {
            let answer = server.anonymous().get(path).await;
            assert_common(path, &answer);
            assert_eq!(answer.header("strict-transport-security"), None, "{path}");
        }
    }

    async fn a_gateway_gets_what_it_reads_and_nothing_else(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org", "SESSIOND_BASE_PATH": "/sessiond" } {
        let visitor = server.anonymous();
        let body = json!({ "email": "ana@example.org", "password": PASSWORD });
        visitor.post_json("/sessiond/register", &body).await.assert_status(201);
        visitor.post_json("/sessiond/login", &body).await.assert_status(200);
        for path in ["", "?redirect", "/", "/a/page?x=1", "/%61/%2e%2F"].map(|rest| format!("/sessiond/auth/forward{rest}")) {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                // Without the header, and as the browser of the gateway's own page sends it along.
                for site in [None, Some("same-origin"), Some("none")] {
                    let what = format!("{method} {path} of {site:?}");
                    let call = || site.iter().fold(visitor.call(method.clone(), &path), |call, site| call.header("Sec-Fetch-Site", site));
                    assert_for_a_gateway(&what, &call().send().await, false);
                    assert_for_a_gateway(&what, &call().header(ASKED_FOR.0, ASKED_FOR.1).send().await, true);
                    assert_for_a_gateway(&what, &call().header(ASKED_FOR.0, "").send().await, true);
                }
            }
        }
        // Nothing beside it is spared: this is the account of the same person.
        assert_guarded("/me", visitor.get("/sessiond/me").await.assert_status(200));
    }

    /// Or a page of a sibling host would learn who is signed in: by whether its `<script>` loads.
    async fn a_page_of_another_origin_that_asks_as_a_gateway_does_is_kept_out(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let owner = server.signed_in().await;
        for path in ["/auth/forward", "/auth/forward/a/page"] {
            for sites in [["same-site"].as_slice(), &["cross-site"], &["same-origin", "same-site"], &["x"], &[""]] {
                let call = sites.iter().fold(owner.call(Method::GET, path), |call, site| call.header("Sec-Fetch-Site", site));
                let answer = call.send().await;
                assert_guarded(&format!("{path} of {sites:?}"), answer.assert_status(200));
                assert_eq!(answer.header("x-session-user"), Some(owner.user_id.as_str()), "{answer}");
            }
        }
    }

    async fn what_a_gateway_may_pass_on_to_a_browser_carries_them(server: TestServer) with {
        "SESSIOND_ORIGIN": "https://app.example.org",
        "SESSIOND_TRUSTED_PROXIES": "127.0.0.1",
        "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For",
        "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method",
    } {
        let (visitor, owner) = (server.anonymous(), server.signed_in().await);
        for path in ["/auth/forward?redirect", "/auth/forward/a/page"] {
            for id in ["X-Other", ASKED_FOR.0] {
                let guarded = async |call: Call<'_>, status: u16| {
                    let answer = call.header(id, ASKED_FOR.1).send().await;
                    assert_guarded(&format!("{status} of {path}"), answer.assert_status(status));
                    assert!(answer.header("x-session-user").is_none(), "{answer}");
                };
                guarded(visitor.call(Method::GET, path), 401).await;
                guarded(visitor.call(Method::GET, path).header("Accept", "text/html"), 302).await;
                guarded(owner.call(Method::POST, path), 403).await;
                guarded(owner.call(Method::TRACE, path), 405).await;
                server.clock.set_wrong_by(3_000);
                // The node's next look at the clock finds it.
                visitor.get("/health/ready").await.assert_status(503);
                guarded(owner.call(Method::GET, path), 503).await;
                server.clock.set_wrong_by(0);
                visitor.get("/health/ready").await.assert_status(200);
            }
        }
    }

    async fn every_route_refuses_a_stranger_in_the_same_words(server: TestServer) {
        let anyone = ["/session", "/login", "/exchange", "/register", "/reset", "/logout", "/health/live", "/health/ready", "/openapi.json", "/.well-known/jwks.json"];
        let mut refused = 0;
        for operation in operations(&server).await.into_iter().filter(|it| !it.is_for_services()) {
            if anyone.contains(&operation.template.as_str()) {
                continue;
            }
            let call = server.anonymous();
            let call = call.change(operation.method.clone(), &operation.path());
            let answer = if operation.has_body { call.json(&json!({})).send().await } else { call.send().await };
            answer.assert_problem(401, "unauthenticated");
            assert_common(&operation.template, &answer);
            refused += 1;
        }
        assert!(refused >= 9, "{refused}");
    }

    async fn a_token_stands_in_set_cookie_and_nowhere_else(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        let mut secrets = vec![owner.token(), owner.cookie(), other.token(), other.cookie()];
        let mut answers = vec![owner.me().await, owner.get("/sessions").await, owner.get("/auth/forward").await];
        answers.push(owner.rename(Some("Ana")).await);
        answers.push(owner.end_session(&other.session_id).await);
        let changed = owner.change_password(PASSWORD, "another four plain words").await;
        let set = changed.set_cookies();
        secrets.extend([owner.token(), owner.cookie()]);
        assert_eq!(set.iter().filter(|line| line.contains(&owner.token())).count(), 1, "{set:?}");
        answers.push(changed);
        let visitor = server.anonymous();
        let signed_in = visitor.login(&owner.email, "another four plain words").await;
        answers.push(signed_in.clone());
        let again = visitor.into_signed_in(&owner.email, "", &signed_in);
        secrets.extend([again.token(), again.cookie()]);
        answers.push(again.get("/sessions").await);
        answers.push(again.get(&format!("/nothing?token={}", again.token())).await);
        answers.push(again.end_all().await);
        answers.push(again.sign_out().await);
        for answer in &answers {
            for secret in &secrets {
                let mut shown = answer.text();
                for (name, value) in answer.headers.iter().filter(|(name, _)| *name != "set-cookie") {
                    shown.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
                }
                assert!(!shown.contains(secret.as_str()), "{answer}");
            }
        }
    }
}
