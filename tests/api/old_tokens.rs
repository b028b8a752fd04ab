//! Tokens that a session had before its present one, of every age: none opens anything, and each ends its session, at
//! sign-out or when the browser signs in anew. And tokens of which the ledger has no row any more.

use crate::support::client::{Anonymous, COOKIE, PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

/// How often a session is renewed here: the oldest token is so many renewals old.
const RENEWALS: usize = 3;

/// A session, the browser that holds its present token, and copies with its older ones, the youngest first.
async fn renewed(server: &TestServer, owner: &SignedIn) -> Vec<SignedIn> {
    let who = server.issue(owner).await;
    let mut tokens = Vec::new();
    for _ in 0..RENEWALS {
        tokens.insert(0, who.copy_at(&server.url()));
        who.reauthenticate(PASSWORD).await.assert_status(200);
    }
    tokens.insert(0, who);
    tokens
}

fn line(database: &Database, session: &str) -> (usize, String, String) {
    let of = format!("event = 'session_revoked' AND session_id = '{session}'");
    let column = |name: &str| database.value(&format!("SELECT {name} AS value FROM audit WHERE {of}"));
    (database.count("audit", &of), column("actor"), column("detail"))
}

fn assert_removed(answer: &Response, what: &str) {
    let cookies = answer.set_cookies();
    let removed =
        cookies.iter().any(|cookie| cookie.starts_with(&format!("{COOKIE}=;")) && cookie.contains("Max-Age=0"));
    assert!(removed, "{what}: {answer}");
}

on_each_backend! {
    async fn a_token_of_any_age_ends_its_session_and_only_the_present_one_opens_it(server: TestServer) {
        let owner = server.signed_in().await;
        for age in 0..=RENEWALS {
            let what = format!("{age} renewals old");
            let tokens = renewed(&server, &owner).await;
            let (present, shown) = (&tokens[0], &tokens[age]);
            for path in ["/me", "/auth/forward"] {
                let status = shown.copy_at(&server.url()).get(path).await.status;
                assert_eq!(status, if age == 0 { 200 } else { 401 }, "{what}: {path}");
            }
            assert!(present.is_signed_in().await, "{what}: to show an old one is no end");
            let again = shown.copy_at(&server.url());
            let answer = shown.sign_out().await;
            answer.assert_status(204);
            assert_removed(&answer, &what);
            for (renewals, token) in tokens.iter().enumerate().filter(|(renewals, _)| *renewals != age) {
                assert!(!token.is_signed_in().await, "{what}: the token {renewals} renewals old");
            }
            again.sign_out().await.assert_status(204);
            let (lines, actor, detail) = line(&server.stores.database, &present.session_id);
            let expected = if age == 0 { owner.user_id.as_str() } else { "anonymous" };
            assert_eq!((lines, actor.as_str(), detail.as_str()), (1, expected, "signed_out"), "{what}");
        }
        assert!(owner.is_signed_in().await, "another session is another one");
    }

    async fn a_sign_in_with_an_old_token_ends_its_session(server: TestServer) with { "SESSIOND_MAX_SESSIONS": "2",
        "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        for age in [0, 1, RENEWALS] {
            let owner = server.signed_in().await;
            let tokens = renewed(&server, &owner).await;
            // Its place is free: two sessions are allowed, and there are two.
            let answer = tokens[age].post_json("/login", &serde_json::json!({ "email": owner.email, "password": PASSWORD })).await;
            answer.assert_status(200);
            assert!(owner.is_signed_in().await);
            let of = format!("SELECT end_reason AS value FROM sessions WHERE id = '{}'", tokens[0].session_id);
            assert_eq!(server.stores.database.value(&of), "replaced", "{age} renewals old");
            if age > 0 {
                assert!(!tokens[0].is_signed_in().await, "{age} renewals old");
            }
        }
    }

    /// The row was purged, by a node with a wrong clock or by hand, and the record stands: signing out ends that, too.
    async fn a_token_without_a_row_is_deleted_and_confirmed(server: TestServer) {
        let owner = server.signed_in().await;
        for age in [0, 1] {
            let tokens = renewed(&server, &owner).await;
            let present = &tokens[0];
            assert_eq!(present.get("/auth/forward").await.status, 200, "there is a record, where there is a Redis");
            let purge = format!("DELETE FROM sessions WHERE id = '{}'", present.session_id);
            server.stores.database.execute(&format!("DELETE FROM former_tokens WHERE session_id = '{}'", present.session_id));
            server.stores.database.execute(&purge);
            let copy = present.copy_at(&server.url());
            let expected = if server.stores.redis_if_any().is_some() { 200 } else { 401 };
            assert_eq!(copy.get("/auth/forward").await.status, expected, "the record alone says yes");
            if age == 0 {
                let answer = present.sign_out().await;
                answer.assert_status(204);
                assert_removed(&answer, "without a row");
                assert_eq!(copy.get("/auth/forward").await.status, 401, "and not after the sign-out");
            } else {
                // A browser that signs in anew, too.
                let stranger: Anonymous = server.anonymous();
                stranger.browser().set_cookie(COOKIE, &present.cookie());
                stranger.login(&owner.email, PASSWORD).await.assert_status(200);
                assert_eq!(copy.get("/auth/forward").await.status, 401, "and not after the sign-in");
            }
            assert_eq!(server.stores.database.count("pending_invalidations", "1 = 1"), 0, "it is confirmed");
        }
    }

    /// It is confirmed anew, but takes no turn of those who change something: whoever has an account has such a cookie, and
    /// can show it over and over.
    async fn a_sign_out_that_is_repeated_waits_for_no_writer(server: TestServer) {
        let owner = server.signed_in().await;
        let copies = [(); 3].map(|()| owner.copy_at(&server.url()));
        let old = owner.copy_at(&server.url());
        owner.reauthenticate(PASSWORD).await.assert_status(200);
        let present = owner.copy_at(&server.url());
        owner.sign_out().await.assert_status(204);
        let writer = server.stores.database.block_writers();
        for copy in copies.iter().chain([&old, &present]) {
            copy.sign_out().await.assert_status(204);
        }
        drop(writer);
        let (lines, ..) = line(&server.stores.database, &owner.session_id);
        assert_eq!(lines, 1);
    }
}
