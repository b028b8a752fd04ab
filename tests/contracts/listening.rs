//! What nodes say to each other: every other node hears it, whatever the shape of Redis; nobody hears nonsense, and a
//! subscription that is lost is known to be.

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{MovableClock, SessionId, SystemRandom};
use sessiond::live::{Listener, Live, LiveConfig, LiveError};

use crate::contracts::fence::FakeFence;
use crate::contracts::world::World;
use crate::support::redis::PrivateRedis;
use crate::support::tls;
use crate::support::topologies::Topology;
use crate::support::wait::stopwatch;

const PATIENCE: Duration = Duration::from_secs(20);

/// One more node on the same Redis.
fn another(world: &World, protocol: &str) -> Live {
    let mut config = LiveConfig::new(format!("{}{protocol}", world.redis.url()));
    (config.command_timeout, config.connect_timeout) = (PATIENCE / 4, PATIENCE / 2);
    Live::open(config, Arc::<FakeFence>::clone(&world.fence), Arc::<MovableClock>::clone(&world.clock)).unwrap()
}

async fn heard(listener: &mut Listener) -> SessionId {
    tokio::time::timeout(PATIENCE, listener.hear()).await.expect("something is heard").expect("a subscription")
}

async fn lost(listener: &mut Listener) -> LiveError {
    tokio::time::timeout(PATIENCE, listener.hear()).await.expect("the loss is noticed").expect_err("nobody speaks")
}

fn session(world: &World) -> SessionId {
    SessionId::generate(world.now(), &SystemRandom)
}

#[tokio::test]
async fn every_other_node_hears_it_and_the_one_that_says_it_does_not() {
    for (topology, protocol) in
        [(Topology::One, ""), (Topology::One, "?protocol=resp3"), (Topology::Sentinel, ""), (Topology::Cluster, "")]
    {
        assert_heard(topology, protocol).await;
    }
}

#[tokio::test]
async fn it_is_heard_through_tls() {
    if tls::trusting(concat!(module_path!(), "::it_is_heard_through_tls")) {
        assert_heard(Topology::Tls, "").await;
    }
}

async fn assert_heard(topology: Topology, protocol: &str) {
    let world = World::on(topology);
    let node = another(&world, protocol);
    let (mut listener, mut own) = (world.live.listen().await.unwrap(), node.listen().await.unwrap());
    let many: Vec<_> = (0..300).map(|_| session(&world)).collect();
    node.announce(&many).await.unwrap();
    for expected in &many {
        assert_eq!(heard(&mut listener).await, *expected, "{topology:?}");
    }
    // Its own three hundred come back to it, and are passed over.
    let answer = session(&world);
    world.live.announce(&[answer]).await.unwrap();
    assert_eq!(heard(&mut own).await, answer, "{topology:?}");
    assert!(node.announce(&[]).await.is_ok());
}

#[tokio::test]
async fn nonsense_on_the_channel_is_passed_over() {
    let world = World::new();
    let mut listener = world.live.listen().await.unwrap();
    let expected = session(&world);
    let long = "x".repeat(100_000);
    for text in ["", " ", "x", "a b", "a  ", &long, "\u{0}", &format!("a {expected} b"), &expected.to_string()] {
        let _heard: i64 = world.redis.cli(&["PUBLISH", "changed", text]);
    }
    let _elsewhere: i64 = world.redis.cli(&["PUBLISH", "other:changed", &format!("a {expected}")]);
    let _heard: i64 = world.redis.cli(&["PUBLISH", "changed", &format!("anybody {expected}")]);
    assert_eq!(heard(&mut listener).await, expected);
}

#[tokio::test]
async fn a_subscription_that_is_lost_is_known_to_be() {
    let world = World::over(PrivateRedis::start(), |config| config.connect_timeout = PATIENCE / 4);
    let mut listener = world.live.listen().await.unwrap();
    let killed: i64 = world.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(killed, 1);
    assert!(matches!(lost(&mut listener).await, LiveError::Down(_)));

    let mut listener = world.live.listen().await.unwrap();
    world.redis.pause();
    let watch = stopwatch();
    assert_eq!(lost(&mut listener).await, LiveError::Timeout);
    println!("a server that says nothing any more was noticed after {:?}", watch());
    assert!(world.live.listen().await.is_err(), "and nobody waits for it for ever");
    world.redis.resume();

    world.redis.cli::<()>(&["ACL", "SETUSER", "default", "-subscribe"]);
    assert!(matches!(world.live.listen().await, Err(LiveError::Refused(code)) if code == "NOPERM"));
}
