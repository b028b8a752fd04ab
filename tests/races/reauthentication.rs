//! A proof against what it must not outlive: a new password, and the end of the session.
//!
//! Owns the proof that the lock on the user's row, the epoch and the compare-and-set of the token order them.

use std::time::Duration;

use crate::races::{ENOUGH, hashing_rounds};
use crate::support::client::PASSWORD;
use crate::support::hash_cost;
use crate::support::server::on_each_backend;

const NEW: &str = "another four plain words";

/// One comparison takes some tens of milliseconds; the other side starts anywhere in that.
fn stagger(round: usize) -> Duration {
    Duration::from_millis(1) * u32::try_from(round * 7 % 60).expect("a small number")
}

/// A round takes six hashes.
fn rounds() -> usize {
    hashing_rounds() / 5
}

on_each_backend! {
    async fn a_proof_against_a_new_password(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..rounds() {
            let owner = server.signed_in().await;
            let other = server.issue(&owner).await;
            let (proof, changed) = tokio::join!(other.reauthenticate(PASSWORD), async {
                tokio::time::sleep(stagger(round)).await;
                owner.change_password(PASSWORD, NEW).await
            });
            changed.assert_status(200);
            assert!([200, 401, 403].contains(&proof.status), "round {round}: {proof}");
            assert!(owner.is_signed_in().await && !other.is_signed_in().await, "round {round}: a proof outlived its password");
        }
    }

    async fn a_proof_against_the_end_of_its_session(server: TestServer)
    with { "SESSIOND_SIGN_IN_ADDRESS_LIMIT": ENOUGH } {
        hash_cost::full();
        for round in 0..rounds() {
            let owner = server.signed_in().await;
            let other = server.issue(&owner).await;
            let (proof, ended) = tokio::join!(other.reauthenticate(PASSWORD), async {
                tokio::time::sleep(stagger(round)).await;
                owner.end_session(&other.session_id).await
            });
            ended.assert_status(204);
            assert!([200, 401].contains(&proof.status), "round {round}: {proof}");
            assert!(!other.is_signed_in().await, "round {round}: a proof brought its session back");
        }
    }
}
