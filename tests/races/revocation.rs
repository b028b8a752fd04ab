//! Revocations against each other and against checks.
//!
//! Owns the proof that a revocation which was answered 2xx holds, whoever else revokes or checks meanwhile.

use crate::races::rounds;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

on_each_backend! {
    async fn two_revokes_of_one_session(server: TestServer) {
        let owner = server.signed_in().await;
        for round in 0..rounds() {
            let victim = server.issue(&owner).await;
            assert_eq!(victim.get("/auth/forward").await.status, 200, "round {round}");
            let (a, b) = tokio::join!(owner.end_session(&victim.session_id), owner.end_session(&victim.session_id));
            assert_eq!((a.status, b.status), (204, 204), "round {round}");
            assert_eq!(victim.get("/auth/forward").await.status, 401, "round {round}");
            let lines = format!("event = 'session_revoked' AND session_id = '{}'", victim.session_id);
            assert_eq!(server.stores.database.count("audit", &lines), 1, "round {round}: one revocation, one line");
        }
    }

    async fn checks_against_a_revoke(server: TestServer) {
        let owner = server.signed_in().await;
        for round in 0..rounds() {
            let victim = server.issue(&owner).await;
            // Half of the rounds start with a record, half with a fill that the revocation meets.
            if round % 2 == 0 {
                assert_eq!(victim.get("/auth/forward").await.status, 200, "round {round}");
            }
            let check = || async { victim.get("/auth/forward").await.status };
            let (revoked, ..) = tokio::join!(owner.end_session(&victim.session_id), check(), check(), check());
            assert_eq!(revoked.status, 204, "round {round}");
            for _ in 0..2 {
                assert_eq!(check().await, 401, "round {round}: a revoked session was let through");
            }
        }
    }

    async fn a_sign_out_against_revoke_all(server: TestServer) {
        let mut owner = server.signed_in().await;
        for round in 0..rounds() {
            if round % 100 == 99 {
                // Ends that find nothing to end are limited for each account.
                owner = server.signed_in().await;
            }
            let (one, other) = (server.issue(&owner).await, server.issue(&owner).await);
            let (left, ended) = tokio::join!(one.sign_out(), other.end_others());
            assert_eq!((left.status, ended.status), (204, 200), "round {round}: {left} {ended}");
            assert_eq!(one.get("/auth/forward").await.status, 401, "round {round}");
            assert_eq!(other.get("/auth/forward").await.status, 200, "round {round}");
            other.sign_out().await.assert_status(204);
        }
    }
}
