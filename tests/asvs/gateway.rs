//! CSRF tokens for applications behind a gateway: what `/auth/forward` refuses, what it tells, and that nothing which a
//! client sends can weaken it.

use crate::api::tools::{browser_with, cookie_line, problem_of, send};
use crate::asvs::csrf::csrf_token;
use crate::support::client::SignedIn;
use crate::support::issue::signed;
use crate::support::raw::RawResponse;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const READ: &str = "X-Forwarded-Method: GET";
const WRITE: &str = "X-Forwarded-Method: POST";

async fn forward(server: &TestServer, own: &str, who: &SignedIn, lines: &[&str]) -> RawResponse {
    let cookie = cookie_line(who);
    send(server, own, "/auth/forward", &[&[cookie.as_str()], lines].concat(), b"").await
}

#[track_caller]
fn assert_let_through(what: &str, word: &str, answer: &RawResponse) {
    assert_eq!((answer.status, answer.header("x-session-csrf")), (Some(200), vec![word]), "{what}: {answer:?}");
}

#[track_caller]
fn assert_refused(what: &str, answer: &RawResponse) {
    assert_eq!(answer.status, Some(403), "{what}: {answer:?}");
    assert_eq!(problem_of(answer).as_deref(), Some("wrong-csrf-token"), "{what}: {answer:?}");
    for name in ["x-session-user", "x-session-id", "x-session-csrf", "set-cookie"] {
        assert!(answer.header(name).is_empty(), "{what}: {name}: {answer:?}");
    }
}

