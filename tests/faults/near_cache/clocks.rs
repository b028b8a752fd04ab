//! Steps of PostgreSQL's own clock, ten seconds forward and back, under nodes with copies.
//!
//! Owns a server whose clock can be moved. Leases are counted, not timed by that clock, so no step can make one last
//! longer or look like over.

use std::time::Duration;

use super::frozen::{status, warm};
use super::{GIVE, LEASE, PATIENCE, RENEWAL};
use crate::support::client::SignedIn;
use crate::support::postgres_server::PostgresServer;
use crate::support::process::Process;
use crate::support::redis::PrivateRedis;
use crate::support::server::NEAR_CACHE;
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};
use crate::support::wall::Wall;

/// Whether a revocation is confirmed within this time, asked for again and again.
async fn ended(owner: &SignedIn, victim: &SignedIn, at: &Process, within: Duration) -> bool {
    let (watch, owner) = (stopwatch(), owner.copy_at(&at.url()));
    while watch() < within {
        if owner.end_session(&victim.session_id).await.status == 204 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

async fn assert_dead(victims: &[&SignedIn], nodes: &[Process], when: &str) {
    let watch = stopwatch();
    while watch() < LEASE + RENEWAL {
        for victim in victims {
            for node in nodes {
                assert_ne!(status(victim, node).await, 200, "{when}, {:?} after the 2xx", watch());
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn steps_of_the_databases_clock_revive_nobody() {
    let wall = Wall::showing("+0");
    let (redis, postgres) = (PrivateRedis::start(), PostgresServer::with_clock(&wall));
    let settings = Settings::new().with("DATABASE_URL", &postgres.url()).with("REDIS_URL", &redis.url());
    let settings = settings.with(NEAR_CACHE, "1000");
    let nodes = [Process::start(&settings), Process::start(&settings)];
    let owner = nodes[0].anonymous().sign_up().await;
    for offset in ["+10", "-10"] {
        let keeping = "SELECT FROM node_leases WHERE copies HAVING count(*) = 2";
        until("both keep copies", PATIENCE, async || postgres.any(keeping)).await;
        let victims = [owner.sign_in_again().await, owner.sign_in_again().await];
        for node in &nodes {
            for victim in &victims {
                warm(&redis, victim, node).await;
            }
        }
        let [first, second] = &victims;
        wall.show(offset);
        // Nodes soon find that their clocks are far from the database's, and answer nobody until they agree again.
        let answered = ended(&owner, first, &nodes[0], GIVE).await;
        println!("{offset}: a revocation was {}", if answered { "confirmed" } else { "not confirmed" });
        if answered {
            assert_dead(&[first], &nodes, offset).await;
        }
        wall.show("+0");
        for (victim, node) in [(second, &nodes[1]), (first, &nodes[0])] {
            assert!(ended(&owner, victim, node, PATIENCE).await, "{offset} and back: it is not confirmed");
        }
        assert_dead(&[first, second], &nodes, "the clock is right again").await;
        for node in &nodes {
            until("it serves again", PATIENCE, async || status(&owner, node).await == 200).await;
        }
    }
}
