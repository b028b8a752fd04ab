//! Messages between nodes that are lost, late, or come twice.
//!
//! Owns what happens to a message to drop copies, and to its answer. A revocation whose message or whose answer is lost
//! is answered when the node has renewed its lease and read what is pending.

use std::time::Duration;

use super::{GIVE, LEASE, RENEWAL, World};
use crate::support::proxy::contains;

/// A message of the channel that asks to drop something: longer than one that a node sends to itself.
pub(super) fn asks_to_drop(message: &[u8]) -> bool {
    contains("near:drop")(message) && message.len() > 100
}

/// A node whose message is lost learns of it at its next renewal, and says so at the one after that.
fn assert_by_renewals(took: Duration) {
    assert!(took < 3 * RENEWAL + GIVE, "{took:?}");
}

#[tokio::test]
async fn a_message_that_is_lost() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    for _ in 0..3 {
        let victim = world.warmed(&owner).await;
        let lost = world.members[1].redis.lose_deliveries(asks_to_drop);
        let (status, took) = world.end(&owner, &victim, 0).await;
        println!("a message was lost: answered {status} after {took:?}");
        assert_eq!(status, 204);
        assert_by_renewals(took);
        assert!(lost.count() > 0, "nothing was lost");
        world.assert_dead(&victim).await;
        assert!(world.members[1].figures().in_use, "it lost no message of its own");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    // The first node begins to listen to answers when it sees another one with copies.
    tokio::time::sleep(2 * RENEWAL).await;
    let victim = world.warmed(&owner).await;
    let lost = world.members[0].redis.lose_deliveries(contains("near:ack"));
    let (status, took) = world.end(&owner, &victim, 0).await;
    println!("an answer was lost: answered {status} after {took:?}");
    assert_eq!(status, 204);
    assert_by_renewals(took);
    assert!(lost.count() > 0, "nothing was lost");
    world.assert_dead(&victim).await;
}

/// It comes when everything is over, and whatever it asks for is done once more.
#[tokio::test]
async fn a_message_that_comes_after_the_deadline() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let victim = world.warmed(&owner).await;
    let late = world.members[1].redis.hold_deliveries(asks_to_drop);
    let (status, took) = world.end(&owner, &victim, 0).await;
    println!("a message is late: answered {status} after {took:?}");
    assert_eq!((status, late.count()), (204, 1));
    assert!(took < LEASE + GIVE, "{took:?}");
    world.assert_dead(&victim).await;
    late.release();
    world.assert_dead(&victim).await;
    // Nothing else is wrong.
    let next = world.warmed(&owner).await;
    assert_eq!(world.end(&owner, &next, 1).await.0, 204);
    world.assert_dead(&next).await;
}

/// Whoever may publish can have copies dropped, and nothing more.
#[tokio::test]
async fn messages_that_come_twice_and_messages_of_strangers() {
    let world = World::of(2).await;
    let owner = world.owner().await;
    let redis = world.stores.redis();
    tokio::time::sleep(2 * RENEWAL).await;
    let victim = world.warmed(&owner).await;
    let hash = sessiond::domain::Token::parse(&victim.token()).expect("a token").hash().to_base64url();
    for message in
        [format!("a-stranger 1 {hash}"), format!("a-stranger 1 {hash}"), "a-stranger".to_owned(), "\u{e4}".to_owned()]
    {
        let heard: i64 = redis.cli(&["PUBLISH", "near:drop", &message]);
        assert_eq!(heard, 2, "both nodes hear it");
    }
    let before = world.members[1].figures().misses;
    assert_eq!(world.members[1].status(&victim).await, 200, "it is only read again");
    assert_eq!(world.members[1].figures().misses, before + 1);
    let (status, took) = world.end(&owner, &victim, 0).await;
    assert_eq!(status, 204);
    assert!(took < GIVE, "{took:?}");
    world.assert_dead(&victim).await;
}
