//! V-07: fifty sign-ins at once, over three nodes, against the session limit: never one more than allowed, and whatever
//! made room is over at once.
//!
//! Without passwords, so that nothing but the transaction is in their way; with passwords in `tests/asvs/v7.rs`.

use std::time::Duration;

use sessiond::domain::UserId;
use sessiond::service::IssueError;

use crate::support::client::SignedIn;
use crate::support::issue::{client, signed};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

const PARALLEL: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);
const LIMIT: usize = 5;

fn rounds() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 100 } else { 3 }
}

/// Fifty at once; those who are in.
async fn at_once(server: &TestServer, owner: &SignedIn, nodes: &[&sessiond::service::App]) -> Vec<SignedIn> {
    let user = UserId::parse(&owner.user_id).expect("a user id");
    let attempts: Vec<_> = (0..PARALLEL)
        .map(|number| {
            let app = nodes[number % nodes.len()].clone();
            tokio::spawn(async move {
                let watch = stopwatch();
                loop {
                    match app.sign_in.issue(user, false, &[], &client()).await {
                        // So many at once on one SQLite file: some wait for its lock longer than they may, and come back.
                        Err(IssueError::Denied(_)) if watch() < PATIENCE => {}
                        answer => return answer,
                    }
                }
            })
        })
        .collect();
    let mut issued = Vec::new();
    for attempt in attempts {
        match attempt.await.expect("an answer") {
            Ok(it) => {
                let cookie = signed(&server.settings, &it.token.expose());
                issued.push(owner.with_session(&server.url(), &it.session.id.to_string(), &cookie));
            }
            Err(error) => assert!(matches!(error, IssueError::TooManySessions), "{error}"),
        }
    }
    issued
}

async fn alive(server: &TestServer, people: &[SignedIn]) -> usize {
    let of = format!("user_id = '{}' AND ended_at IS NULL", people[0].user_id);
    let in_ledger = server.stores.database.count("sessions", &of);
    let mut alive = 0;
    for person in people {
        alive += usize::from(person.is_signed_in().await);
    }
    assert_eq!(alive, in_ledger, "what the ledger has ended is over, and nothing else");
    alive
}

on_each_backend! {
    async fn v_07_the_limit_holds_while_the_oldest_make_room(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "5", "SESSIOND_MAX_SESSIONS_POLICY": "evict_oldest" } {
        let (second, third) = (server.another_node().await, server.another_node().await);
        let nodes = [server.node().app(), second.app(), third.app()];
        for round in 0..rounds() {
            let owner = server.signed_in().await;
            // With records that could go on saying yes.
            let others: Vec<_> = (1..LIMIT).map(|_| server.issue(&owner)).collect();
            let mut before = vec![owner.copy_at(&server.url())];
            for other in others {
                before.push(other.await);
            }
            for person in &before {
                assert!(person.is_signed_in().await, "round {round}");
            }
            let issued = at_once(&server, &owner, &nodes).await;
            assert_eq!(issued.len(), PARALLEL, "round {round}: nobody is refused");
            for person in &before {
                assert!(!person.is_signed_in().await, "round {round}: the oldest are out at once");
            }
            assert_eq!(alive(&server, &issued).await, LIMIT, "round {round}");
            let evicted = format!("user_id = '{}' AND end_reason = 'evicted'", owner.user_id);
            assert_eq!(server.stores.database.count("sessions", &evicted), PARALLEL, "round {round}");
        }
    }

    async fn v_07_the_limit_holds_while_sign_ins_are_refused(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "5", "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        let (second, third) = (server.another_node().await, server.another_node().await);
        let nodes = [server.node().app(), second.app(), third.app()];
        for round in 0..rounds() {
            let owner = server.signed_in().await;
            let mut people = at_once(&server, &owner, &nodes).await;
            assert_eq!(people.len(), LIMIT - 1, "round {round}");
            people.push(owner);
            assert_eq!(alive(&server, &people).await, LIMIT, "round {round}: nobody is out for it");
        }
    }
}
