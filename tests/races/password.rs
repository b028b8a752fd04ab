//! Sign-in against everything that ends all of a user's sessions, and two changes of a password at once.
//!
//! Owns the proof that the lock on the user's row and the epoch order them.

use std::time::Duration;

use serde_json::json;

use crate::races::{ENOUGH, hashing_rounds};
use crate::support::client::{Anonymous, PASSWORD, SignedIn, new_email};
use crate::support::hash_cost;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

/// A sign-in computes one hash, some tens of milliseconds; the other side starts anywhere in that.
fn stagger(round: usize) -> Duration {
    Duration::from_millis(1) * u32::try_from(round * 7 % 60).expect("a small number")
}

/// Signs in while `meanwhile` happens. The session, if one was issued.
async fn sign_in_while<T>(
    server: &TestServer,
    email: &str,
    password: &str,
    round: usize,
    meanwhile: impl Future<Output = T>,
) -> (Option<SignedIn>, T) {
    let stranger = server.anonymous();
    let sign_in = async {
        let answer = stranger.login(email, password).await;
        assert!([200, 401].contains(&answer.status), "{answer}");
        (answer.status == 200).then_some(answer)
    };
    let other = async {
        tokio::time::sleep(stagger(round)).await;
        meanwhile.await
    };
    let (issued, other) = tokio::join!(sign_in, other);
    (issued.map(|answer| stranger.into_signed_in(email, password, &answer)), other)
}

on_each_backend! {
    async fn sign_in_against_revoke_all(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..hashing_rounds() {
            let owner = server.signed_in().await;
            let (issued, ended) =
                sign_in_while(&server, &owner.email, PASSWORD, round, async { owner.end_all().await }).await;
            ended.assert_status(200);
            assert!(!owner.is_signed_in().await, "round {round}: the revoked session lives");
            let Some(issued) = issued else { continue };
            // It may live only if its password was read after the revocation: then it is younger.
            if issued.is_signed_in().await {
                let query = |column: &str, id: &str| {
                    let sql = format!("SELECT CAST({column} AS TEXT) AS value FROM sessions WHERE id = '{id}'");
                    server.stores.database.value(&sql).parse::<i64>().expect("a time")
                };
                let (issued_at, revoked_at) = (query("created_at", &issued.session_id), query("ended_at", &owner.session_id));
                assert!(issued_at >= revoked_at, "round {round}: a session from before the revocation lives");
            }
        }
    }

    async fn sign_in_against_disable(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        let admin = server.admin().await;
        for round in 0..hashing_rounds() {
            let owner = server.signed_in().await;
            let disable = async { admin.disable(&owner.user_id).await };
            let (issued, disabled) = sign_in_while(&server, &owner.email, PASSWORD, round, disable).await;
            disabled.assert_status(204);
            assert!(!owner.is_signed_in().await, "round {round}: a disabled user's session lives");
            if let Some(issued) = issued {
                assert!(!issued.is_signed_in().await, "round {round}: a disabled user signed in");
            }
            admin.enable(&owner.user_id).await.assert_status(204);
            assert!(!owner.is_signed_in().await, "round {round}: enabling revived a session");
        }
    }

    async fn sign_in_against_a_password_change(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..hashing_rounds() {
            let owner = server.signed_in().await;
            let change = async { owner.change_password(PASSWORD, "another four plain words").await };
            let (issued, changed) = sign_in_while(&server, &owner.email, PASSWORD, round, change).await;
            changed.assert_status(200);
            assert!(owner.is_signed_in().await, "round {round}: the session that changed the password is renewed");
            if let Some(issued) = issued {
                assert!(!issued.is_signed_in().await, "round {round}: a session of the old password lives");
            }
        }
    }

    async fn two_password_changes_at_once(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..hashing_rounds() {
            let one = server.signed_in().await;
            let other = one.sign_in_again().await;
            let (first, second) = ("the first of two changes", "the second of two changes");
            let (a, b) = tokio::join!(
                one.change_password(PASSWORD, first),
                async {
                    tokio::time::sleep(stagger(round)).await;
                    other.change_password(PASSWORD, second).await
                }
            );
            let (winner, loser, password) = match (a.status, b.status) {
                (200, 401 | 403) => (&one, &other, first),
                (401 | 403, 200) => (&other, &one, second),
                neither => panic!("round {round}: {neither:?}"),
            };
            assert!(winner.is_signed_in().await && !loser.is_signed_in().await, "round {round}");
            let refused = if password == first { second } else { first };
            for (attempt, status) in [(password, 200), (refused, 401), (PASSWORD, 401)] {
                assert_eq!(server.anonymous().login(&one.email, attempt).await.status, status, "round {round}: {attempt}");
            }
        }
    }

    async fn two_accounts_of_one_address_at_once(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..hashing_rounds() {
            let email = new_email();
            let (one, other): (Anonymous, Anonymous) = (server.anonymous(), server.anonymous());
            let shouted = email.to_uppercase();
            let (a, b) = tokio::join!(one.register(&email), other.register(&shouted));
            let mut statuses = [a.status, b.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409], "round {round}: {a} {b}");
        }
    }

    async fn one_link_used_twice_at_once(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..hashing_rounds() {
            let owner = server.signed_in().await;
            let token = server.reset_token(&owner.email);
            let attempt = |password: &'static str| {
                let (stranger, token) = (server.anonymous(), token.clone());
                async move { stranger.post_json("/reset", &json!({ "token": token, "new_password": password })).await }
            };
            let (a, b) = tokio::join!(attempt("the first of two links"), attempt("the second of two links"));
            let mut statuses = [a.status, b.status];
            statuses.sort_unstable();
            assert_eq!(statuses.first(), Some(&204), "round {round}: {statuses:?}");
            assert_ne!(statuses.last(), Some(&204), "round {round}: {statuses:?}");
            assert!(!owner.is_signed_in().await, "round {round}: a reset ends every session");
        }
    }
}
