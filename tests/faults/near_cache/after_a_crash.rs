//! The node that was asked to end a session dies between two steps.
//!
//! Owns the crash. The sweep of another node does the rest, and waits for the nodes with copies like everybody else.
#![cfg(feature = "fault-points")]

use super::{GIVE, LEASE, PATIENCE, World};
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::wait::{stopwatch, until};

/// The node that was asked dies between two steps; the client has no answer. Another node's sweep does the rest, and
/// removes the pending invalidation only when no node has a copy.
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
