//! A node with copies that is cut off from Redis, from SQL, or from both.
//!
//! Owns the cuts. A revocation at another node is answered within a lease, and the node that was cut off says yes to
//! nothing from then on; when its ways are open again, it keeps copies again.

use std::time::Duration;

use super::{GIVE, LEASE, Member, PATIENCE, World};
use crate::support::wait::until;

#[derive(Clone, Copy, Debug)]
enum From {
    Redis,
    Sql,
    Both,
}

fn cut(member: &Member, from: From) {
    if matches!(from, From::Redis | From::Both) {
        member.redis.black_hole();
    }
    if matches!(from, From::Sql | From::Both) {
        member.sql.black_hole();
    }
}

fn heal(member: &Member) {
    member.redis.pass();
    member.sql.pass();
}

async fn a_node_that_is_cut_off(from: From) {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let away = &world.members[1];
    // Right after the cut, and when the node has noticed it.
    for noticed in [Duration::ZERO, Duration::from_millis(1_200)] {
        let victim = world.warmed(&owner).await;
        cut(away, from);
        tokio::time::sleep(noticed).await;
        let (status, took) = world.end(&owner, &victim, 0).await;
        println!("cut off from {from:?} {noticed:?} ago: answered {status} after {took:?}");
        assert_eq!(status, 204);
        assert!(took < LEASE + GIVE, "{took:?}");
        world.assert_dead(&victim).await;
        let (status, took) = world.end(&owner, &world.members[0].another(&owner).await, 0).await;
        assert_eq!(status, 204);
        assert!(took < GIVE, "nobody waits for a lease that is over: {took:?}");
        heal(away);
        until("it keeps copies again", PATIENCE, async || away.figures().in_use).await;
        until("it answers again", PATIENCE, async || away.status(&owner).await == 200).await;
        assert_eq!(away.status(&victim).await, 401);
    }
}

#[tokio::test]
async fn from_redis() {
    a_node_that_is_cut_off(From::Redis).await;
}

#[tokio::test]
async fn from_sql() {
    a_node_that_is_cut_off(From::Sql).await;
}

#[tokio::test]
async fn from_both() {
    a_node_that_is_cut_off(From::Both).await;
}
