//! Failover: a replica that missed a revocation takes over, an old master lives on, a shard changes hands.
//!
//! Owns what P1 and P2 say about Sentinel and Cluster. Each test prints how long revocations answered 503.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{MovableClock, Token};
use sessiond::service::{Activity, Condition};

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::node::Node;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::server::Stores;
use crate::support::settings::Settings;
use crate::support::topologies::{SERVICE, Servers, await_link, is_master, replicating};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// A Sentinel that found itself asleep for two seconds does nothing for thirty: on a busy machine that happens.
const TILT: Duration = Duration::from_secs(75);
const DOWN_AFTER: Duration = Duration::from_secs(60);
/// Longer than a node may trust anything that it read before.
const LONG: Duration = Duration::from_secs(5);

async fn node(settings: &Settings) -> Node {
    Node::start(settings, &Arc::<MovableClock>::default()).await
}

/// Where a PostgreSQL listens, by its URL.
fn address(url: &str) -> std::net::SocketAddr {
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL");
    authority.rsplit('@').next().and_then(|host| host.parse().ok()).expect("an address and a port")
}

/// What a node says of a session: 200, 401 or 503.
async fn status(person: &SignedIn, node: &Node) -> u16 {
    person.copy_at(&node.url()).me().await.status
}

/// What a node knows of a session without looking up whose it is: 200, 401 or 503. This needs no SQL while the
/// record is trusted.
async fn checked(person: &SignedIn, node: &Node) -> u16 {
    let token = Token::parse(&person.token()).expect("a token");
    match node.app().check.authenticate(&token, std::net::IpAddr::from([127, 0, 0, 1]), Activity::Background).await {
        Ok(Some(_)) => 200,
        Ok(None) => 401,
        Err(_) => 503,
    }
}

/// Somebody with as many more sessions, each with a record that both nodes have read.
async fn people(a: &Node, b: &Node, victims: usize) -> (SignedIn, Vec<SignedIn>) {
    let owner = a.anonymous().sign_up().await;
    let mut ended = Vec::new();
    for _ in 0..victims {
        ended.push(owner.sign_in_again().await);
    }
    for person in ended.iter().chain([&owner]) {
        for node in [a, b, a] {
            assert_eq!((status(person, node).await, checked(person, node).await), (200, 200), "before anything");
        }
    }
    (owner, ended)
}

