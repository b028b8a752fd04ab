//! Bad input (security.md §9.3, F-30 … F-40) and framing that two servers could read in two ways (ASVS 4.2.1), as far as
//! `tests/api` does not show it: each is a refusal or means nothing, and none gets past the guard.

use serde_json::json;

use crate::api::tools::{cookie_line, fingerprint, problem_of, send};
use crate::support::client::{COOKIE, PASSWORD};
use crate::support::raw::{RawResponse, raw};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

/// Exactly these bytes, and what comes back until the server closes.
async fn bytes(server: &TestServer, request: &str) -> RawResponse {
    raw(&server.url(), request.as_bytes()).await
}

/// How many answers came back on one connection.
fn answers(answer: &RawResponse) -> usize {
    format!("{}\r\n\r\n{}", answer.head, answer.body).matches("HTTP/1.1 ").count()
}

on_each_backend! {
    async fn f_31_too_many_headers_or_too_long_ones_are_refused_before_any_route(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        let many: Vec<String> = (0..200).map(|number| format!("X-{number}: y")).collect();
        let long = format!("X-Long: {}", "y".repeat(200_000));
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for lines in [many, vec![long.as_str()]] {
            let answer = send(&server, "GET", "/me", &[&[cookie.as_str()], lines.as_slice()].concat(), b"").await;
            assert!(matches!(answer.status, Some(400 | 431) | None), "{answer:?}");
            assert!(answer.body.is_empty() && answer.header("set-cookie").is_empty(), "{answer:?}");
        }
        let cookies: String = (0..1_000).map(|number| format!("{COOKIE}={number}; ")).collect();
        let answer = send(&server, "GET", "/me", &[&format!("Cookie: {cookies}")], b"").await;
        assert_eq!(answer.status, Some(401), "a thousand of the name: {answer:?}");
        assert!(owner.is_signed_in().await, "and the server goes on");
    }

    async fn f_34_spellings_of_one_address_are_one_account_and_look_alikes_are_none(server: TestServer) {
        let visitor = server.anonymous();
        visitor.register("Andr\u{e9}@Example.org").await.assert_status(201);
        for same in ["andr\u{e9}@example.org", "ANDRE\u{301}@EXAMPLE.ORG", " Andre\u{301}@example.org ", "andr\u{e9}@example.org\n"] {
            visitor.login(same, PASSWORD).await.assert_status(200);
            visitor.register(same).await.assert_problem(409, "email-taken");
        }
        // A homoglyph, a full-width letter, another mark: other addresses, and nobody's.
        for other in ["\u{430}ndr\u{e9}@example.org", "\u{ff41}ndr\u{e9}@example.org", "andre@example.org"] {
            visitor.login(other, PASSWORD).await.assert_problem(401, "wrong-credentials");
        }
        // What nobody sees is named, whoever has an account.
        for unseen in ["and\u{200b}r\u{e9}@example.org", "nob\u{200b}ody@example.org", "\u{1b}[31madmin"] {
            visitor.login(unseen, PASSWORD).await.assert_problem(422, "invalid-body");
        }
        for nonsense in ["", " ", "admin ", "%", "_", "' OR ''='", &"x".repeat(15_000)] {
            visitor.login(nonsense, PASSWORD).await.assert_problem(401, "wrong-credentials");
        }
        visitor.login(&"x".repeat(10_000_000), PASSWORD).await.assert_problem(413, "body-too-large");
    }

    async fn f_35_two_content_types_or_another_charset_are_judged_by_rule(server: TestServer) {
        let owner = server.signed_in().await;
        let (cookie, body) = (cookie_line(&owner), b"{\"name\":\"Ana\"}");
        for (lines, status) in [
            // JSON is UTF-8 whatever is said beside it (RFC 8259 §11): the parameter means nothing.
            (vec!["Content-Type: application/json; charset=utf-7"], 200),
            (vec!["Content-Type: application/json", "Content-Type: application/json"], 200),
            (vec!["Content-Type: text/plain", "Content-Type: application/json"], 415),
            (vec!["Content-Type: application/json\t;x"], 200),
            (vec!["Content-Type: application/problem+json"], 415),
            (vec!["Content-Type: application /json"], 415),
        ] {
            let lines = [&[cookie.as_str(), "Sec-Fetch-Site: same-origin"], lines.as_slice()].concat();
            let answer = send(&server, "PATCH", "/me", &lines, body).await;
            assert_eq!(answer.status, Some(status), "{lines:?}: {answer:?}");
        }
    }

    async fn f_36_odd_requests_are_refused_or_mean_what_they_say(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        let close = format!("{cookie}\r\nConnection: close\r\n\r\n");
        for (what, request, allowed) in [
            ("no Host", format!("GET /me HTTP/1.1\r\n{close}"), vec![200, 400]),
            ("an evil Host", format!("GET /me HTTP/1.1\r\nHost: evil.example\r\n{close}"), vec![200]),
            ("two Hosts", format!("GET /me HTTP/1.1\r\nHost: a\r\nHost: b\r\n{close}"), vec![200, 400]),
            ("an absolute form", format!("GET http://evil.example/me HTTP/1.1\r\nHost: localhost\r\n{close}"), vec![200, 400, 404]),
            ("HTTP/0.9", "GET /me\r\n\r\n".to_owned(), vec![400]),
            ("HTTP/1.0", format!("GET /me HTTP/1.0\r\n{close}"), vec![200]),
            ("HTTP/3.0", format!("GET /me HTTP/3.0\r\n{close}"), vec![400, 505]),
            ("an upgrade", format!("GET /me HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n{close}"), vec![200]),
            ("a preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), vec![400, 404, 405]),
            ("a NUL in the path", format!("GET /me\0 HTTP/1.1\r\nHost: a\r\n{close}"), vec![400]),
            ("a space in the path", format!("GET /me x HTTP/1.1\r\nHost: a\r\n{close}"), vec![400]),
            ("no method", format!(" /me HTTP/1.1\r\nHost: a\r\n{close}"), vec![400]),
            ("a space before a colon", format!("GET /me HTTP/1.1\r\nHost: a\r\nX-Y : z\r\n{close}"), vec![400]),
        ] {
            let answer = bytes(&server, &request).await;
            // A server that closes without a word has refused, too.
            let status = answer.status.unwrap_or(400);
            assert!(allowed.contains(&status), "{what}: {answer:?}");
            assert!(!answer.head.contains("evil") && !answer.body.contains("evil"), "{what}: {answer:?}");
            if status == 200 {
                assert!(answer.body.contains(&owner.email), "its own answer: {what}: {answer:?}");
            }
        }
        let continued = format!(
            "PATCH /me HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 14\r\n{close}{{\"name\":\"Ana\"}}"
        );
        let answer = bytes(&server, &continued).await;
        assert!(matches!(answer.status, Some(100 | 200)), "{answer:?}");
        assert!(owner.is_signed_in().await);
    }

    async fn v4_2_1_v_38_framing_that_could_be_read_in_two_ways_is_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        let before = fingerprint(&server.stores.database);
        // What a front server would take for a body, and this one for a second request.
        let smuggled = format!("POST /logout HTTP/1.1\r\nHost: a\r\nX-Requested-With: x\r\n{cookie}\r\nConnection: close\r\n\r\n");
        let head = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        for (what, request) in [
            ("both lengths", format!("{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")),
            ("both lengths", format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}")),
            ("two lengths", format!("{head}Content-Length: 0\r\nContent-Length: 2\r\n\r\n{smuggled}")),
            ("a list of lengths", format!("{head}Content-Length: 0, 2\r\n\r\n{smuggled}")),
            ("a signed length", format!("{head}Content-Length: +0\r\n\r\n{smuggled}")),
            ("a negative length", format!("{head}Content-Length: -1\r\n\r\n{smuggled}")),
            ("a hexadecimal length", format!("{head}Content-Length: 0x2\r\n\r\n{smuggled}")),
            ("a length beyond all", format!("{head}Content-Length: 99999999999999999999\r\n\r\n{smuggled}")),
            ("an unknown coding", format!("{head}Transfer-Encoding: xchunked\r\n\r\n{smuggled}")),
            ("a coding after chunked", format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n{smuggled}")),
            ("two codings", format!("{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{smuggled}")),
            ("a folded line", format!("{head}X-Y: a\r\n b\r\n\r\n{smuggled}")),
            ("a folded coding", format!("{head}Transfer-Encoding:\r\n chunked\r\n\r\n{smuggled}")),
            ("a length with a space before its colon", format!("{head}Content-Length : 0\r\n\r\n{smuggled}")),
            ("a chunk size that is none", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{smuggled}")),
            ("a chunk size beyond all", format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n{smuggled}")),
        ] {
            let answer = bytes(&server, &request).await;
            assert!(matches!(answer.status, Some(400 | 501) | None), "{what}: {answer:?}");
            assert!(answers(&answer) <= 1, "the connection is closed after {what}: {answer:?}");
            assert!(owner.is_signed_in().await, "{what} was read as a second request");
        }
        // A bare CR in a head is no line end.
        let bare = format!("GET /me HTTP/1.1\r\nHost: a\rX: y\r\n{cookie}\r\nConnection: close\r\n\r\n");
        assert!(matches!(bytes(&server, &bare).await.status, Some(400) | None));
        assert_eq!(fingerprint(&server.stores.database), before);
    }

    async fn f_38_headers_that_other_servers_obey_mean_nothing_here(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        for line in [
            "Range: bytes=0-1", "If-None-Match: *", "If-Match: \"x\"", "If-Modified-Since: Sun, 22 Nov 2099 00:00:00 GMT", "TE: trailers",
            "Connection: cookie", "Connection: close, Cookie, X-Request-Id", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE",
            "X-Method-Override: DELETE", "X-Original-URL: /health/live", "X-Rewrite-URL: /health/live", "X-Forwarded-Uri: /health/live",
            "X-Middleware-Subrequest: middleware:middleware", "X-Middleware-Prefetch: 1", "X_Forwarded_For: 9.9.9.9", "X-Forwarded-For: 9.9.9.9",
            "Forwarded: for=9.9.9.9", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher", "X-Request-Id: 1", "X-Session-User: admin",
        ] {
            let answer = send(&server, "GET", "/me", &[&cookie, line], b"").await;
            assert_eq!(answer.status, Some(200), "{line}: {answer:?}");
            assert!(answer.body.contains(&owner.email), "{line}: {answer:?}");
            assert_eq!(answer.header("cache-control"), ["no-store"], "{line}");
            assert!(uuid::Uuid::parse_str(answer.header("x-request-id").first().unwrap_or(&"")).is_ok(), "{line}: {answer:?}");
            assert!(answer.body.contains("\"ip\":\"127.0.0.1\""), "{line}: {answer:?}");
            let nobody = send(&server, "GET", "/me", &[line], b"").await;
            assert_eq!(nobody.status, Some(401), "{line}: {nobody:?}");
        }
    }

    async fn h_12_a_conditional_request_does_not_get_round_the_guard(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        for path in ["/me", "/sessions", "/auth/forward"] {
            let answer = send(&server, "GET", path, &[&cookie], b"").await;
            assert!(answer.header("etag").is_empty() && answer.header("last-modified").is_empty(), "{path}: {answer:?}");
        }
        owner.sign_out().await.assert_status(204);
        for path in ["/me", "/sessions", "/auth/forward"] {
            for line in ["If-None-Match: *", "If-None-Match: \"x\"", "If-Modified-Since: Sun, 22 Nov 2099 00:00:00 GMT"] {
                let answer = send(&server, "GET", path, &[&cookie, line], b"").await;
                assert_eq!(problem_of(&answer).as_deref(), Some("unauthenticated"), "{path} {line}: {answer:?}");
            }
        }
    }

    async fn f_39_json_is_answered_whatever_is_asked_for(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        for accept in ["image/png", "*/*;q=0", "text/html", "", "application/xml, nonsense;;;q=x"] {
            let line = format!("Accept: {accept}");
            for (path, status, kind) in [("/me", 200, "application/json"), ("/nothing", 404, "application/problem+json")] {
                let answer = send(&server, "GET", path, &[&cookie, &line, "Accept-Encoding: gzip, br"], b"").await;
                assert_eq!((answer.status, answer.header("content-type")), (Some(status), vec![kind]), "{accept}: {answer:?}");
                assert!(answer.header("content-encoding").is_empty(), "nothing is compressed beside a secret: {answer:?}");
            }
        }
    }

    async fn v15_3_5_a_parameter_of_the_wrong_kind_is_refused_and_changes_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        for body in [json!({ "name": ["Ana"] }), json!({ "name": { "first": "Ana" } }), json!({ "name": true }), json!([{ "name": "Ana" }])] {
            let status = owner.patch_json("/me", &body).await.status;
            assert!([400, 422].contains(&status), "{body}: {status}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }
}
