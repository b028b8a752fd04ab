//! ASVS V3, web frontend, as far as `tests/api` and `tests/browser` do not show it.

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{NOBODY, Operation, only_cookie, operations};
use crate::support::client::{COOKIE, PASSWORD, new_email};
use crate::support::requests::{Call, Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

const PAGES: [&str; 5] = ["/", "/account", "/reset", "/console", "/?next=%2Faccount"];
/// They lead on to another page.
const WAYS: [&str; 3] = ["/bounce", "/bounce?next=%2Faccount", "/continue?next=%2Faccount"];
const FILES: [&str; 25] = [
    "/static/account.js",
    "/static/admin-api.js",
    "/static/bounce.js",
    "/static/console-acts.js",
    "/static/console-alerts.js",
    "/static/console-audit.js",
    "/static/console-filter.js",
    "/static/console-overview.js",
    "/static/console-parts.js",
    "/static/console-people.js",
    "/static/console-person.js",
    "/static/console-revoke.js",
    "/static/console-sessions.js",
    "/static/console.css",
    "/static/console.js",
    "/static/ending.js",
    "/static/form.js",
    "/static/icon.svg",
    "/static/index.js",
    "/static/next.js",
    "/static/reset.js",
    "/static/sessiond.css",
    "/static/sessiond.js",
    "/static/step-up.js",
    "/static/strength.js",
];

async fn asked(call: Call<'_>, operation: &Operation) -> Response {
    let call = if operation.has_body { call.json(&json!({})) } else { call };
    call.send().await
}

/// Every route, asked by everybody, rightly and wrongly.
async fn everything(server: &TestServer) -> Vec<(String, Response)> {
    let (visitor, owner) = (server.anonymous(), server.signed_in().await);
    let mut found = Vec::new();
    for operation in operations(server).await {
        let path = operation.path();
        let name = format!("{} {path}", operation.method);
        found.push((
            format!("stranger: {name}"),
            asked(visitor.change(operation.method.clone(), &path), &operation).await,
        ));
        let session = server.issue(&owner).await;
        found
            .push((format!("owner: {name}"), asked(session.change(operation.method.clone(), &path), &operation).await));
        let session = server.issue(&owner).await;
        let foreign = session.call(operation.method.clone(), &path).header("Origin", "https://evil.example");
        found.push((
            format!("foreign page: {name}"),
            asked(foreign.header("Sec-Fetch-Site", "cross-site"), &operation).await,
        ));
        let session = server.issue(&owner).await;
        let forged = session.change(operation.method.clone(), &path).header("X-CSRF-Token", "x");
        found.push((format!("wrong CSRF token: {name}"), asked(forged, &operation).await));
        for method in [Method::OPTIONS, Method::TRACE, Method::from_bytes(b"PROPFIND").expect("a method")] {
            let answer = visitor.call(method.clone(), &path).send().await;
            found.push((format!("stranger: {method} {path}"), answer));
        }
    }
    for path in PAGES.iter().chain(&WAYS).chain(&FILES).chain(&["/nothing", "/static/nothing", "//me", "/me/", "/%00"])
    {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            found.push((format!("{method} {path}"), visitor.call(method, path).send().await));
        }
    }
    found
}

