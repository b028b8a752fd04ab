//! An account with many live sessions on two nodes is disabled: all are dead on the next request, wherever they are shown.
#![cfg(feature = "postgres")]

use crate::support::client::{Admin, SignedIn};
use crate::support::issue::issue_at;
use crate::support::process::Process;
use crate::support::server::{Backend, Stores};

const SESSIONS: usize = 100;

#[tokio::test]
async fn a_hundred_live_sessions_on_two_nodes_are_dead_on_the_next_request_and_enabling_revives_none() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let nodes = [Process::start(&settings), Process::start(&settings)];
    let admin = Admin::create(&settings, &nodes[0].url()).await;
    let first = nodes[0].anonymous().sign_up().await;
    let app = sessiond::server::open_ledger(&settings.config().expect("settings")).await.expect("the ledger");
    let mut sessions: Vec<SignedIn> = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(issue_at(&app, &settings, &first, &nodes[0].url()).await);
    }
    let all_are = async |alive: bool, when: &str| {
        for (number, session) in sessions.iter().enumerate() {
            for node in &nodes {
                let answer = session.copy_at(&node.url()).is_signed_in().await;
                assert_eq!(answer, alive, "session {number}, {when}");
            }
        }
    };
    // Each has a record in Redis then.
    all_are(true, "before").await;
    admin.disable(&first.user_id).await.assert_status(204);
    all_are(false, "disabled").await;
    admin.enable(&first.user_id).await.assert_status(204);
    all_are(false, "enabled again").await;
    let lines = format!("event = 'session_revoked' AND detail = 'disabled' AND user_id = '{}'", first.user_id);
    // With a limit of a hundred, the first one has made room for the last.
    assert_eq!(stores.database.count("audit", &lines), SESSIONS, "one line for each");
    assert!(first.sign_in_again().await.is_signed_in().await);
}
