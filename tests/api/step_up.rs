//! Step-up: what wants a recent proof of who asks, that it is judged in the ledger for each request anew, and what the
//! proof itself does.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::tools::{column, cookie_line, fingerprint, only_cookie, set_clock};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::hash_cost;
use crate::support::raw::abandon;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

const MINUTE: Duration = Duration::from_secs(60);
const A_WHILE: Duration = Duration::from_secs(16 * 60);

/// When a gateway is told that the user last proved who they are.
async fn told(who: &SignedIn) -> i64 {
    let answer = who.get("/auth/forward").await;
    answer.assert_status(200).header("x-session-authenticated-at").expect("a time").parse().expect("seconds")
}

on_each_backend! {
    async fn a_proof_is_good_until_it_is_fifteen_minutes_old_and_judged_anew_each_time(server: TestServer) {
        let owner = server.signed_in().await;
        let sessions = [server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await];
        let proven = column(&server, "authenticated_at", &owner);
        // A loaded machine may take some seconds for one request.
        set_clock(&server, proven + 15 * 60_000 - 10_000);
        owner.end_session(&sessions[0].session_id).await.assert_status(204);
        // V-11: nothing of the last answer is kept.
        set_clock(&server, proven + 15 * 60_000);
        let before = fingerprint(&server.stores.database);
        owner.end_session(&sessions[1].session_id).await.assert_problem(403, "step-up-required");
        set_clock(&server, proven + 14 * 60_000);
        owner.end_session(&sessions[1].session_id).await.assert_status(204);
        set_clock(&server, proven + 15 * 60_000);
        owner.end_session(&sessions[2].session_id).await.assert_problem(403, "step-up-required");
        assert_ne!(fingerprint(&server.stores.database), before);
        assert!(sessions[2].is_signed_in().await);
        // Each session has a proof of its own.
        set_clock(&server, proven + 16 * 60_000);
        sessions[2].end_session(&owner.session_id).await.assert_problem(403, "step-up-required");
        let fresh = server.issue(&owner).await;
        fresh.end_session(&owner.session_id).await.assert_status(204);
    }

    async fn a_refusal_says_where_to_go_and_changes_nothing(server: TestServer)
    with { "SESSIOND_STEP_UP_AGE": "2m" } {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let other = server.issue(&owner).await;
        server.clock.advance(3 * MINUTE);
        let before = fingerprint(&server.stores.database);
        let user = &owner.user_id;
        let refused: [(&SignedIn, Method, String); 5] = [
            (&owner, Method::DELETE, format!("/sessions/{}", other.session_id)),
            (&owner, Method::DELETE, "/sessions".to_owned()),
            (&owner, Method::DELETE, "/sessions?include_current=true".to_owned()),
            (admin.person(), Method::POST, format!("/admin/users/{user}/disable")),
            (admin.person(), Method::POST, format!("/admin/users/{user}/enable")),
        ];
        for (who, method, path) in &refused {
            let answer = who.change(method.clone(), path).send().await;
            answer.assert_problem(403, "step-up-required");
            assert_eq!(answer.json()["step_up"], json!({ "path": "/reauthenticate", "max_age": 120 }), "{path}");
            assert!(answer.set_cookies().is_empty());
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        // Whose session it is, or whether there is one, is not told before the proof.
        owner.end_session(&admin.person().session_id).await.assert_problem(403, "step-up-required");
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        owner.end_session(&admin.person().session_id).await.assert_problem(404, "not-found");
        owner.end_session(&other.session_id).await.assert_status(204);
    }

    async fn signing_oneself_out_renaming_and_reading_never_need_it(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        server.clock.advance(A_WHILE);
        owner.me().await.assert_status(200);
        assert_eq!(owner.sessions().await.len(), 2);
        owner.rename(Some("Ana")).await.assert_status(200);
        other.end_session(&other.session_id).await.assert_status(204);
        owner.sign_out().await.assert_status(204);
        assert!(!owner.is_signed_in().await && !other.is_signed_in().await);
    }

    async fn a_proof_keeps_the_session_and_renews_its_token(server: TestServer) {
        let owner = server.signed_in().await;
        let old = owner.copy_at(&server.url());
        let (created, proven) = (column(&server, "created_at", &owner), column(&server, "authenticated_at", &owner));
        assert_eq!((created, told(&owner).await), (proven, proven / 1_000));
        server.clock.advance(A_WHILE);
        let answer = owner.reauthenticate(PASSWORD).await;
        let session = answer.assert_status(200).json()["session"].clone();
        assert!(only_cookie(&answer).contains("HttpOnly"));
        assert_eq!((&session["id"], &session["current"]), (&json!(owner.session_id), &json!(true)));
        let now = column(&server, "authenticated_at", &owner);
        assert!(now - proven >= 16 * 60_000, "{now} {proven}");
        // To the second, and never younger than it is.
        assert!((now / 1_000 - 1..=now / 1_000).contains(&told(&owner).await));
        assert_eq!(column(&server, "created_at", &owner), created);
        assert!(!old.is_signed_in().await && owner.is_signed_in().await);
        old.reauthenticate(PASSWORD).await.assert_problem(401, "unauthenticated");
        let lines = format!("event = 'authn_reauthenticated' AND session_id = '{}'", owner.session_id);
        assert_eq!(server.stores.database.count("audit", &lines), 1);
        assert_eq!(server.stores.database.count("pending_invalidations", "1 = 1"), 0);
    }

    /// V-09: a prompt that is answered wrongly, or left in the middle, leaves the session as it was.
    async fn v_09_a_proof_that_fails_or_is_abandoned_changes_nothing(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        server.clock.advance(A_WHILE);
        let before = fingerprint(&server.stores.database);
        for password in ["not the password", "", "a password that would do for a stranger"] {
            let answer = owner.reauthenticate(password).await;
            assert!(answer.assert_problem(403, "wrong-password").set_cookies().is_empty());
        }
        server.anonymous().post_json("/reauthenticate", &json!({ "password": PASSWORD })).await.assert_status(401);
        let request = [
            "POST /reauthenticate HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Content-Length: 500",
            &cookie_line(&owner), "", "{\"password\": \"four plain",
        ];
        for _ in 0..5 {
            abandon(&server.url(), request.join("\r\n").as_bytes()).await;
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert_eq!(owner.me().await.json()["user"]["id"], json!(owner.user_id));
        assert_eq!(stranger.me().await.json()["user"]["id"], json!(stranger.user_id));
        let other = server.issue(&owner).await;
        owner.end_session(&other.session_id).await.assert_problem(403, "step-up-required");
    }

    /// Also when the client hangs up while its password is compared: it is another's session never, and the old token or
    /// nothing.
    async fn v_09_whoever_hangs_up_in_the_middle_of_it_has_the_old_session_or_none(server: TestServer) {
        for _ in 0..5 {
            let owner = server.signed_in().await;
            let body = json!({ "password": PASSWORD }).to_string();
            let length = format!("Content-Length: {}", body.len());
            let request = [
                "POST /reauthenticate HTTP/1.1", "Host: localhost", "Content-Type: application/json", &length,
                &cookie_line(&owner), "", &body,
            ];
            abandon(&server.url(), request.join("\r\n").as_bytes()).await;
            let answer = owner.me().await;
            assert!([200, 401].contains(&answer.status), "{answer}");
            if answer.status == 200 {
                assert_eq!(answer.json()["user"]["id"], json!(owner.user_id));
            }
        }
    }

    /// C-12: there is no renewal by time, so the old token has no grace; of two proofs at once, one is.
    async fn c_12_of_two_proofs_at_once_one_renews_and_the_other_finds_its_token_dead(server: TestServer) {
        hash_cost::full();
        let owner = server.signed_in().await;
        let (one, other) = (owner.copy_at(&server.url()), owner.copy_at(&server.url()));
        let (a, b) = tokio::join!(one.reauthenticate(PASSWORD), other.reauthenticate(PASSWORD));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{a} {b}");
        assert!(!owner.is_signed_in().await, "the old token");
        assert_eq!(usize::from(one.is_signed_in().await) + usize::from(other.is_signed_in().await), 1);
    }

    async fn under_a_base_path_the_refusal_names_it(server: TestServer)
    with { "SESSIOND_BASE_PATH": "/auth" } {
        let visitor = server.anonymous();
        let body = json!({ "email": "ana@example.org", "password": PASSWORD });
        visitor.post_json("/auth/register", &body).await.assert_status(201);
        visitor.post_json("/auth/login", &body).await.assert_status(200);
        server.clock.advance(A_WHILE);
        let answer = visitor.delete("/auth/sessions").await;
        answer.assert_problem(403, "step-up-required");
        let path = answer.json().pointer("/step_up/path").and_then(Value::as_str).expect("a path").to_owned();
        assert_eq!(path, "/auth/reauthenticate");
        visitor.post_json(&path, &json!({ "password": PASSWORD })).await.assert_status(200);
        visitor.delete("/auth/sessions").await.assert_status(200);
    }
}

/// The ledger is asked in the very transaction: what a record says about the proof makes no difference.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn what_changes_something_asks_the_ledger_and_not_the_record() {
    use crate::support::server::{Backend, TestServer};

    let server = TestServer::start(Backend::Production).await;
    let owner = server.signed_in().await;
    let other = server.issue(&owner).await;
    assert!(told(&owner).await > 0);
    let row = format!("UPDATE sessions SET authenticated_at = 0 WHERE id = '{}'", owner.session_id);
    server.stores.database.execute(&row);
    assert!(told(&owner).await > 0, "the record stands");
    owner.end_session(&other.session_id).await.assert_problem(403, "step-up-required");
}
