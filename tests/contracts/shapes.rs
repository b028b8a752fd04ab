//! Sentinel and Cluster: whose word counts, and what is said when the URL does not fit what is there.

use std::time::Duration;

use sessiond::domain::{HistoryPosition, Lineage, SystemRandom, ThrottleKey};
use sessiond::live::{LiveError, Seen};

use crate::contracts::world::{World, hash, until, within};
use crate::support::process::signal;
use crate::support::redis::PrivateRedis;
use crate::support::topologies::{PrivateSentinel, SERVICE, Servers, Topology};

/// Has a Sentinel name another master.
fn mislead(sentinel: &PrivateSentinel, to: &PrivateRedis) {
    sentinel.try_cli::<()>(&["SENTINEL", "REMOVE", SERVICE]).unwrap();
    let port = to.address().port().to_string();
    sentinel.try_cli::<()>(&["SENTINEL", "MONITOR", SERVICE, "127.0.0.1", &port, "2"]).unwrap();
}

#[tokio::test]
async fn the_majority_of_the_sentinels_is_trusted() {
    let world = World::on(Topology::Sentinel);
    let stranger = PrivateRedis::start();
    mislead(&world.redis.sentinels[0], &stranger);
    let (hash, _) = world.on_record().await;
    assert!(world.text(&hash).is_some(), "it stands on the true master");
    assert!(!world.fence.lease().solo(), "another may take its place at any time");
}

#[tokio::test]
async fn without_a_majority_there_is_no_connection() {
    let world = World::over_all(Servers::start(Topology::Sentinel), |_| ());
    let stranger = PrivateRedis::start();
    mislead(&world.redis.sentinels[0], &stranger);
    signal("STOP", world.redis.sentinels[1].pid());
    let answer = within(Duration::from_millis(800), "Sentinels that disagree", world.read(&hash())).await;
    assert!(matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("no majority of the 3")), "{answer:?}");
    assert_eq!(world.fence.asked(), 0);
    signal("CONT", world.redis.sentinels[1].pid());
    until("used again", async || world.read(&hash()).await.is_ok()).await;
}

#[tokio::test]
async fn a_living_connection_is_left_when_the_majority_names_another_master() {
    let world = World::on(Topology::Sentinel);
    let (hash, _) = world.on_record().await;
    let stranger = PrivateRedis::start();
    world.redis.sentinels[..2].iter().for_each(|sentinel| mislead(sentinel, &stranger));
    until("the other master is used", async || {
        matches!(world.read(&hash).await, Ok(Seen::Doubt(_))) && world.fence.processes().len() == 2
    })
    .await;
    assert!(!world.fence.lease().solo(), "not even one without replicas is alone under Sentinels");
}

#[tokio::test]
async fn a_url_that_does_not_fit_is_told_what_would() {
    let cluster = Servers::start(Topology::Cluster);
    let node = World::over_all(Servers::start(Topology::One), |config| config.url = cluster.servers[0].url());
    let answer = node.read(&hash()).await;
    assert!(
        matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("name several of its nodes")),
        "{answer:?}"
    );
    let plain = World::over_all(Servers::start(Topology::One), |config| config.url = format!("{0},{0}", config.url));
    let answer = plain.read(&hash()).await;
    assert!(matches!(answer, Err(LiveError::Down(_) | LiveError::FencedOff(_))), "{answer:?}");
}

/// A node that has met no other knows no address of its own, and one without a name says `?` or nothing where a name is
/// wanted.
#[tokio::test]
async fn a_cluster_that_does_not_know_its_names_is_reached_by_the_one_that_was_used() {
    for servers in [Servers::cluster_of_one(), Servers::start(Topology::Cluster)] {
        for (kind, host) in [("ip", None), ("hostname", Some("?")), ("unknown-endpoint", None)] {
            for server in &servers.servers {
                server.cli::<()>(&["CONFIG", "SET", "cluster-preferred-endpoint-type", kind]);
            }
            let slots: Vec<Vec<redis::Value>> = servers.cli(&["CLUSTER", "SLOTS"]);
            let told = |slots: &[redis::Value]| match &slots[2] {
                redis::Value::Array(node) => redis::from_redis_value_ref::<Option<String>>(&node[0]).unwrap(),
                other => panic!("a node, not {other:?}"),
            };
            if kind != "ip" || servers.servers.len() == 1 {
                let told = told(&slots[0]).filter(|host| !host.is_empty());
                assert_eq!(told.as_deref(), host, "{kind}: the server knows no name");
            }
            let world = World::beside(&servers);
            for _ in 0..8 {
                world.on_record().await;
            }
            world.live.announce(&[world.session().session]).await.unwrap();
            world.live.listen().await.unwrap();
            world.live.ping().await.unwrap();
            assert_eq!(world.fence.processes().len(), servers.servers.len(), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_name_that_a_cluster_announces_is_used() {
    let servers = Servers::cluster_of_one();
    servers.cli::<()>(&["CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname"]);
    servers.cli::<()>(&["CONFIG", "SET", "cluster-announce-hostname", "nowhere.invalid"]);
    let world = World::beside(&servers);
    assert!(world.read(&hash()).await.is_err(), "it is not asked by another name than its own");
    servers.cli::<()>(&["CONFIG", "SET", "cluster-announce-hostname", "localhost"]);
    until("it is used", async || world.read(&hash()).await.is_ok()).await;
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_and_what_was_there_is_doubted() {
    let world = World::on(Topology::Cluster);
    let (hash, _) = world.on_record().await;
    let key = crate::contracts::world::key(&hash);
    let old = world.at(&hash);
    let port = old.address().port();
    let new = world.redis.servers.iter().find(|server| server.address().port() != port).unwrap();
    let slot = old.cli::<i64>(&["CLUSTER", "KEYSLOT", &key]).to_string();
    let id = |server: &PrivateRedis| server.cli::<String>(&["CLUSTER", "MYID"]);
    new.cli::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(old)]);
    old.cli::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(new)]);
    let to = new.address().port().to_string();
    old.cli::<()>(&["MIGRATE", "127.0.0.1", &to, &key, "0", "1000"]);
    let answer = world.read(&hash).await;
    assert!(matches!(&answer, Err(LiveError::Refused(code)) if code == "ASK"), "{answer:?}");
    for server in [new, old] {
        server.cli::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(new)]);
    }
    until("followed", async || matches!(world.read(&hash).await, Ok(Seen::Doubt(doubt)) if doubt.stale.is_none()))
        .await;
    assert!(world.text(&hash).is_some(), "the record came along");
    until("filled again", async || {
        let Ok(Seen::Doubt(doubt)) = world.read(&hash).await else { return false };
        let nonce = sessiond::domain::Nonce::generate(&sessiond::domain::SystemRandom);
        match world.live.take(&hash, nonce, &doubt).await {
            Ok(sessiond::live::Taken::Lease(lease)) => {
                world.live.put(lease, &world.session(), world.now()).await == Ok(true)
            }
            _ => false,
        }
    })
    .await;
    world.record(&hash).await;
}