/// Revokes at `node`, again and again until it answers 2xx. Gives how long that took, and how many 503 there were.
async fn revoke(owner: &SignedIn, victim: &SignedIn, node: &Node, patience: Duration) -> Option<(Duration, usize)> {
    let (watch, mut refused) = (stopwatch(), 0);
    while watch() < patience {
        match owner.copy_at(&node.url()).end_session(&victim.session_id).await.status {
            204 => return Some((watch(), refused)),
            503 => refused += 1,
            other => panic!("a revocation answered {other}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// From now on no node may say yes.
async fn assert_dead_for(duration: Duration, victim: &SignedIn, nodes: &[&Node], what: &str) {
    let watch = stopwatch();
    while watch() < duration {
        for (number, node) in nodes.iter().enumerate() {
            let status = [checked(victim, node).await, status(victim, node).await];
            assert!(!status.contains(&200), "{what}: node {number} says {status:?}, {:?} after the 2xx", watch());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A master and its replica with a proxy in between, under Sentinels who act only when told.
fn master_proxy_replica(master: PrivateRedis) -> (Servers, Proxy) {
    let link = Proxy::start(master.address());
    let port = link.address().port().to_string();
    let replica = replicating(&["--replicaof", "127.0.0.1", &port]);
    (Servers::under_sentinels(master, replica, DOWN_AFTER), link)
}

/// Has the Sentinels promote the replica, whatever it has missed.
async fn fail_over(servers: &Servers) {
    servers.await_quorum();
    let replica = servers.servers[1].address().port().to_string();
    until("all Sentinels name the replica", TILT, async || {
        let named = servers.sentinels.iter().map(|sentinel| {
            let named = sentinel.try_cli::<Vec<String>>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
            named.is_ok_and(|named| named.get(1) == Some(&replica))
        });
        let named: Vec<bool> = named.collect();
        if !named.contains(&true) {
            // An error says that it is under way, or that the Sentinel does not know enough yet.
            let _begun = servers.sentinels[0].try_cli::<()>(&["SENTINEL", "FAILOVER", SERVICE]);
        }
        named == [true; 3]
    })
    .await;
}

#[tokio::test]
async fn sentinel_a_replica_that_missed_a_revocation_is_promoted() {
    let (servers, link) = master_proxy_replica(replicating(&[]));
    let stores = Stores::over(Database::postgres_with_tables(), servers);
    let servers = stores.servers();
    let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
    let (owner, victims) = people(&a, &b, 2).await;
    let [early, late] = victims.as_slice() else { panic!("two") };
    servers.await_quorum();
    let replica = &servers.servers[1];
    until("all records are on the replica", PATIENCE, async || replica.keys("session:*").len() == 3).await;
    link.black_hole();
    let (took, refused) = revoke(&owner, early, &a, PATIENCE).await.expect("a revocation");
    println!("before the failover: confirmed after {took:?}, {refused} times 503");
    assert_eq!(replica.keys("session:*").len(), 3, "the replica has missed it");
    fail_over(servers).await;
    assert!(is_master(replica));
    let begun = stopwatch();
    let (took, refused) = revoke(&owner, late, &b, PATIENCE).await.expect("a revocation");
    println!("after the failover: confirmed after {took:?}, {refused} times 503");
    for victim in [early, late] {
        assert_dead_for(LONG / 2, victim, &[&a, &b], "promoted").await;
    }
    for node in [&a, &b] {
        assert_eq!(status(&owner, node).await, 200, "nobody else is signed out");
    }
    until("the new master is used", PATIENCE, async || {
        assert_eq!(status(&owner, &a).await, 200);
        stores.database.count("live_store", "retired_at IS NULL") == 1
            && stores.database.count("live_store", "retired_at IS NOT NULL") >= 1
    })
    .await;
    println!("the new master was in use within {:?}", begun());
}

/// A, with an old master that nobody can depose, is cut off from the Sentinels; perhaps from SQL, too.
async fn isolated(sql_too: bool) {
    // The Sentinels cannot make it a replica: as good as cut off from them.
    let deaf = ["--rename-command", "REPLICAOF", "", "--rename-command", "SLAVEOF", ""];
    let (servers, link) = master_proxy_replica(replicating(&deaf));
    let stores = Stores::over(Database::postgres_with_tables(), servers);
    let servers = stores.servers();
    let sentinels = servers.sentinels.iter().map(|sentinel| Proxy::start(([127, 0, 0, 1], sentinel.port).into()));
    let sentinels: Vec<Proxy> = sentinels.collect();
    let sql = Proxy::start(address(&stores.database.url()));
    let hosts: Vec<_> = sentinels.iter().map(|proxy| proxy.address().to_string()).collect();
    let settings = stores.settings();
    let far = settings
        .clone()
        .with("REDIS_URL", &format!("redis+sentinel://{}?service={SERVICE}", hosts.join(",")))
        .with("DATABASE_URL", &sql.in_url(&stores.database.url()));
    let (a, b) = (node(&far).await, node(&settings).await);
    let (owner, victims) = people(&a, &b, 2).await;
    let [one, two] = victims.as_slice() else { panic!("two") };
    servers.await_quorum();

    link.black_hole();
    sentinels.iter().for_each(Proxy::black_hole);
    fail_over(servers).await;
    if sql_too {
        // As late as possible: A has just read that the old master may speak.
        sql.black_hole();
    }
    assert!(is_master(&servers.servers[0]) && is_master(&servers.servers[1]), "two masters");
    until("B uses the new master", PATIENCE, async || {
        let _any = status(&owner, &b).await;
        stores.database.count("live_store", "retired_at IS NOT NULL") >= 1
    })
    .await;
    let before = checked(one, &a).await;
    let (took, refused) = revoke(&owner, one, &b, PATIENCE).await.expect("B can revoke");
    println!("A said {before} before; a revocation on B's side: confirmed after {took:?}, {refused} times 503");
    assert_dead_for(LONG, one, &[&a, &b], "revoked at B").await;
    match revoke(&owner, two, &a, LONG).await {
        Some((took, refused)) => {
            println!("a revocation on A's side: confirmed after {took:?}, {refused} times 503");
            assert_dead_for(LONG, two, &[&a, &b], "revoked at A").await;
        }
        None => println!("a revocation on A's side: 503 for as long as A was cut off ({LONG:?})"),
    }
    sentinels.iter().for_each(Proxy::pass);
    sql.pass();
    let (took, refused) = revoke(&owner, two, &a, PATIENCE).await.expect("A is back");
    println!("A was back after {took:?}, {refused} times 503");
    for victim in [one, two] {
        assert_dead_for(LONG / 5, victim, &[&a, &b], "healed").await;
    }
    assert_eq!((status(&owner, &a).await, status(&owner, &b).await), (200, 200));
}

#[tokio::test]
async fn sentinel_an_old_master_lives_on_with_a_node_that_reaches_sql() {
    isolated(false).await;
}

#[tokio::test]
async fn sentinel_an_old_master_lives_on_with_a_node_that_reaches_nothing_else() {
    isolated(true).await;
}

#[tokio::test]
async fn replicaof_under_a_living_connection() {
    let stores = Stores::over(Database::postgres_with_tables(), Servers::one(replicating(&[])));
    let other = replicating(&[]);
    let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
    let (owner, victims) = people(&a, &b, 2).await;
    let [one, two] = victims.as_slice() else { panic!("two") };
    revoke(&owner, one, &a, PATIENCE).await.expect("a revocation");
    // It takes over what the other one holds: nothing. Then it is a master again, with its own past restored.
    let port = other.address().port().to_string();
    stores.redis().cli::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    await_link(stores.redis());
    for node in [&a, &b] {
        assert_eq!((status(&owner, node).await, status(one, node).await), (200, 401), "while it is a replica");
    }
    assert_eq!(owner.end_session(&two.session_id).await.status, 503, "nobody can confirm it");
    assert_dead_for(Duration::from_millis(200), two, &[&a, &b], "not confirmed, but ended").await;
    stores.redis().cli::<()>(&["REPLICAOF", "NO", "ONE"]);
    let (took, refused) = revoke(&owner, two, &a, PATIENCE).await.expect("a revocation");
    println!("after REPLICAOF NO ONE: confirmed after {took:?}, {refused} times 503");
    for victim in [one, two] {
        assert_dead_for(LONG / 5, victim, &[&a, &b], "a master again").await;
    }
    assert_eq!(stores.database.count("live_store", "1 = 1"), 2, "the same process under another name");
}

#[tokio::test]
async fn cluster_a_shard_fails_over_to_a_replica_that_missed_a_revocation() {
    let stores = Stores::over(Database::postgres_with_tables(), Servers::cluster(1));
    let servers = stores.servers();
    let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
    let (owner, victims) = people(&a, &b, 12).await;
    // The shard that holds most of them; its replica stops listening, and is cut off.
    let master = (0..3).max_by_key(|at| servers.servers[*at].keys("session:*").len()).expect("a master");
    let (master, replica) = (&servers.servers[master], &servers.servers[master + 3]);
    let held = master.keys("session:*").len();
    until("the records are on the replica", PATIENCE, async || replica.keys("session:*").len() == held).await;
    replica.pause();
    master.cli::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
    let (early, late) = victims.split_at(6);
    for victim in early {
        revoke(&owner, victim, &a, PATIENCE).await.expect("a revocation");
    }
    master.kill();
    replica.resume();
    let begun = stopwatch();
    until("the replica takes over", PATIENCE, async || {
        for victim in early {
            for node in [&a, &b] {
                assert_eq!(status(victim, node).await, 401, "a revoked session came back");
            }
        }
        assert_eq!((status(&owner, &a).await, status(&owner, &b).await), (200, 200), "signed out");
        is_master(replica)
    })
    .await;
    println!(
        "{} of {held} records were left on the replica that took over after {:?}",
        replica.keys("session:*").len(),
        begun()
    );
    let mut longest = (Duration::ZERO, 0);
    for victim in late {
        longest = longest.max(revoke(&owner, victim, &b, PATIENCE).await.expect("a revocation"));
    }
    println!("the longest of {} revocations took {:?}, {} times 503", late.len(), longest.0, longest.1);
    for victim in &victims {
        assert_dead_for(LONG / 20, victim, &[&a, &b], "failed over").await;
    }
    until("every shard is used again", PATIENCE, async || {
        assert_eq!((status(&owner, &a).await, status(&owner, &b).await), (200, 200));
        a.app().fence.readiness().await.redis == Condition::Ok
    })
    .await;
    assert_eq!(stores.database.count("live_store", "retired_at IS NULL"), 3);
    println!("all of it was in use again after {:?}", begun());
}
