//! Pages of other configured origins: what they may ask and read, and that nobody else may.

use std::collections::BTreeSet;

use crate::api::tools::{Operation, cookie_line, fingerprint, operations, problem_of, send};
use crate::support::raw::RawResponse;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer, on_each_backend};

const APP: &str = "Origin: https://app.example.org";
const LOGIN: &str = "Origin: https://login.example.org:8443";
const WANTS_PUT: &str = "Access-Control-Request-Method: PUT";
const WANTS_HEADERS: &str = "Access-Control-Request-Headers: content-type,x-csrf-token,x-no-touch,x-requested-with";

/// Nobody's, however much they look like somebody's.
const STRANGERS: [&[&str]; 16] = [
    &["Origin: https://evil.example"],
    &["Origin: null"],
    &["Origin: "],
    &["Origin: *"],
    &["Origin: http://app.example.org"],
    &["Origin: https://app.example.org:443"],
    &["Origin: https://app.example.org:8443"],
    &["Origin: https://app.example.org/"],
    &["Origin: https://app.example.org.evil.example"],
    &["Origin: https://evil-app.example.org"],
    &["Origin: https://evilapp.example.org"],
    &["Origin: https://app.example.or"],
    &["Origin: https://APP.example.org"],
    &["Origin: https://app.example.org, https://evil.example"],
    &[APP, "Origin: https://evil.example"],
    &[APP, APP],
];

fn is_shared(operation: &Operation) -> bool {
    let alone = ["/admin/", "/auth/", "/health/", "/openapi.json", "/.well-known/"];
    !operation.is_for_services() && !alone.iter().any(|prefix| operation.template.starts_with(prefix))
}

#[track_caller]
fn assert_silent(what: &str, answer: &RawResponse) {
    assert!(!answer.head.to_lowercase().contains("access-control-"), "{what}: {answer:?}");
}

#[track_caller]
fn assert_marked(what: &str, origin: &str, answer: &RawResponse) {
    let origin = origin.trim_start_matches("Origin: ");
    for (name, value) in [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "retry-after, x-request-id, etag"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), [value], "{name} of {what}: {answer:?}");
    }
}