on_each_backend! {
    async fn v3_4_every_route_answers_everybody_with_the_headers(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let answers = everything(&server).await;
        let mut statuses: Vec<u16> = answers.iter().map(|(_, answer)| answer.status).collect();
        statuses.sort_unstable();
        statuses.dedup();
        for status in [200, 204, 401, 403, 404, 405, 422] {
            assert!(statuses.contains(&status), "nothing was answered with {status}: {statuses:?}");
        }
        // A gateway's 200 is in tests/api/headers.rs; to a foreign page it is an answer like the others.
        let is_gateways = |what: &str, status| {
            what.contains("GET /auth/forward") && status == 200 && !what.starts_with("foreign page")
        };
        let (of_gateways, of_browsers): (Vec<_>, Vec<_>) =
            answers.iter().partition(|(what, answer)| is_gateways(what, answer.status));
        assert_eq!(of_gateways.len(), 4, "of the owner, with and without a CSRF token, at two routes");
        for (what, answer) in of_browsers {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
                ("strict-transport-security", "max-age=63072000"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{name} of {what}: {answer}");
            }
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("frame-ancestors 'none'"), "{what}: {answer}");
            assert!(answer.header("cache-control").is_some_and(|it| ["no-store", "no-cache"].contains(&it)), "{what}: {answer}");
            assert!(answer.header("x-request-id").is_some(), "{what}: {answer}");
            for name in ["access-control-allow-origin", "access-control-allow-credentials", "server"] {
                assert!(answer.header(name).is_none(), "{name} of {what}: {answer}");
            }
            assert_eq!(answer.header("location").is_some(), answer.status == 303, "{what}: {answer}");
            assert!(answer.status != 303 || WAYS.iter().any(|way| what.ends_with(way)), "{what}: {answer}");
            assert!(answer.status < 500, "{what}: {answer}");
            if answer.status >= 400 && !what.starts_with("HEAD") {
                answer.problem();
            }
            assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{what}: {answer}");
            assert_eq!(answer.header("allow").is_some(), answer.status == 405, "{what}: {answer}");
        }
    }

    async fn v4_1_1_what_has_a_body_says_what_it_is(server: TestServer) {
        for (what, answer) in everything(&server).await {
            let kind = answer.header("content-type");
            if answer.body.is_empty() {
                continue;
            }
            let expected: &[&str] = match answer.status {
                400.. => &["application/problem+json"],
                _ if what.ends_with("GET /events") => &["text/event-stream"],
                _ if what.ends_with(".css") => &["text/css; charset=utf-8"],
                _ if what.ends_with(".js") => &["text/javascript; charset=utf-8"],
                _ if what.ends_with(".svg") => &["image/svg+xml"],
                _ if PAGES.iter().any(|page| what == format!("GET {page}")) => &["text/html; charset=utf-8"],
                _ => &["application/json"],
            };
            assert!(kind.is_some_and(|kind| expected.contains(&kind)), "{what}: {answer}");
        }
    }

    async fn v3_4_3_v3_4_8_pages_have_a_policy_without_exceptions(server: TestServer) {
        for page in PAGES {
            let answer = server.anonymous().get(page).await;
            let policy = answer.assert_status(200).header("content-security-policy").expect("a policy").to_owned();
            let directives: Vec<&str> = policy.split("; ").collect();
            assert_eq!(directives.first(), Some(&"default-src 'none'"), "so objects, frames and workers are out: {policy}");
            for directive in ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "script-src 'self'"] {
                assert!(directives.contains(&directive), "{page}: {directive}: {policy}");
            }
            for exception in ["unsafe-", "http:", "https:", "data:", "blob:", "*", "nonce-", "strict-dynamic"] {
                assert!(!policy.contains(exception), "{page}: {exception}: {policy}");
            }
            assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{page}");
            // Nothing in the page would need an exception.
            let text = answer.text();
            for inline in ["<style", "style=", "onclick", "onload", "onerror", "javascript:", "http://", "https://"] {
                assert!(!text.contains(inline), "{page}: {inline}");
            }
            assert!(text.matches("<script").count() == text.matches("<script type=\"module\" src=\"").count(), "{page}");
        }
    }

    async fn v3_3_the_cookie_is_set_and_removed_with_every_attribute(server: TestServer) {
        let (visitor, email) = (server.anonymous(), new_email());
        visitor.register(&email).await.assert_status(201);
        let set = only_cookie(visitor.login(&email, PASSWORD).await.assert_status(200));
        let renewed = visitor.put_json("/me/password", &json!({ "current_password": PASSWORD, "new_password": "another four plain words" })).await;
        let renewed = only_cookie(renewed.assert_status(200));
        let removed = only_cookie(visitor.post("/logout").await.assert_status(204));
        for line in [&set, &renewed, &removed] {
            assert!(line.starts_with(&format!("{COOKIE}=")), "3.3.1, 3.3.3: the prefix, in this very case: {line}");
            for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
                assert!(line.contains(attribute), "{attribute}: {line}");
            }
            assert!(!line.contains("Domain"), "{line}");
            let pair = line.split(';').next().unwrap_or_default();
            assert!(pair.len() <= 4_096, "3.3.5: {} bytes", pair.len());
        }
        assert!(removed.starts_with(&format!("{COOKIE}=;")) && removed.contains("Max-Age=0"), "{removed}");
    }

    async fn v3_7_2_nobody_is_sent_anywhere(server: TestServer) {
        let owner = server.signed_in().await;
        for target in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "%2f%2fevil.example"] {
            for name in ["next", "redirect", "redirect_uri", "return_to", "rd", "url", "continue"] {
                for path in ["/", "/account", "/reset", "/me", "/auth/forward", "/nothing"] {
                    let answer = owner.get(&format!("{path}?{name}={target}")).await;
                    // The sign-in page takes it out of its own address.
                    let taken_out = (303, Some("./")) == (answer.status, answer.header("location")) && (path, name) == ("/", "next");
                    assert!(taken_out || !(300..400).contains(&answer.status) && answer.header("location").is_none(), "{path} {name}={target}");
                    assert!(answer.header("refresh").is_none() && !answer.text().contains("evil"), "{path} {name}={target}");
                }
            }
        }
        // Nor by the address of the question: the slash that is missing is added to the path alone, and the query goes along to
        // where it is judged.
        let based = TestServer::with(crate::support::server::Backend::Embedded, &[("SESSIOND_BASE_PATH", "/auth")]).await;
        let stranger = based.anonymous();
        let answer = stranger.call(Method::GET, "/auth?next=//evil.example").header("X-Forwarded-Host", "evil.example").send().await;
        assert_eq!((answer.status, answer.header("location")), (307, Some("/auth/?next=//evil.example")), "{answer}");
        let judged = stranger.get("/auth/?next=//evil.example").await;
        assert_eq!((judged.status, judged.header("location")), (303, Some("./")), "{judged}");
    }

    async fn v3_5_8_answers_about_somebody_are_for_our_own_pages(server: TestServer) {
        let owner = server.signed_in().await;
        for path in ["/me", "/sessions", "/auth/forward"] {
            let call = owner.call(Method::GET, path).header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "no-cors");
            let answer = call.header("Origin", "https://evil.example").header("Sec-Fetch-Dest", "script").send().await;
            // The browser is told to keep it from the other page; and it would not have sent the cookie.
            assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{path}: {answer}");
            assert!(answer.header("access-control-allow-origin").is_none(), "{path}: {answer}");
        }
        owner.get(&format!("/sessions/{NOBODY}")).await.assert_status(405);
    }
}
