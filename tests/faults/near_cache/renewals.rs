//! Renewals of the lease that stall, are given up, and arrive late.
//!
//! Owns the row's lock. A node whose renewal does not commit stops to use its copies by itself, and what arrives late
//! revives nothing.

use diesel::connection::SimpleConnection;

use super::messages::asks_to_drop;
use super::{GIVE, LEASE, PATIENCE, TERM, World};
use crate::support::database::Database;
use crate::support::proxy::contains;
use crate::support::wait::{stopwatch, until};

#[tokio::test]
async fn a_renewal_whose_commit_stalls_past_the_lease() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let Database::Postgres(database) = &world.stores.database else { panic!("it is PostgreSQL") };
    for _ in 0..2 {
        let victim = world.warmed(&owner).await;
        // No message reaches the second node, and its own sweep stands still: only its lease ends its copies.
        let lost = world.members[1].redis.lose_deliveries(asks_to_drop);
        let swept = world.members[1].redis.hold(contains("\r\nDEL\r\n"));
        let mut locker = database.connect();
        let lock = "BEGIN; SET LOCAL lock_timeout = 0; SELECT name FROM node_leases FOR UPDATE";
        locker.batch_execute(lock).expect("the rows are locked");
        let stalled = stopwatch();
        let stops = async {
            until("it uses no copies", PATIENCE, async || !world.members[1].figures().in_use).await;
            stalled()
        };
        let ((status, took), used) = tokio::join!(world.end(&owner, &victim, 0), stops);
        println!("renewals stall: it used copies for {used:?}; answered {status} after {took:?}");
        assert!(used < TERM + GIVE && took < LEASE + GIVE);
        assert_eq!(status, 204, "its lease is over");
        assert_ne!(world.members[1].status(&victim).await, 200);
        // Whatever was given up arrives now, and the node has a lease again: the copies of before are void.
        locker.batch_execute("COMMIT").expect("the rows are free");
        until("it keeps copies again", PATIENCE, async || world.members[1].figures().in_use).await;
        for _ in 0..4 {
            assert_ne!(world.members[1].status(&victim).await, 200);
        }
        drop((lost, swept));
        world.assert_dead(&victim).await;
    }
}

/// A node that begins anew under another name keeps no copy of before.
#[tokio::test]
async fn a_row_that_is_gone() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let victim = world.warmed(&owner).await;
    let lost = world.members[1].redis.lose_deliveries(asks_to_drop);
    world.stores.database.execute("DELETE FROM node_leases");
    let (status, took) = world.end(&owner, &victim, 0).await;
    println!("the rows are gone: answered {status} after {took:?}");
    // Somebody who deletes rows takes the protection away for as long as a lease; a node takes it back by itself.
    until("it keeps copies again", PATIENCE, async || world.stores.database.count("node_leases", "copies") == 2).await;
    tokio::time::sleep(TERM).await;
    drop(lost);
    world.assert_dead(&victim).await;
}

/// A node that was ordered to stop leaves no lease that others would wait for.
#[tokio::test]
async fn a_node_that_stops_in_order_is_not_waited_for() {
    let mut world = World::of(2).await;
    let owner = world.owner().await;
    let victim = world.warmed(&owner).await;
    let mut last = world.members.pop().expect("there are two");
    last.node.stop().await;
    assert_eq!(world.stores.database.count("node_leases", "1 = 1"), 1);
    let (status, took) = world.end(&owner, &victim, 0).await;
    assert_eq!(status, 204);
    assert!(took < GIVE, "{took:?}");
    assert!(took < LEASE);
}
