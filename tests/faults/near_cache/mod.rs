//! Nodes that keep copies: whatever happens to a node, to its ways to the stores or to a message, no node says yes after
//! a revocation was answered 2xx.
//!
//! Owns the nodes, each with ways of its own to PostgreSQL and to Redis, and what they are asked. Must never take a
//! node's word that it keeps copies: each test sees hits first.
#![cfg(feature = "postgres")]

mod after_a_crash;
mod clocks;
mod cut_off;
mod frozen;
mod messages;
mod renewals;
mod revokers;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::MovableClock;
use sessiond::service::NearCacheFigures;

use crate::support::client::SignedIn;
use crate::support::node::Node;
use crate::support::proxy::Proxy;
use crate::support::requests::Requests;
use crate::support::server::{Backend, NEAR_CACHE, Stores};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long other nodes take a lease for running.
const LEASE: Duration = Duration::from_secs(3);
/// How long the node itself uses it.
const TERM: Duration = Duration::from_secs(2);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_millis(500);
/// Time for a busy machine.
const GIVE: Duration = Duration::from_secs(2);

/// A node with copies, and its ways to the stores.
struct Member {
    sql: Proxy,
    redis: Proxy,
    node: Node,
}

impl Member {
    fn figures(&self) -> NearCacheFigures {
        self.node.app().near_cache.figures().expect("it keeps copies")
    }

    async fn status(&self, person: &SignedIn) -> u16 {
        person.copy_at(&self.node.url()).get("/auth/forward").await.status
    }

    /// Another session of this person, signed in at this node.
    async fn another(&self, owner: &SignedIn) -> SignedIn {
        owner.copy_at(&self.node.url()).sign_in_again().await
    }

    /// Asks until a copy answers.
    async fn warm(&self, person: &SignedIn) {
        until("a copy answers", PATIENCE, async || {
            let before = self.figures().hits;
            self.status(person).await == 200 && self.figures().hits > before
        })
        .await;
    }
}

/// The stores, and nodes on them.
struct World {
    members: Vec<Member>,
    stores: Stores,
    clock: Arc<MovableClock>,
}

impl World {
    /// So many nodes.
    async fn of(nodes: usize) -> Self {
        let mut world = Self { members: Vec::new(), stores: Stores::new(Backend::Production), clock: Arc::default() };
        for _ in 0..nodes {
            world.join().await;
        }
        world
    }

    /// One more node.
    async fn join(&mut self) {
        let (settings, sql) = self.stores.through_proxy();
        let redis = Proxy::start(self.stores.redis().address());
        let settings = settings.with("REDIS_URL", &redis.in_url(&self.stores.redis().url())).with(NEAR_CACHE, "1000");
        let node = Node::start(&settings, &self.clock).await;
        let member = Member { sql, redis, node };
        until("it keeps copies", PATIENCE, async || member.figures().in_use).await;
        self.members.push(member);
    }

    /// Somebody whose sessions are issued at the first node.
    async fn owner(&self) -> SignedIn {
        self.members[0].node.anonymous().sign_up().await
    }

    /// A session that every node answers from a copy.
    async fn warmed(&self, owner: &SignedIn) -> SignedIn {
        let victim = owner.sign_in_again().await;
        for member in &self.members {
            member.warm(&victim).await;
        }
        victim
    }

    /// Ends a session at this node; tells the status and how long it took.
    async fn end(&self, owner: &SignedIn, victim: &SignedIn, at: usize) -> (u16, Duration) {
        let watch = stopwatch();
        let answer = owner.copy_at(&self.members[at].node.url()).end_session(&victim.session_id).await;
        (answer.status, watch())
    }

    /// No node says yes, now and for longer than any lease.
    async fn assert_dead(&self, victim: &SignedIn) {
        let watch = stopwatch();
        while watch() < LEASE + RENEWAL {
            for (number, member) in self.members.iter().enumerate() {
                let status = member.status(victim).await;
                assert_ne!(status, 200, "node {number}, {:?} after the revocation was answered", watch());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
