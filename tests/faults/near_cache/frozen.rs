//! A node with copies that is stopped past its lease, and goes on.
//!
//! Owns the program as a process of its own, because a thread cannot be stopped. Whatever it answers when it goes on, it
//! says yes to nothing that was ended meanwhile.

use std::time::Duration;

use super::{GIVE, LEASE, PATIENCE, World};
use crate::support::client::SignedIn;
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::NEAR_CACHE;
use crate::support::wait::{stopwatch, until};

async fn status(person: &SignedIn, process: &Process) -> u16 {
    person.copy_at(&process.url()).get("/auth/forward").await.status
}

/// How often Redis was asked for a record.
fn asked(world: &World) -> usize {
    let stats: String = world.stores.redis().cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_getex:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default()
}

/// Asks until Redis is not asked any more.
async fn warm(world: &World, person: &SignedIn, process: &Process) {
    until("a copy answers", PATIENCE, async || {
        let before = asked(world);
        status(person, process).await == 200 && asked(world) == before
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
        warm(&world, &victim, &process).await;
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
        warm(&world, &victim, process).await;
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
