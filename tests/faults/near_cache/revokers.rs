//! Who ends a session: a node that keeps no copies itself, or the command line.
//!
//! Owns the wait of each of them for the nodes with copies.

use super::World;
use crate::support::node::Node;
use crate::support::process::command_line_ok;
use crate::support::server::NEAR_CACHE;
use crate::support::wait::stopwatch;

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
