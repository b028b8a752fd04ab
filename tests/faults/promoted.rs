//! PostgreSQL with a synchronous standby that is promoted while one node stays with the old primary.
//!
//! Owns what P1 says about that: nothing that was filled before the promotion, or by a node that was left behind, is
//! trusted after it. Prints what a node that was left behind says, and for how long.
#![cfg(feature = "postgres")]

use std::time::Duration;

use sessiond::service::Condition;

use crate::faults::restored::{node, statuses};
use crate::support::client::SignedIn;
use crate::support::node::Node;
use crate::support::postgres_server::PostgresServer;
use crate::support::proxy::{Proxy, contains};
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(30);
/// For so long a node trusts what it read last.
const LEASE: Duration = Duration::from_secs(3);

/// A primary, its standby, and two nodes whose ways to both, and to Redis, can be led elsewhere.
struct World {
    redis: PrivateRedis,
    primary: PostgresServer,
    standby: PostgresServer,
    ways: [Proxy; 2],
    /// B's way to Redis.
    knowledge: Proxy,
}

impl World {
    fn start() -> Self {
        let (redis, primary) = (PrivateRedis::start(), PostgresServer::primary());
        let standby = primary.synchronous_standby();
        let ways = [Proxy::start(primary.address()), Proxy::start(primary.address())];
        let knowledge = Proxy::start(redis.address());
        Self { redis, primary, standby, ways, knowledge }
    }

    async fn nodes(&self) -> [Node; 2] {
        let settings = |way: &Proxy, redis: &str| {
            Settings::new().with("DATABASE_URL", &way.in_url(&self.primary.url())).with("REDIS_URL", redis)
        };
        let [a, b] = &self.ways;
        let b = settings(b, &self.knowledge.in_url(&self.redis.url()));
        [node(&settings(a, &self.redis.url())).await, node(&b).await]
    }

    /// The address that this node uses is the new primary's.
    fn move_over(&self, way: &Proxy) {
        way.lead_to(self.standby.address());
        way.pass();
        way.cut();
    }
}

async fn status(person: &SignedIn, node: &Node) -> u16 {
    person.copy_at(&node.url()).me().await.status
}

/// What it says by the record alone, if there is one to trust.
async fn by_record(person: &SignedIn, node: &Node) -> u16 {
    person.copy_at(&node.url()).get("/auth/forward").await.status
}

/// Ends a session at a node, until that is confirmed.
async fn end(owner: &SignedIn, victim: &SignedIn, node: &Node) -> Duration {
    let watch = stopwatch();
    let at = owner.copy_at(&node.url());
    until("it is confirmed", PATIENCE, async || at.end_session(&victim.session_id).await.status == 204).await;
    watch()
}

/// What a node that is left behind says of them again and again, while a healthy one says that they are over.
async fn ask_again(victims: &[SignedIn], healthy: &Node, left_behind: &Node) -> Vec<u16> {
    let mut said = Vec::new();
    for victim in victims.iter().cycle().take(30) {
        said.push(by_record(victim, left_behind).await);
        assert_eq!(statuses(victim, healthy).await, [401, 401], "a healthy node says yes");
    }
    said
}

