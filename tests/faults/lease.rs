//! The lease of the store: how long checks go on when nobody says any more which Redis may speak, and how long a
//! revocation waits after a switch.
//!
//! Owns SQL that is away from a node on Sentinel or Cluster, and long leases. Each test prints its times.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::MovableClock;

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::issue::issue_at;
use crate::support::node::Node;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::topologies::{Servers, Topology};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// The default of `SESSIOND_STORE_LEASE`.
const LEASE: Duration = Duration::from_secs(3);
/// How often SQL is asked which Redis may speak, and time for a busy machine.
const GIVE: Duration = Duration::from_secs(2);

async fn forward(person: &SignedIn) -> u16 {
    let answer = person.get("/auth/forward").await;
    assert!(answer.set_cookies().is_empty(), "the cookie is left alone: {answer}");
    assert_eq!(answer.header("retry-after").is_some(), answer.status == 503, "{answer}");
    answer.status
}

async fn checks_go_on_for_a_lease(topology: Topology) {
    let stores = Stores::over(Database::postgres_with_tables(), Servers::start(topology));
    let (settings, sql) = stores.through_proxy();
    let node = Node::start(&settings, &Arc::<MovableClock>::default()).await;
    let owner = node.anonymous().sign_up().await;
    let mut people = Vec::new();
    for _ in 0..12 {
        people.push(issue_at(node.app(), &settings, &owner, &node.url()).await);
    }
    let warm = |person: &SignedIn| person.copy_at(&node.url());
    for person in people.iter().chain([&owner]) {
        for _ in 0..2 {
            assert_eq!(forward(&warm(person)).await, 200, "before anything");
        }
    }
    // The lease was renewed since.
    tokio::time::sleep(GIVE).await;
    sql.refuse();
    sql.cut();
    let (away, mut last_yes, mut yes) = (stopwatch(), Duration::ZERO, 0);
    let first_no = 'asking: loop {
        for person in &people {
            let begun = away();
            match forward(person).await {
                200 => (last_yes, yes) = (begun, yes + 1),
                503 => break 'asking begun,
                other => panic!("{topology:?}: a check answered {other} after {begun:?}"),
            }
        }
        assert!(away() < PATIENCE, "{topology:?}: it is trusted for ever");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    println!(
        "{topology:?}, SQL away: {yes} checks were answered 200, until {last_yes:?}; the first 503 at {first_no:?}"
    );
    assert!(
        last_yes + GIVE > LEASE && first_no < LEASE + GIVE,
        "the lease is {LEASE:?}, but: {last_yes:?}, {first_no:?}"
    );
    let stays = futures_util::future::join_all(people.iter().map(forward)).await;
    assert_eq!(stays, vec![503; people.len()], "{topology:?}: and it stays 503");
    sql.pass();
    let back = stopwatch();
    let mut statuses = Vec::new();
    while statuses != vec![200; people.len()] {
        assert!(back() < PATIENCE, "{topology:?}: {statuses:?}");
        statuses = futures_util::future::join_all(people.iter().map(forward)).await;
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{topology:?}: {statuses:?}");
    }
    println!(
        "recovery: {topology:?}, SQL away for longer than a lease: all {} answered 200 after {:?}",
        people.len(),
        back()
    );
    owner.end_session(&people[0].session_id).await.assert_status(204);
    assert_eq!((forward(&people[0]).await, forward(&people[1]).await), (401, 200));
}

#[tokio::test]
async fn sentinel_checks_go_on_for_a_lease_without_sql() {
    checks_go_on_for_a_lease(Topology::Sentinel).await;
}

#[tokio::test]
async fn cluster_checks_go_on_for_a_lease_without_sql() {
    checks_go_on_for_a_lease(Topology::Cluster).await;
}

/// However long the operator has made the lease, a revocation right after a switch waits it out, in one request.
#[tokio::test]
async fn a_revocation_after_a_switch_waits_out_a_lease_that_was_made_longer() {
    const LONGER: Duration = Duration::from_secs(7);
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings().with("SESSIOND_STORE_LEASE", "7s");
    let node = Node::start(&settings, &Arc::<MovableClock>::default()).await;
    let owner = node.anonymous().sign_up().await;
    let victim = issue_at(node.app(), &settings, &owner, &node.url()).await;
    assert_eq!((forward(&victim).await, forward(&owner).await), (200, 200));
    // A database server that was not seen for so long yet is waited for a little longer.
    tokio::time::sleep(LONGER + GIVE).await;
    assert_eq!((forward(&victim).await, forward(&owner).await), (200, 200));
    stores.redis().restart();
    until("the new process is enrolled", PATIENCE, async || {
        assert_eq!(forward(&owner).await, 200);
        stores.database.count("live_store", "retired_at IS NOT NULL") == 1
    })
    .await;
    let took = stopwatch();
    owner.end_session(&victim.session_id).await.assert_status(204);
    println!("a lease of {LONGER:?}: a revocation right after a switch was confirmed after {:?}", took());
    assert!(took() > LONGER - GIVE && took() < LONGER + GIVE, "{:?}", took());
    assert_eq!((forward(&victim).await, forward(&owner).await), (401, 200));
}
