//! Something stands between the nodes and Redis, and hides which process it is.
//!
//! Owns the rows of balancers and mixing proxies: P1 holds, and the log says what is wrong and what to do.
#![cfg(feature = "postgres")]

use crate::faults::mixer::mixing;
use crate::faults::recovery::{A_WHILE, Drill, two_nodes};
use crate::support::database::Database;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::server::Stores;
use crate::support::topologies::Servers;

/// One Redis that is known, and one more beside it.
fn stores() -> (Stores, PrivateRedis) {
    (Stores::over(Database::postgres_with_tables(), Servers::one(PrivateRedis::start())), PrivateRedis::start())
}

/// A balancer, or a name with two addresses: whoever connects meets the one or the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_goes_to_the_other_of_two() {
    let (stores, other) = stores();
    let balancer = Proxy::in_turn(vec![stores.redis().address(), other.address()]);
    let settings = stores.settings().with("REDIS_URL", &balancer.in_url(&stores.redis().url()));
    let (nodes, urls) = two_nodes(&settings);
    let mut drill = Drill::begin("connections to two Redis in turn", &stores, &urls).await;
    drill.open_to_traffic();
    for _ in 0..3 {
        tokio::time::sleep(A_WHILE).await;
        balancer.cut();
    }
    println!("connections to two Redis in turn: {} revocations were confirmed all the same", drill.ended());
    let told = |word: &str| nodes.iter().any(|node| node.output().contains(word));
    assert!(
        told("stays unused; restart it, or set another SESSIOND_REDIS_PREFIX")
            && told("several servers in turn: name one"),
        "{}",
        nodes[0].output()
    );
    // It goes on, but one of the two was retired, and stays so.
    drill.recovers(&[stores.redis(), &other]).await;
    for node in &nodes {
        let log = node.output();
        assert!(log.matches("stays unused; restart it").count() <= 1, "each worker meets it again and again: {log}");
    }
    assert_eq!(stores.database.count("live_store", "retired_at IS NULL"), 1, "one of them speaks");
}

/// Nothing that it says can be trusted: it is not used at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_goes_to_the_other_of_two() {
    let (stores, other) = stores();
    let mixer = mixing(&[stores.redis().address(), other.address()]);
    let (nodes, urls) = two_nodes(&stores.settings().with("REDIS_URL", &format!("redis://{mixer}")));
    let mut drill = Drill::begin("commands to two Redis in turn", &stores, &urls).await;
    drill.end_some().await;
    drill.open_to_traffic();
    tokio::time::sleep(3 * A_WHILE).await;
    drill.recovers(&[]).await;
    for node in &nodes {
        let log = node.output();
        assert!(log.contains("several Redis processes") && log.contains("name the server itself"), "{log}");
    }
    let records = [stores.redis(), &other].map(|redis| redis.keys("session:*").len());
    assert_eq!(records, [0, 0], "nothing was written to either");
}
