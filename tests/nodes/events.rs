//! Any node tells an open page that its session has ended, whichever node has ended it: at once by way of Redis, and
//! within a bound without.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::events::Events;
use crate::support::node::Node;
use crate::support::redis::PrivateRedis;
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::settings::Settings;
use crate::support::topologies::{Servers, Topology};
use crate::support::wait::{stopwatch, until};

/// Everything is looked at so often.
const ROUND: Duration = Duration::from_secs(10);
/// For what is done meanwhile, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_millis(400);
const MINUTE: Duration = Duration::from_secs(60);

fn is_soak() -> bool {
    std::env::var_os("SESSIOND_TEST_SOAK").is_some()
}

/// Two nodes on the same stores, and somebody who is signed in.
struct Pair {
    here: TestServer,
    there: Node,
    owner: SignedIn,
}

impl Pair {
    async fn on(stores: Stores) -> Self {
        let settings = stores.settings();
        Self::with(stores, settings).await
    }

    async fn with(stores: Stores, settings: Settings) -> Self {
        let here = TestServer::on(stores, settings).await;
        let there = here.another_node().await;
        let owner = here.signed_in().await;
        let pair = Self { here, there, owner };
        if pair.here.stores.servers_if_any().is_some() {
            pair.both_listen().await;
        }
        pair
    }

    async fn both_listen(&self) {
        until("both nodes listen", ROUND + SLACK, async || self.subscribed() == 2).await;
    }

    /// How many nodes listen, at whichever servers.
    fn subscribed(&self) -> i64 {
        let servers = &self.here.stores.servers().servers;
        let count = |server: &PrivateRedis| {
            let (_, count) = server.try_cli::<(String, i64)>(&["PUBSUB", "NUMSUB", "changed"]).unwrap_or_default();
            count
        };
        servers.iter().map(count).sum()
    }

    /// A session with an open page here, and the same session's owner there.
    async fn page(&self) -> (SignedIn, Events) {
        let session = self.here.issue(&self.owner).await;
        assert!(session.is_signed_in().await);
        let events = Events::of(&session).await;
        (session, events)
    }

    /// Ends the session on the other node. How long after the answer the page knew.
    async fn end_there(&self, session: &SignedIn, events: &mut Events) -> Duration {
        let there = self.owner.copy_at(&self.there.url());
        let answer = there.end_session(&session.session_id).await;
        assert!([204, 503].contains(&answer.status), "{answer}");
        let watch = stopwatch();
        assert_eq!(events.ending().await, "signed_out_elsewhere");
        watch()
    }

    async fn ends_at_once(&self, what: &str) {
        let mut slowest = Duration::ZERO;
        for _ in 0..8 {
            let (session, mut events) = self.page().await;
            let mut there = Events::of(&session.copy_at(&self.there.url())).await;
            slowest = slowest.max(self.end_there(&session, &mut events).await);
            let watch = stopwatch();
            assert_eq!(there.ending().await, "signed_out_elsewhere");
            slowest = slowest.max(watch());
        }
        println!("{what}: pages on both nodes knew at the latest {slowest:?} after the answer");
        assert!(slowest < ROUND / 4, "{slowest:?}");
    }
}

#[tokio::test]
async fn what_one_node_ends_or_begins_another_tells_at_once() {
    let pair = Pair::on(Stores::new(Backend::Production)).await;
    pair.ends_at_once("one Redis").await;
    let mut mine = Events::of(&pair.owner).await;
    mine.assert_silent(CALM).await;
    let watch = stopwatch();
    let _new = pair.owner.copy_at(&pair.there.url()).sign_in_again().await;
    assert_eq!(mine.news().await.expect("an event").event, "sessions-changed");
    assert!(watch() < ROUND / 2, "{:?}", watch());
    // What comes back of its own words is nothing new.
    mine.assert_silent(CALM).await;
}

#[tokio::test]
async fn a_use_on_another_node_keeps_the_page_open_until_the_idle_timeout_after_it() {
    let pair = Pair::on(Stores::new(Backend::Production)).await;
    let (session, mut events) = pair.page().await;
    for rest in [29, 27] {
        pair.here.clock.advance(rest * MINUTE);
        assert!(session.copy_at(&pair.there.url()).is_signed_in().await);
        // The record is written off the request's latency.
        tokio::time::sleep(CALM).await;
        pair.here.clock.advance(2 * MINUTE);
        events.assert_silent(3 * CALM).await;
    }
    pair.here.clock.advance(28 * MINUTE + Duration::from_secs(1));
    let watch = stopwatch();
    assert_eq!(events.ending().await, "expired");
    println!("after a use on another node the page was told {:?} after the deadline", watch());
}

