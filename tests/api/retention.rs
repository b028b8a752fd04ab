//! What is old enough goes, and nothing before.

use std::time::Duration;

use sessiond::domain::Clock as _;

use crate::support::crowd::{gather, user};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::until;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(20);

fn rows(server: &TestServer, table: &str) -> usize {
    server.stores.database.count(table, "1 = 1")
}

/// A line of the audit log that is older than all.
const CANARY: &str =
    "INSERT INTO audit (id, at, event, actor) VALUES ('00000000-0000-7000-8000-000000000000', 0, 'canary', 'server')";

/// Waits until the node has looked for what is old.
async fn purged(server: &TestServer) {
    server.stores.database.execute(CANARY);
    server.clock.advance(Duration::from_secs(601));
    canary_is_gone(server).await;
}

async fn canary_is_gone(server: &TestServer) {
    let gone = async || server.stores.database.count("audit", "event = 'canary'") == 0;
    until("the node looks for what is old", PATIENCE, gone).await;
    // What comes after it in the same round.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

on_each_backend! {
    async fn rows_of_sessions_go_after_their_absolute_timeout_and_the_retention(server: TestServer)
    with { "SESSIOND_ENDED_SESSION_RETENTION": "2d", "SESSIOND_ABSOLUTE_TIMEOUT": "12h" } {
        let user = server.signed_in().await;
        let (ended, _rests) = (user.sign_in_again().await, user.sign_in_again().await);
        ended.sign_out().await.assert_status(204);
        purged(&server).await;
        assert_eq!(rows(&server, "sessions"), 3);
        server.clock.advance(2 * DAY);
        purged(&server).await;
        assert_eq!(rows(&server, "sessions"), 3, "two days since it was ended, not since it could last");
        assert!(!ended.is_signed_in().await);
        server.clock.advance(DAY);
        purged(&server).await;
        until("rows that are old enough are gone", PATIENCE, async || rows(&server, "sessions") == 0).await;
        assert!(!user.is_signed_in().await && !ended.is_signed_in().await);
        let line = format!("event = 'session_revoked' AND session_id = '{}'", ended.session_id);
        assert_eq!(server.stores.database.count("audit", &line), 1, "the line that names it stays");
        assert_eq!(rows(&server, "users"), 1);
    }

    /// A round that a failing database cut short is made up for in seconds, not ten minutes later.
    async fn a_clean_up_that_failed_is_tried_again_soon(server: TestServer) {
        server.stores.database.execute("ALTER TABLE password_resets RENAME TO password_resets_away");
        // The lines come before the links.
        purged(&server).await;
        server.stores.database.execute("ALTER TABLE password_resets_away RENAME TO password_resets");
        server.stores.database.execute(CANARY);
        canary_is_gone(&server).await;
    }

    /// All live sessions are looked at for times that are yet to come, a part at a time: the last one of many as well.
    async fn a_time_that_is_yet_to_come_is_mended_wherever_it_stands(server: TestServer) {
        let (ledger, now) = (server.node().app().core.ledger().clone(), server.clock.now());
        let crowd = gather(&ledger, user(&ledger, now).await, now, 1_101, |number, row| {
            row.created_at = now.plus(Duration::from_millis(u64::try_from(number).expect("small")));
            if [0, 499, 500, 501, 1_100].contains(&number) {
                row.authenticated_at = now.plus(DAY);
            }
        })
        .await;
        assert!(crowd.windows(2).all(|two| two[0].row.id < two[1].row.id));
        let wrong = format!("authenticated_at > {}", now.plus(Duration::from_secs(3_600)).ms());
        server.clock.advance(Duration::from_secs(601));
        let mended = async || server.stores.database.count("sessions", &wrong) == 0;
        until("all are mended", PATIENCE, mended).await;
        assert_eq!(server.stores.database.count("sessions", "authenticated_at = 0"), 5);
    }

    async fn lines_go_after_their_retention(server: TestServer)
    with { "SESSIOND_AUDIT_RETENTION": "3d" } {
        let old = server.signed_in().await;
        server.clock.advance(2 * DAY);
        let young = server.signed_in().await;
        purged(&server).await;
        let of = |id: &str| server.stores.database.count("audit", &format!("user_id = '{id}'"));
        assert_eq!((of(&old.user_id), of(&young.user_id)), (2, 2));
        server.clock.advance(DAY);
        purged(&server).await;
        assert_eq!((of(&old.user_id), of(&young.user_id)), (0, 2));
    }

    async fn the_row_of_a_deleted_account_goes_with_its_last_session(server: TestServer)
    with { "SESSIOND_ENDED_SESSION_RETENTION": "1d" } {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let path = format!("/admin/users/{}", user.user_id);
        admin.delete(&path).await.assert_status(204);
        purged(&server).await;
        assert_eq!(rows(&server, "users"), 2);
        server.clock.advance(2 * DAY);
        purged(&server).await;
        until("it is gone", PATIENCE, async || rows(&server, "users") == 1).await;
        let again = admin.person().sign_in_again().await;
        again.delete(&path).await.assert_problem(404, "not-found");
    }
}
