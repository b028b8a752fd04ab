//! One shard of a cluster is away, and nobody takes it over: the others go on.
//!
//! Owns what P1 to P3 say then, with a cluster that was told not to stop as a whole. Prints how long things took.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{MovableClock, Token};
use sessiond::service::Condition;

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::issue::issue_at;
use crate::support::node::Node;
use crate::support::process::command_line_ok;
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::topologies::Servers;
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);

async fn forward(person: &SignedIn) -> u16 {
    person.get("/auth/forward").await.status
}

/// Everybody who has a record, by the shard that holds it.
async fn by_shard(people: Vec<SignedIn>, servers: &Servers) -> [Vec<SignedIn>; 3] {
    let mut shards = [Vec::new(), Vec::new(), Vec::new()];
    for person in people {
        let token = Token::parse(&person.token()).expect("a token");
        let key = format!("session:{}", token.hash().to_base64url());
        let shard = servers.servers.iter().position(|server| server.try_cli::<bool>(&["EXISTS", &key]) == Ok(true));
        shards[shard.expect("a record")].push(person);
    }
    shards
}

#[tokio::test]
async fn cluster_a_shard_that_is_away_keeps_only_its_own_sessions_waiting() {
    let stores = Stores::over(Database::postgres_with_tables(), Servers::cluster(0));
    let servers = stores.servers();
    servers.everywhere(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    let settings = stores.settings();
    let node = Node::start(&settings, &Arc::<MovableClock>::default()).await;
    let owner = node.anonymous().sign_up().await;
    let mut people = Vec::new();
    for _ in 0..40 {
        let person = issue_at(node.app(), &settings, &owner, &node.url()).await;
        assert_eq!(forward(&person).await, 200);
        people.push(person);
    }
    let [away, here, there] = by_shard(people, servers).await;
    assert!(away.len() > 3 && here.len() > 3 && there.len() > 3, "{} {} {}", away.len(), here.len(), there.len());
    servers.servers[0].kill();
    until("the others have noticed", PATIENCE, async || {
        let nodes: String = servers.servers[1].cli(&["CLUSTER", "NODES"]);
        nodes.lines().any(|line| line.contains("fail") && !line.contains("fail?"))
    })
    .await;

    for person in away.iter().chain(&here).chain(&there) {
        assert_eq!(forward(person).await, 200, "nobody is out");
    }
    // A session of the shard that is away: ended, and honestly not confirmed.
    for victim in &away[..2] {
        owner.end_session(&victim.session_id).await.assert_problem(503, "unconfirmed");
        assert_eq!(forward(victim).await, 401, "it has ended all the same");
    }
    // Sessions of the others: as ever.
    let mut slowest = Duration::ZERO;
    for victim in [&here[0], &there[0], &here[1]] {
        let took = stopwatch();
        owner.end_session(&victim.session_id).await.assert_status(204);
        slowest = slowest.max(took());
        assert_eq!(forward(victim).await, 401);
    }
    println!("one shard away: revocations in the others are confirmed, the slowest after {slowest:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    // The command line has no Redis: the node sweeps what it can reach, behind what it cannot.
    let took = stopwatch();
    command_line_ok(&settings.clone().without("REDIS_URL"), &["sessions", "revoke", &there[1].session_id], "");
    let of_this_one = format!("session_id = '{}'", there[1].session_id);
    let pending = |of: &str| stores.database.count("pending_invalidations", of);
    until("what can be confirmed is", PATIENCE, async || pending(&of_this_one) == 0).await;
    println!("one shard away: a revocation at the command line is confirmed after {:?}", took());
    assert_eq!(forward(&there[1]).await, 401);
    let waiting = pending("1 = 1");
    assert!(waiting >= 2, "those of the shard that is away still wait: {waiting}");
    let readiness = node.app().fence.readiness().await;
    assert!(readiness.ready && readiness.redis == Condition::Failing, "{readiness:?}");

    let back = stopwatch();
    servers.servers[0].restart();
    until("everything is confirmed", PATIENCE, async || pending("1 = 1") == 0).await;
    until("every shard is used", PATIENCE, async || node.app().fence.readiness().await.redis == Condition::Ok).await;
    println!("recovery: one shard away: {:?}", back());
    for victim in [&away[0], &away[1], &here[0], &here[1], &there[0], &there[1]] {
        assert_eq!(forward(victim).await, 401);
    }
    for person in [&owner, &away[2], &here[2], &there[2]] {
        assert_eq!(forward(person).await, 200);
    }
}
