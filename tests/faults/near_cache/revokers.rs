//! Who ends a session: a node that keeps no copies itself, the command line, the sweep of another node after a crash.
//!
//! Owns the wait of each of them for the nodes with copies.

use super::{GIVE, LEASE, PATIENCE, World};
use crate::support::node::Node;
use crate::support::process::{Process, command_line_ok};
use crate::support::requests::Requests;
use crate::support::server::NEAR_CACHE;
use crate::support::wait::{stopwatch, until};

#[tokio::test]
async fn a_node_without_copies_waits_for_those_that_have_some() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let plain = Node::start(&world.stores.settings().without(NEAR_CACHE), &world.clock).await;
    // It begins to listen to answers when it has seen a node with copies.
    for round in 0..10 {
        let victim = world.warmed(&owner).await;
        let watch = stopwatch();
        owner.copy_at(&plain.url()).end_session(&victim.session_id).await.assert_status(204);
        println!("round {round}: a node without copies was answered after {:?}", watch());
        for member in &world.members {
            assert_eq!(member.status(&victim).await, 401);
        }
    }
}

#[tokio::test]
async fn the_command_line_is_answered_when_no_node_has_a_copy() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    // Often: a sweep that waits for nobody is noticed only between two renewals.
    for round in 0..8 {
        let settings = world.stores.settings();
        let settings = if round % 2 == 0 { settings } else { settings.without("REDIS_URL") };
        let victim = world.warmed(&owner).await;
        let watch = stopwatch();
        command_line_ok(&settings, &["sessions", "revoke", &victim.session_id], "");
        println!("the command line was answered after {:?}", watch());
        for member in &world.members {
            assert_eq!(member.status(&victim).await, 401);
        }
    }
}

/// The node that was asked dies between two steps; the client has no answer. Another node's sweep does the rest, and
/// removes the pending invalidation only when no node has a copy.
#[cfg(feature = "fault-points")]
#[tokio::test]
async fn a_sweep_after_a_crash_waits_for_the_nodes_with_copies() {
    for point in ["revoke: committed", "invalidate: deleted", "invalidate: may be removed"] {
        let world = World::of(2).await;
        let owner = world.owner().await;
        let mut process = Process::start(&world.stores.settings().with("SESSIOND_FAULT_POINT", point));
        let victim = world.warmed(&owner).await;
        let asked = owner.copy_at(&process.url());
        let answer =
            asked.change(reqwest::Method::DELETE, &format!("/sessions/{}", victim.session_id)).try_send().await;
        assert!(answer.is_err(), "it died at {point:?}");
        process.wait_for_end();
        let watch = stopwatch();
        until("nothing is pending", PATIENCE, async || {
            world.stores.database.count("pending_invalidations", "1 = 1") == 0
        })
        .await;
        println!("killed at {point:?}: confirmed by another node after {:?}", watch());
        for member in &world.members {
            assert_eq!(member.status(&victim).await, 401, "killed at {point:?}");
        }
        assert!(watch() < LEASE + LEASE + GIVE);
    }
}
