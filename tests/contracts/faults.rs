//! A Redis that is ill, away, full, or no longer the master: what the caller learns, and how soon.

use std::time::Duration;

use sessiond::domain::Nonce;
use sessiond::domain::SystemRandom;
use sessiond::live::{Doubt, LiveError, Seen};

use crate::contracts::world::{World, hash, pause, until, within};
use crate::support::redis::{Persistence, PrivateRedis};

const AT_ONCE: Duration = Duration::from_millis(100);

/// The command time-out and what a busy machine needs.
const ONE_COMMAND: Duration = Duration::from_millis(450);

#[tokio::test]
async fn a_killed_server_is_down_at_once_and_used_again_after_its_restart() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.redis.kill();
    for _ in 0..20 {
        let answer = within(AT_ONCE, "a dead Redis", world.read(&hash)).await;
        assert!(matches!(answer, Err(LiveError::Down(_))), "{answer:?}");
    }
    let deleted = within(AT_ONCE, "a dead Redis", world.live.delete(&[hash])).await;
    assert!(matches!(deleted, Err(LiveError::Down(_))), "{deleted:?}");
    world.redis.restart();
    until("used again", async || matches!(world.read(&hash).await, Ok(Seen::Doubt(_)))).await;
    assert_eq!(world.live.delete(&[hash]).await, Ok(vec![world.fence.stamp()]));
}

#[tokio::test]
async fn a_frozen_server_is_a_timeout_within_the_bound() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.live.delete(&[]).await.unwrap();
    // A connection that breaks sooner is not replaced at once.
    pause(1_100).await;
    world.redis.pause();
    let answer = within(ONE_COMMAND, "a frozen Redis", world.read(&hash)).await;
    assert!(matches!(answer, Err(LiveError::Timeout)), "{answer:?}");
    // A frozen server still accepts connections: it is the handshake that gets no answer.
    let answer = within(Duration::from_millis(1_100), "connecting", world.read(&hash)).await;
    assert!(matches!(answer, Err(LiveError::Timeout)), "{answer:?}");
    let answer = within(AT_ONCE, "not trying again yet", world.read(&hash)).await;
    assert!(matches!(answer, Err(LiveError::Down(_))), "{answer:?}");
    let deleted = within(Duration::from_millis(1_600), "the pool", world.live.delete(&[hash])).await;
    assert!(matches!(deleted, Err(LiveError::Timeout)), "{deleted:?}");
    world.redis.resume();
    until("used again", async || world.read(&hash).await.is_ok()).await;
    world.record(&hash).await;
}

#[tokio::test]
async fn while_one_request_tries_to_connect_the_others_do_not_wait() {
    let world = World::new();
    world.live.ping().await.unwrap();
    world.redis.pause();
    for _ in 0..2 {
        let answer = within(Duration::from_millis(1_100), "a frozen Redis", world.live.ping()).await;
        assert!(answer.is_err());
    }
    pause(300).await;
    let (first, second) = tokio::join!(world.live.ping(), within(AT_ONCE, "the other", world.live.ping()));
    assert_eq!(first, Err(LiveError::Timeout));
    assert!(matches!(second, Err(LiveError::Down(_))), "{second:?}");
}

#[tokio::test]
async fn a_fence_that_does_not_answer_is_waited_for_within_its_bound() {
    let world = World::new();
    world.fence.fall_silent();
    // Two seconds, once: whoever comes after that learns at once that it was in vain.
    let answer = within(Duration::from_millis(2_500), "a silent fence", world.read(&hash())).await;
    assert!(matches!(answer, Err(LiveError::FencedOff(_))), "{answer:?}");
    let again = within(AT_ONCE, "the next one", world.read(&hash())).await;
    assert!(matches!(again, Err(LiveError::Down(_))), "{again:?}");
}

#[tokio::test]
async fn a_fence_that_says_no_is_not_asked_by_every_request() {
    let world = World::new();
    world.fence.close(true);
    assert!(matches!(world.read(&hash()).await, Err(LiveError::FencedOff(_))));
    for _ in 0..50 {
        let answer = world.read(&hash()).await;
        assert!(matches!(answer, Err(LiveError::Down(_))), "{answer:?}");
    }
    assert_eq!(world.fence.asked(), 1);
    world.fence.close(false);
    until("used again", async || world.read(&hash()).await.is_ok()).await;
}

#[tokio::test]
async fn a_lease_that_was_retired_at_birth_is_not_asked_for_by_every_request() {
    let world = World::new();
    world.live.ping().await.unwrap();
    world.fence.lease().retire();
    for _ in 0..50 {
        assert!(world.live.ping().await.is_err());
    }
    assert_eq!(world.fence.asked(), 2);
}