#[tokio::test]
async fn sentinels_say_where_to_listen() {
    if !is_soak() {
        // tests/contracts has a short version.
        return;
    }
    let pair = Pair::on(Stores::new(Backend::Sentinel)).await;
    pair.ends_at_once("a master under Sentinels").await;
}

#[tokio::test]
async fn any_master_of_a_cluster_passes_it_on() {
    if !is_soak() {
        return;
    }
    let pair = Pair::on(Stores::over(Database::postgres_with_tables(), Servers::start(Topology::Cluster))).await;
    pair.ends_at_once("a cluster").await;
}

#[tokio::test]
async fn without_redis_it_is_told_within_the_round() {
    let pair = Pair::on(Stores::of(Database::postgres_with_tables(), None)).await;
    let (session, mut events) = pair.page().await;
    let took = pair.end_there(&session, &mut events).await;
    println!("without Redis the page knew after {took:?}");
    assert!(took < ROUND + SLACK, "{took:?}");
    let mut mine = Events::of(&pair.owner).await;
    mine.assert_silent(CALM).await;
    let _new = pair.owner.copy_at(&pair.there.url()).sign_in_again().await;
    assert_eq!(mine.news().await.expect("an event").event, "sessions-changed");
}

#[tokio::test]
async fn while_redis_restarts_it_is_told_all_the_same() {
    let pair = Pair::on(Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()))).await;
    let (first, mut first_events) = pair.page().await;
    let (second, mut second_events) = pair.page().await;
    let redis = pair.here.stores.servers();
    redis.kill();
    let took = pair.end_there(&first, &mut first_events).await;
    println!("while Redis was away the page knew {took:?} after the answer");
    assert!(took < ROUND + SLACK, "{took:?}");
    // The node that ends it tells its own at once, confirmed or not.
    let own = second.copy_at(&pair.there.url());
    let mut own_events = Events::of(&own).await;
    redis.restart();
    let took = pair.end_there(&second, &mut second_events).await;
    assert_eq!(own_events.ending().await, "signed_out_elsewhere");
    println!("right after the restart the page knew {took:?} after the answer");
    assert!(took < ROUND + SLACK, "{took:?}");
    pair.both_listen().await;
    pair.ends_at_once("after the restart").await;
}

#[tokio::test]
async fn a_lost_subscription_loses_nothing() {
    let pair = Pair::on(Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()))).await;
    for round in 0..5 {
        let (session, mut events) = pair.page().await;
        pair.both_listen().await;
        let killed: i64 = pair.here.stores.redis().cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert_eq!(killed, 2);
        let took = pair.end_there(&session, &mut events).await;
        println!("round {round}: {killed} subscriptions were killed, the page knew after {took:?}");
        assert!(took < ROUND + SLACK, "{took:?}");
    }
}

/// Nobody may listen, nor speak: one sentence each in the log, and the rounds tell.
#[tokio::test]
async fn without_the_right_to_listen_the_rounds_tell() {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    stores.redis().cli::<()>(&["ACL", "SETUSER", "default", "-subscribe"]);
    let node = crate::support::process::Process::start(&stores.settings());
    let other = crate::support::process::Process::start(&stores.settings());
    let owner = node.anonymous().sign_up().await;
    let mut events = Events::of(&owner).await;
    owner.copy_at(&other.url()).sign_out().await.assert_status(204);
    let watch = stopwatch();
    assert_eq!(events.ending().await, "signed_out");
    println!("without the right to listen the page knew after {:?}", watch());
    assert!(watch() < ROUND + SLACK);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = node.output();
    assert_eq!(log.matches("grant Redis' user +subscribe and &changed").count(), 1, "{log}");
    stores.redis().cli::<()>(&["ACL", "SETUSER", "default", "+subscribe"]);
    let heard = async || {
        let (_, count): (String, i64) = stores.redis().cli(&["PUBSUB", "NUMSUB", "changed"]);
        count == 2
    };
    until("both nodes listen", ROUND, heard).await;
}