/// What the README tells operators to grant.
const RIGHTS: &str = "on >secret ~session:* ~ledger:* ~attempts:* &changed &near:* +info +ping +unwatch +getex +get +set +del +evalsha \
    +script|load +publish +subscribe +hgetall +hsetnx +hdel +incrby +pexpire +cluster|nodes +cluster|slots +cluster|info";

async fn with_rights(topology: Topology, rights: &str) -> World {
    let servers = Servers::start(topology);
    for server in &servers.servers {
        let rights: Vec<&str> = ["ACL", "SETUSER", "sessiond"].into_iter().chain(rights.split_whitespace()).collect();
        server.cli::<()>(&rights);
    }
    World::over_all(servers, |config| {
        config.url = config.url.replace("://", "://sessiond:secret@");
        config.connect_timeout = Duration::from_secs(5);
    })
}

#[tokio::test]
async fn a_user_with_these_rights_and_no_others_is_enough() {
    for topology in [Topology::One, Topology::Sentinel, Topology::Cluster] {
        let world = with_rights(topology, RIGHTS).await;
        let (hash, _) = world.on_record().await;
        let seen = world.record(&hash).await;
        assert!(world.live.touch(&seen, world.now(), crate::contracts::world::IP, world.now()).await.unwrap());
        world.live.announce(&[world.session().session]).await.unwrap();
        world.live.listen().await.unwrap();
        world.live.ping().await.unwrap();
        let (ledger, position) =
            (Lineage::generate(&SystemRandom), HistoryPosition::first(Lineage::generate(&SystemRandom)));
        let marker = world.live.marker(&ledger).await.unwrap();
        assert!(world.live.note_position(&ledger, &marker, &position).await.unwrap());
        world.live.delete(&[hash]).await.unwrap();
        world.doubt(&hash).await;
        let bucket = ThrottleKey::derive(&[7; 64]).account("ana@example.org");
        assert_eq!(world.live.attempts(&bucket).await.unwrap().count, 0);
        assert!(world.live.claim(&bucket, 1, world.now(), Duration::from_secs(60)).await.unwrap());
        world.live.give_back(&bucket, 1).await.unwrap();
        world.live.clear(&bucket).await.unwrap();
        assert_eq!(world.live.count(&bucket, 1, Duration::from_secs(60)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_at_the_first_connection() {
    for missing in ["+info", "~session:*", "~ledger:*", "+getex", "+get", "+set", "+del", "+evalsha", "+script|load"] {
        let rights: Vec<&str> = RIGHTS.split_whitespace().filter(|right| *right != missing).collect();
        let world = with_rights(Topology::One, &rights.join(" ")).await;
        let answer = world.read(&hash()).await;
        assert!(
            matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("~session:* ~ledger:* ~attempts:* &changed &near:* +info")),
            "{missing}: {answer:?}"
        );
        assert_eq!(world.fence.asked(), 0);
    }
}

/// The advice has the prefix in it.
#[tokio::test]
async fn a_password_that_is_wrong_and_a_prefix_are_told() {
    let servers = || Servers::start(Topology::One);
    let wrong = World::over_all(servers(), |config| config.url = config.url.replace("://", "://default:wrong@"));
    wrong.redis.servers[0].cli::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
    let answer = wrong.read(&hash()).await;
    assert!(matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("USER:PASSWORD")), "{answer:?}");
    let servers = servers();
    servers.servers[0].cli::<()>(&["ACL", "SETUSER", "default", "-getex"]);
    let other = World::over_all(servers, |config| config.prefix = "shop:".to_owned());
    let answer = other.read(&hash()).await;
    let advice = "~shop:session:* ~shop:ledger:* ~shop:attempts:* &shop:changed";
    assert!(matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains(advice)), "{answer:?}");
}

#[tokio::test]
async fn a_command_that_is_missing_is_told_at_the_first_connection() {
    for missing in ["GETEX", "EVALSHA", "DEL"] {
        let world = World::with(&["--rename-command", missing, "elsewhere"]);
        let answer = world.read(&hash()).await;
        assert!(matches!(&answer, Err(LiveError::FencedOff(why)) if why.contains("6.2")), "{missing}: {answer:?}");
        assert_eq!(world.fence.asked(), 0);
    }
}
