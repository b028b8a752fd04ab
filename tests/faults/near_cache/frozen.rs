//! A node with copies that is stopped past its lease, and goes on.
//!
//! Owns the program as a process of its own, because a thread cannot be stopped. Whatever it answers when it goes on, it
//! says yes to nothing that was ended meanwhile.

use std::time::Duration;

use super::messages::asks_to_drop;
use super::{GIVE, LEASE, PATIENCE, World};
use crate::support::client::SignedIn;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::server::{Backend, NEAR_CACHE, Stores};
use crate::support::wait::{stopwatch, until};

pub(super) async fn status(person: &SignedIn, process: &Process) -> u16 {
    person.copy_at(&process.url()).get("/auth/forward").await.status
}

/// How often Redis was asked for a record.
fn asked(redis: &PrivateRedis) -> usize {
    let stats: String = redis.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_getex:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default()
}

/// Asks until Redis is not asked any more.
pub(super) async fn warm(redis: &PrivateRedis, person: &SignedIn, process: &Process) {
    until("a copy answers", PATIENCE, async || {
        let before = asked(redis);
        status(person, process).await == 200 && asked(redis) == before
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_stopped_past_its_lease_says_yes_to_nothing_that_ended_meanwhile() {
    let world = World::of(1).await;
    let owner = world.owner().await;
    let process = Process::start(&world.stores.settings().with(NEAR_CACHE, "1000"));
    until("it keeps copies", PATIENCE, async || world.stores.database.count("node_leases", "copies") == 2).await;
    // For less than a lease, for longer, and for so long that its row looks dead.
    for stopped in [Duration::from_millis(700), LEASE, LEASE + GIVE] {
        let victim = owner.sign_in_again().await;
        warm(world.stores.redis(), &victim, &process).await;
        world.members[0].warm(&victim).await;
        process.pause();
        let watch = stopwatch();
        let ending = async { world.end(&owner, &victim, 0).await };
        let going_on = async {
            tokio::time::sleep(stopped).await;
            process.resume();
        };
        let ((answer, took), ()) = tokio::join!(ending, going_on);
        println!("stopped for {stopped:?}: answered {answer} after {took:?}");
        assert_eq!(answer, 204);
        assert!(took < LEASE + GIVE, "{took:?}");
        // The very first answers after it went on.
        while watch() < stopped + LEASE {
            let status = status(&victim, &process).await;
            assert_ne!(status, 200, "stopped for {stopped:?}, asked {:?} after that", watch());
        }
        until("it answers again", PATIENCE, async || status(&owner, &process).await == 200).await;
    }
}

/// No message reaches it, Redis is trusted for long, and the requests are there before it goes on: nothing but its own
/// lease, judged on its own stopwatch, keeps it from saying yes.
#[tokio::test]
async fn the_first_requests_after_a_stop_find_no_lease() {
    let stores = Stores::new(Backend::Production);
    let way = Proxy::start(stores.redis().address());
    let settings = stores.settings().with(NEAR_CACHE, "1000").with("SESSIOND_STORE_LEASE", "20s");
    let other = Process::start(&settings.clone().without(NEAR_CACHE));
    let process = Process::start(&settings.with("REDIS_URL", &way.in_url(&stores.redis().url())));
    until("it keeps copies", PATIENCE, async || stores.database.count("node_leases", "copies") == 1).await;
    let owner = other.anonymous().sign_up().await;
    for _ in 0..2 {
        let victim = owner.sign_in_again().await;
        let lost = way.lose_deliveries(asks_to_drop);
        warm(stores.redis(), &victim, &process).await;
        process.pause();
        let watch = stopwatch();
        owner.end_session(&victim.session_id).await.assert_status(204);
        println!("answered after {:?}", watch());
        let asked: Vec<_> = (0..4)
            .map(|_| {
                let asked = victim.copy_at(&process.url());
                tokio::spawn(async move { asked.get("/auth/forward").await.status })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        process.resume();
        for asked in asked {
            assert_ne!(asked.await.expect("an answer"), 200, "it was asked after the revocation was answered");
        }
        drop(lost);
        until("it answers again", PATIENCE, async || status(&owner, &process).await == 200).await;
    }
}

/// The machine was so slow that the process was not scheduled between two looks at its clock: every node stands still
/// but the one that ends the session.
#[tokio::test]
async fn two_nodes_that_stand_still_are_waited_for_at_the_same_time() {
    let world = World::of(1).await;
    let owner = world.owner().await;
    let settings = world.stores.settings().with(NEAR_CACHE, "1000");
    let processes = [Process::start(&settings), Process::start(&settings)];
    until("they keep copies", PATIENCE, async || world.stores.database.count("node_leases", "copies") == 3).await;
    let victim = owner.sign_in_again().await;
    for process in &processes {
        warm(world.stores.redis(), &victim, process).await;
        process.pause();
    }
    let (answer, took) = world.end(&owner, &victim, 0).await;
    println!("two stand still: answered {answer} after {took:?}");
    assert_eq!(answer, 204);
    assert!(took < LEASE + GIVE, "{took:?}");
    processes.iter().for_each(Process::resume);
    for process in &processes {
        assert_ne!(status(&victim, process).await, 200);
    }
}