on_each_backend! {
    async fn c_32_v3_4_2_a_page_of_a_configured_origin_reads_every_answer_good_or_bad(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org,https://login.example.org:8443" } {
        let admin = server.admin().await;
        for operation in operations(&server).await {
            let what = format!("{operation:?}");
            for origin in [APP, LOGIN] {
                let session = server.issue(admin.person()).await;
                let body: (&[u8], &str) = if operation.has_body { (b"{}", "Content-Type: application/json") } else { (b"", "Accept: */*") };
                let cookie = cookie_line(&session);
                for lines in [&[cookie.as_str(), origin, body.1][..], &[origin, body.1]] {
                    let answer = send(&server, operation.method.as_str(), &operation.path(), lines, body.0).await;
                    if is_shared(&operation) { assert_marked(&what, origin, &answer) } else { assert_silent(&what, &answer) }
                }
                // A wrong method and a forged token are answers, too.
                let answer = send(&server, "PROPFIND", &operation.path(), &[origin], b"").await;
                if is_shared(&operation) { assert_marked(&what, origin, &answer) }
                let wrong = [origin, "X-CSRF-Token: x", body.1];
                let answer = send(&server, operation.method.as_str(), &operation.path(), &wrong, body.0).await;
                if is_shared(&operation) { assert_marked(&what, origin, &answer) }
            }
            if is_shared(&operation) {
                let plain = send(&server, operation.method.as_str(), &operation.path(), &[], b"").await;
                assert_silent(&what, &plain);
                assert_eq!(plain.header("vary"), ["Origin"], "a copy of it serves no page elsewhere: {plain:?}");
            }
        }
    }

    async fn c_32_v3_4_2_nobody_else_is_told_anything(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org,https://login.example.org:8443" } {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        for stranger in STRANGERS {
            let what = format!("{stranger:?}");
            for path in ["/me", "/sessions", "/login", "/static/sessiond.css", "/", "/bounce", "/continue"] {
                let read = send(&server, "GET", path, &[&[cookie.as_str()], stranger].concat(), b"").await;
                assert_silent(&what, &read);
                let asked = send(&server, "OPTIONS", path, &[stranger, &[WANTS_PUT, WANTS_HEADERS]].concat(), b"").await;
                assert_eq!(asked.status, Some(405), "{what}: {asked:?}");
                assert_silent(&what, &asked);
            }
            let before = fingerprint(&server.stores.database);
            let out = send(&server, "POST", "/logout", &[&[cookie.as_str(), "X-Requested-With: x"], stranger].concat(), b"").await;
            assert_eq!((out.status, problem_of(&out).as_deref()), (Some(403), Some("forbidden-origin")), "{what}: {out:?}");
            assert_silent(&what, &out);
            assert_eq!(fingerprint(&server.stores.database), before, "{what}");
        }
        assert!(owner.is_signed_in().await);
    }

    async fn a_preflight_is_answered_with_what_the_route_takes(server: TestServer)
    with { "SESSIOND_ORIGIN": "https://app.example.org" } {
        let mut methods = BTreeSet::new();
        for operation in operations(&server).await {
            let what = format!("{operation:?}");
            let answer = send(&server, "OPTIONS", &operation.path(), &[APP, WANTS_PUT, WANTS_HEADERS], b"").await;
            if !is_shared(&operation) {
                assert_silent(&what, &answer);
                continue;
            }
            assert_eq!((answer.status, answer.body.as_str()), (Some(204), ""), "{what}: {answer:?}");
            assert_marked(&what, APP, &answer);
            assert!(answer.header("set-cookie").is_empty() && answer.header("allow").is_empty(), "{answer:?}");
            assert_eq!(answer.header("access-control-max-age"), ["600"], "{what}");
            let sent = answer.header("access-control-allow-headers").concat();
            assert_eq!(sent, "authorization, content-type, x-requested-with, x-csrf-token, x-no-touch", "{what}");
            let taken = answer.header("access-control-allow-methods").concat();
            assert!(taken.split(", ").any(|method| method == operation.method.as_str()), "{what}: {taken}");
            assert!(!taken.contains('*') && !taken.contains("OPTIONS"), "{what}: {taken}");
            methods.extend(taken.split(", ").map(str::to_owned));
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.contains(method), "{method} of {methods:?}");
        }
        // What is no preflight is a wrong method as ever.
        let plain = send(&server, "OPTIONS", "/me", &[APP], b"").await;
        assert_eq!((plain.status, problem_of(&plain).as_deref()), (Some(405), Some("method-not-allowed")), "{plain:?}");
    }
}

/// No cookie is read, and nothing is asked: it works while there is no store.
#[tokio::test]
async fn a_preflight_touches_no_store() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_ORIGIN", "https://app.example.org")]).await;
    let owner = server.signed_in().await;
    server.stores.database.execute("ALTER TABLE sessions RENAME TO sessions_away");
    let cookie = cookie_line(&owner);
    let answer = send(&server, "OPTIONS", "/me", &[&cookie, APP, WANTS_PUT], b"").await;
    assert_eq!(answer.status, Some(204), "{answer:?}");
    // And the page can read that there is none.
    let sick = send(&server, "GET", "/me", &[&cookie, APP], b"").await;
    assert_eq!(sick.status, Some(503), "{sick:?}");
    assert_marked("503", APP, &sick);
    server.stores.database.execute("ALTER TABLE sessions_away RENAME TO sessions");
}

#[tokio::test]
async fn the_module_can_be_imported_from_a_configured_origin() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_ORIGIN", "https://app.example.org")]).await;
    let answer = send(&server, "GET", "/static/form.js", &[APP], b"").await;
    assert_eq!(answer.status, Some(200), "{answer:?}");
    assert_marked("the module", APP, &answer);
    assert!(server.anonymous().get("/static/form.js").await.header("vary") == Some("Origin"));
}