#[tokio::test]
async fn many_requests_open_one_connection() {
    let world = World::new();
    let hash = hash();
    let reads = futures_util::future::join_all((0..50).map(|_| world.read(&hash))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert_eq!(world.fence.asked(), 1);
    world.live.for_worker().ping().await.unwrap();
    assert_eq!(world.fence.asked(), 2, "each worker has its own");
}

#[tokio::test]
async fn a_connection_that_keeps_breaking_is_not_made_anew_by_every_request() {
    let world = World::new();
    for _ in 0..30 {
        let _ = world.live.ping().await;
        world.redis.cli::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    assert!(world.fence.asked() < 10, "{} connections", world.fence.asked());
}

#[tokio::test]
async fn a_replica_is_refused() {
    let master = PrivateRedis::start();
    let port = master.address().port().to_string();
    let world = World::with(&["--replicaof", "127.0.0.1", &port]);
    let answer = world.read(&hash()).await;
    assert!(matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("replica")), "{answer:?}");
    let deleted = world.live.delete(&[hash()]).await;
    assert!(matches!(deleted, Err(LiveError::FencedOff(_))), "{deleted:?}");
    assert_eq!(world.fence.asked(), 0);
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_is_refused_at_the_next_command() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.redis.cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let answer = world.read(&hash).await;
    assert!(matches!(&answer, Err(LiveError::Refused(code)) if code == "READONLY"), "{answer:?}");
    let answer = world.read(&hash).await;
    assert!(matches!(answer, Err(LiveError::FencedOff(_) | LiveError::Down(_))), "{answer:?}");
}

#[tokio::test]
async fn a_replica_takes_no_put() {
    let world = World::new();
    let hash = hash();
    let lease = world.lease(&hash).await;
    world.redis.cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let put = world.live.put(lease, &world.session(), world.now()).await;
    assert_eq!(put, Err(LiveError::Refused("READONLY".to_owned())));
    assert!(world.text(&hash).unwrap().starts_with("lease "));
}

#[tokio::test]
async fn a_replica_does_not_answer_a_take_either() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.redis.cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let taken = world.live.take(&hash, Nonce::generate(&SystemRandom), &Doubt::default()).await;
    assert!(matches!(&taken, Err(LiveError::Refused(code)) if code == "READONLY"), "{taken:?}");
}

#[tokio::test]
async fn a_master_that_changed_behind_a_silent_connection_is_noticed_within_a_second() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    let text = world.text(&hash).unwrap();
    world.redis.cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    world.redis.cli::<()>(&["REPLICAOF", "NO", "ONE"]);
    pause(1_300).await;
    assert_eq!(world.text(&hash), Some(text), "the record still stands there");
    assert_eq!(world.doubt(&hash).await.stale, None);
    assert_eq!(world.fence.processes().len(), 2);
}

#[tokio::test]
async fn the_first_replica_gives_the_process_a_new_stamp_and_company() {
    let world = World::new();
    world.live.ping().await.unwrap();
    assert!(world.fence.lease().solo());
    let port = world.redis.address().port().to_string();
    let _replica = PrivateRedis::with(Persistence::None, &["--replicaof", "127.0.0.1", &port]);
    until("a new stamp", async || {
        let _ = world.live.ping().await;
        world.fence.processes().len() == 2
    })
    .await;
    let [before, after] = world.fence.processes().try_into().unwrap();
    assert_eq!(before.run_id, after.run_id);
    assert_ne!(before.replid, after.replid);
    assert!(!world.fence.lease().solo());
}

#[tokio::test]
async fn a_master_that_lost_its_replicas_loses_its_connections() {
    let world = World::new();
    let (hash, _) = world.on_record().await;
    world.redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(matches!(world.read(&hash).await, Err(LiveError::Refused(code)) if code == "NOREPLICAS"));
    assert!(matches!(world.read(&hash).await, Err(LiveError::Down(_))), "it broke young: not replaced at once");
    pause(250).await;
    assert!(matches!(world.read(&hash).await, Err(LiveError::Refused(code)) if code == "NOREPLICAS"));
    assert_eq!(world.fence.asked(), 1, "the probe was refused before the fence was asked");
    world.redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until("used again", async || world.read(&hash).await.is_ok()).await;
}

#[tokio::test]
async fn in_a_full_server_reads_and_deletions_work_and_fills_are_refused() {
    let world = World::with(&["--maxmemory-policy", "noeviction"]);
    let (hash, _) = world.on_record().await;
    let (pending, other) = (crate::contracts::world::hash(), crate::contracts::world::hash());
    let lease = world.lease(&pending).await;
    world.redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = |error: LiveError| assert_eq!(error, LiveError::Refused("OOM".to_owned()));
    full(world.live.put(lease, &world.session(), world.now()).await.unwrap_err());
    full(world.live.take(&other, Nonce::generate(&SystemRandom), &Doubt::default()).await.unwrap_err());
    let seen = world.record(&hash).await;
    full(world.live.touch(&seen, world.now(), crate::contracts::world::IP, world.now()).await.unwrap_err());
    assert_eq!(world.live.delete(&[hash]).await, Ok(vec![world.fence.stamp()]));
    world.doubt(&hash).await;
    assert_eq!(world.fence.asked(), 2, "the worker and the pool each connected once: a full server keeps them");
}

#[test]
fn a_pooled_connection_whose_runtime_is_gone_is_replaced() {
    let world = World::new();
    for times in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let deleted = within(AT_ONCE, "a pool with a dead connection", world.live.delete(&[hash()])).await;
            assert_eq!(deleted, Ok(vec![world.fence.stamp()]));
        });
        drop(runtime);
        assert_eq!(world.fence.asked(), times);
    }
}