on_each_backend! {
    async fn what_changes_something_needs_the_csrf_token_where_the_operator_wants_that(server: TestServer)
    with { "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method" } {
        let owner = server.signed_in().await;
        let right = format!("X-CSRF-Token: {}", csrf_token(&owner).await);
        let others = format!("X-CSRF-Token: {}", csrf_token(&server.issue(&owner).await).await);
        for method in ["GET", "HEAD", "OPTIONS"] {
            let told = format!("X-Forwarded-Method: {method}");
            assert_let_through(method, "none", &forward(&server, "GET", &owner, &[&told]).await);
            assert_let_through(method, "invalid", &forward(&server, "GET", &owner, &[&told, &others]).await);
            assert_let_through(method, "valid", &forward(&server, "GET", &owner, &[&told, &right]).await);
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "CONNECT", "get", "", "GET,POST", "GET, GET"] {
            let told = format!("X-Forwarded-Method: {method}");
            assert_refused(method, &forward(&server, "GET", &owner, &[&told]).await);
            assert_refused(method, &forward(&server, "GET", &owner, &[&told, &others]).await);
            assert_refused(method, &forward(&server, "GET", &owner, &[&told, &right, &right]).await);
            assert_let_through(method, "valid", &forward(&server, "GET", &owner, &[&told, &right]).await);
        }
        // Whoever is not signed in is told that, not that a token is missing.
        let stranger = send(&server, "GET", "/auth/forward", &[WRITE], b"").await;
        assert_eq!(problem_of(&stranger).as_deref(), Some("unauthenticated"), "{stranger:?}");
        let cookie = cookie_line(&owner);
        owner.sign_out().await.assert_status(204);
        let over = send(&server, "GET", "/auth/forward", &[&cookie, WRITE, &right], b"").await;
        assert_eq!(over.status, Some(401), "a right token of a session that is over: {over:?}");
    }

    /// A method that is missing, told twice, under another name, or against the question's own, is no safe one.
    async fn v_17_v_18_f_38_nothing_that_a_client_sends_makes_an_unsafe_method_safe(server: TestServer)
    with { "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method" } {
        let owner = server.signed_in().await;
        let doubtful: [&[&str]; 14] = [
            &[],
            &[READ, WRITE],
            &[WRITE, READ],
            &[READ, READ],
            &["X_Forwarded_Method: GET"],
            &[WRITE, "X_Forwarded_Method: GET"],
            &["X-Forwarded-Method : GET"],
            &["X-Original-Method: GET"],
            &[WRITE, "X-Original-Method: GET", "X-HTTP-Method-Override: GET", "X-HTTP-Method: GET", "X-Method-Override: GET"],
            &["X-Forwarded-Uri: /static/app.js", "X-Original-URL: /static/app.js", "X-Forwarded-Method-Override: GET"],
            &[WRITE, "Connection: X-Forwarded-Method"],
            &[WRITE, "Connection: X-CSRF-Token, close", "TE: trailers"],
            &[WRITE, "X-Session-Csrf: valid", "X-Session-User: admin", "X-Csrf-Valid: true"],
            &[WRITE, "X_CSRF_Token: x", "CSRF-Token: x", "X-XSRF-Token: x"],
        ];
        for lines in doubtful {
            let answer = forward(&server, "GET", &owner, lines).await;
            // A space before the colon is no header at all: refused by the parser.
            if answer.status != Some(400) {
                assert_refused(&format!("{lines:?}"), &answer);
            }
        }
        for own in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "ANYTHING"] {
            assert_refused(own, &forward(&server, own, &owner, &[READ]).await);
        }
        for path in ["/auth/forward?_method=GET", "/auth/forward?csrf_token=x&X-Forwarded-Method=GET"] {
            assert_refused(path, &send(&server, "GET", path, &[&cookie_line(&owner), WRITE], b"").await);
        }
        // A token counts in its header alone.
        let token = csrf_token(&owner).await;
        let cookies = format!("{}; csrf_token={token}; X-CSRF-Token={token}", cookie_line(&owner));
        for (path, lines) in [
            (format!("/auth/forward?csrf_token={token}"), [cookie_line(&owner), WRITE.to_owned()]),
            ("/auth/forward".to_owned(), [cookies, WRITE.to_owned()]),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_refused(&path, &send(&server, "GET", &path, &lines, b"").await);
        }
    }

    async fn without_the_setting_the_application_is_told_and_decides(server: TestServer) {
        let owner = server.signed_in().await;
        let right = format!("X-CSRF-Token: {}", csrf_token(&owner).await);
        for own in ["GET", "POST", "DELETE"] {
            for told in [READ, WRITE] {
                assert_let_through(own, "none", &forward(&server, own, &owner, &[told, "X-Session-Csrf: valid"]).await);
                assert_let_through(own, "invalid", &forward(&server, own, &owner, &[told, "X-CSRF-Token: x"]).await);
                assert_let_through(own, "invalid", &forward(&server, own, &owner, &[told, &right, "X-CSRF-Token: x"]).await);
                assert_let_through(own, "valid", &forward(&server, own, &owner, &[told, &right]).await);
            }
        }
    }

    /// Purposes are kept apart: what is signed for one thing opens no other.
    async fn v_31_nothing_that_is_signed_here_is_good_as_anything_else(server: TestServer)
    with { "SESSIOND_CSRF_METHOD_HEADER": "X-Forwarded-Method" } {
        let owner = server.signed_in().await;
        let csrf = csrf_token(&owner).await;
        let link = server.reset_token(&owner.email);
        let (cookie, token) = (owner.cookie(), owner.token());
        // As a session: bare, under a signature of ours, and as the token of a signature.
        for value in [csrf.clone(), link.clone(), signed(&server.settings, &csrf), signed(&server.settings, &link)] {
            for path in ["/me", "/auth/forward"] {
                browser_with(&server, &value).get(path).await.assert_problem(401, "unauthenticated");
            }
        }
        // As a CSRF token: the cookie, its two parts, and the signature of the right thing for another purpose.
        let signature = cookie.get(..cookie.len() - 36).expect("a signature").to_owned();
        for value in [cookie, token, signature, link, owner.session_id.clone(), signed(&server.settings, &owner.session_id)] {
            let line = format!("X-CSRF-Token: {value}");
            assert_refused(&value, &forward(&server, "GET", &owner, &[WRITE, &line]).await);
        }
        // As a one-time link.
        let body = serde_json::json!({ "token": csrf, "new_password": "another four plain words" });
        server.anonymous().post_json("/reset", &body).await.assert_problem(422, "invalid-body");
        assert_let_through("its own purpose", "valid", &forward(&server, "GET", &owner, &[WRITE, &format!("X-CSRF-Token: {csrf}")]).await);
    }
}