async fn trusts_none(victims: &[SignedIn], node: &Node) -> bool {
    for victim in victims {
        if by_record(victim, node).await != 503 {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn what_was_filled_before_a_promotion_or_by_a_node_left_behind_is_not_trusted_after_it() {
    let world = World::start();
    let [a, b] = world.nodes().await;
    let owner = a.anonymous().sign_up().await;
    let mut victims = Vec::new();
    for _ in 0..3 {
        let victim = owner.sign_in_again().await;
        assert_eq!((statuses(&victim, &a).await, statuses(&victim, &b).await), ([200, 200], [200, 200]));
        victims.push(victim);
    }
    tokio::time::sleep(LEASE).await;

    // B does not hear of it, as long as this lasts: it cannot read how far the ledger was seen to come.
    let deaf = world.knowledge.hold(contains("ledger:"));
    deaf.caught().await;
    world.standby.promote();
    world.move_over(&world.ways[0]);
    let watch = stopwatch();
    until("A is with the new primary", PATIENCE, async || status(&owner, &a).await == 200).await;
    for victim in &victims {
        println!("confirmed after {:?} by A, {:?} after the promotion", end(&owner, victim, &a).await, watch());
        assert_ne!(by_record(victim, &b).await, 200, "B says yes to what A has ended");
    }
    // On the old primary nothing can be committed, so B's lease is over: it neither answers nor fills from there.
    let left_behind = ask_again(&victims, &a, &b).await;
    println!("B, left behind and without a way to learn of it, says {left_behind:?}");
    assert!(left_behind.iter().all(|status| *status == 503), "{left_behind:?}");
    assert_eq!(owner.copy_at(&b.url()).end_session(&owner.session_id).await.status, 503, "B cannot end a session");
    let lease = b.app().fence.readiness().await.lease;
    assert_eq!(lease, Condition::Failing, "and a probe is told why");

    // The old primary dies.
    world.ways[1].refuse();
    world.ways[1].cut();
    assert!(trusts_none(&victims, &b).await);
    drop(deaf);

    world.move_over(&world.ways[1]);
    let watch = stopwatch();
    until("B is with the new primary", PATIENCE, async || {
        assert_dead(&victims, &[&a, &b]).await;
        status(&owner, &b).await == 200 && b.app().fence.readiness().await.redis == Condition::Ok
    })
    .await;
    println!("B was back after {:?}", watch());
    while watch() < 2 * LEASE {
        assert_dead(&victims, &[&a, &b]).await;
    }
    let last = owner.sign_in_again().await;
    assert_eq!((statuses(&last, &a).await, statuses(&last, &b).await), ([200, 200], [200, 200]));
    end(&owner, &last, &b).await;
    assert_dead(&[last], &[&a, &b]).await;
}

async fn assert_dead(victims: &[SignedIn], nodes: &[&Node]) {
    for victim in victims {
        for (number, node) in nodes.iter().enumerate() {
            let statuses = statuses(victim, node).await;
            assert!(!statuses.contains(&200), "node {number} says {statuses:?}");
        }
    }
}

/// Redis tells it that the ledger goes on elsewhere.
#[tokio::test]
async fn a_node_that_is_left_behind_learns_it_from_redis_and_refuses() {
    let world = World::start();
    let [a, b] = world.nodes().await;
    let owner = a.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    assert_eq!((statuses(&victim, &a).await, statuses(&victim, &b).await), ([200, 200], [200, 200]));
    world.standby.promote();
    world.move_over(&world.ways[0]);
    let watch = stopwatch();
    let ended = async {
        until("A is with the new primary", PATIENCE, async || status(&owner, &a).await == 200).await;
        end(&owner, &victim, &a).await;
        (watch(), statuses(&victim, &b).await)
    };
    let refused = async {
        until("B refuses the old primary", PATIENCE, async || statuses(&victim, &b).await == [503, 503]).await;
        watch()
    };
    let ((confirmed, then), refused) = tokio::join!(ended, refused);
    println!("B refused {refused:?} after the promotion; a session was ended by A {confirmed:?} after it");
    assert_eq!(then, [503, 503], "when it was confirmed, B had refused");
    let ready = b.app().fence.readiness().await;
    assert_eq!((ready.ready, ready.ledger), (false, Condition::Outdated));
    world.move_over(&world.ways[1]);
    until("B is with the new primary", PATIENCE, async || {
        assert_dead(std::slice::from_ref(&victim), &[&a, &b]).await;
        status(&owner, &b).await == 200
    })
    .await;
    assert_eq!(statuses(&victim, &b).await, [401, 401]);
}

/// A primary, its standby, and two nodes without Redis: nothing but the leases keeps them from the old primary.
async fn without_redis() -> (PostgresServer, PostgresServer, [Proxy; 2], [Node; 2]) {
    let primary = PostgresServer::primary();
    let standby = primary.synchronous_standby();
    let ways = [Proxy::start(primary.address()), Proxy::start(primary.address())];
    let at = |way: &Proxy| Settings::new().with("DATABASE_URL", &way.in_url(&primary.url()));
    let nodes = [node(&at(&ways[0])).await, node(&at(&ways[1])).await];
    (primary, standby, ways, nodes)
}

/// B's new connections lead to the new primary; its old ones are still open, and the old primary answers on them.
#[tokio::test]
async fn a_node_with_a_lease_from_the_new_primary_reads_from_no_other_server() {
    let (_primary, standby, ways, [a, b]) = without_redis().await;
    let owner = a.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    assert_eq!((statuses(&victim, &a).await, statuses(&victim, &b).await), ([200, 200], [200, 200]));
    standby.promote();
    ways.iter().for_each(|way| way.lead_to(standby.address()));
    ways[0].cut();
    end(&owner, &victim, &a).await;
    let (watch, mut said) = (stopwatch(), [0_usize; 2]);
    while watch() < LEASE {
        let answers = statuses(&victim, &b).await;
        assert!(!answers.contains(&200), "{answers:?}, {:?} after the revocation was answered", watch());
        said[usize::from(answers == [401, 401])] += 1;
    }
    println!("B could not tell {} times, and said no {} times", said[0], said[1]);
    until("B is with the new primary", PATIENCE, async || status(&owner, &b).await == 200).await;
}

/// Without Redis nothing but the leases holds a revocation back until a node that was left behind has stopped.
#[tokio::test]
async fn a_revocation_after_a_promotion_waits_for_leases_that_the_old_primary_granted() {
    let (_primary, standby, ways, [a, b]) = without_redis().await;
    let owner = a.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    assert_eq!((statuses(&victim, &a).await, statuses(&victim, &b).await), ([200, 200], [200, 200]));
    standby.promote();
    let watch = stopwatch();
    ways[0].lead_to(standby.address());
    ways[0].cut();
    assert!(statuses(&victim, &b).await.contains(&200), "B, left behind, has a lease of before");
    end(&owner, &victim, &a).await;
    println!("confirmed by A {:?} after the promotion", watch());
    for _ in 0..50 {
        let said = statuses(&victim, &b).await;
        assert!(!said.contains(&200), "{said:?}, {:?} after the promotion", watch());
    }
    assert!(watch() > LEASE, "it was known that the new primary was watched");
}
