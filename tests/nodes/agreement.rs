//! Nodes that are set to something else than the others: they do not start beside them, and start at once where they are
//! alone.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sessiond::domain::MovableClock;
use tokio::task::spawn_blocking;

use crate::support::client::{Anonymous, PASSWORD};
use crate::support::database::Database;
use crate::support::node::Node;
use crate::support::process::{Process, command_line_ok};
use crate::support::proxy::contains;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// More than for how long a node's place is kept.
const GONE: Duration = Duration::from_secs(9);

async fn start(settings: &Settings) -> Result<Node, String> {
    Node::try_start(settings, &Arc::<MovableClock>::default()).await
}

/// A node with another of what all must share; its variable.
fn others(settings: &Settings) -> Vec<(&'static str, Settings)> {
    let key = STANDARD.encode((64..128).collect::<Vec<u8>>());
    vec![
        ("SESSIOND_COOKIE_KEY", settings.clone().with("SESSIOND_COOKIE_KEY", &key)),
        (
            "SESSIOND_COOKIE_DOMAIN",
            settings
                .clone()
                .with("SESSIOND_COOKIE_DOMAIN", "example.org")
                .with("SESSIOND_ORIGIN", "https://a.example.org"),
        ),
        ("SESSIOND_REDIS_PREFIX", settings.clone().with("SESSIOND_REDIS_PREFIX", "other:")),
        ("SESSIOND_STORE_LEASE", settings.clone().with("SESSIOND_STORE_LEASE", "5s")),
    ]
}

#[tokio::test]
async fn a_node_that_differs_does_not_start_beside_the_others() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let mut a = start(&settings).await.expect("the first one");
    let mut b = start(&settings).await.expect("one that is set to the same");
    for (variable, other) in others(&settings) {
        let sentence = start(&other).await.map(|_| ()).expect_err(variable);
        assert!(sentence.starts_with(&format!("{variable} has a different value on a node")), "{sentence}");
        for secret in [&settings, &other].map(|settings| settings.get("SESSIOND_COOKIE_KEY").expect("a key")) {
            assert!(!sentence.contains(secret));
            assert!(!stores.database.values("SELECT settings AS value FROM nodes").concat_text().contains(secret));
        }
        // Nor does it take Redis away from the others: no process was retired for its sake.
        assert_eq!(stores.database.count("live_store", "retired_at IS NOT NULL"), 0, "{variable}");
        // A command ends nothing for want of the right key.
        command_line_ok(&other, &["user", "list"], "");
    }
    // What is changed while the others run, and what one has that has no Redis.
    for other in [
        settings.clone().with("SESSIOND_ORIGIN", "https://b.example.org"),
        settings.clone().with("SESSIOND_BASE_PATH", "/auth"),
        settings.clone().without("REDIS_URL").with("SESSIOND_REDIS_PREFIX", "other:"),
    ] {
        drop(start(&other).await.expect("it is told, and starts"));
    }
    assert_eq!(stores.database.count("nodes", "1 = 1"), 2);
    a.stop().await;
    b.stop().await;
    for (variable, other) in others(&settings) {
        let mut alone = start(&other).await.unwrap_or_else(|error| panic!("{variable}: it is alone: {error}"));
        alone.stop().await;
    }
}

trait ConcatText {
    fn concat_text(self) -> String;
}

impl ConcatText for Vec<Option<String>> {
    fn concat_text(self) -> String {
        self.into_iter().flatten().collect()
    }
}

/// A node that cannot serve for a reason of its own has changed nothing by then.
#[tokio::test]
async fn a_node_that_cannot_have_its_address_changes_nothing() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let node = start(&settings).await.expect("the first one");
    let owner = node.anonymous().sign_up().await;
    let elsewhere = PrivateRedis::start();
    let taken = settings.clone().with("SESSIOND_LISTEN", &node.address().to_string());
    let taken = taken.with("REDIS_URL", &elsewhere.url()).with("SESSIOND_ORIGIN", "https://b.example.org");
    for _ in 0..3 {
        let sentence = start(&taken).await.map(|_| ()).expect_err("its address is taken");
        assert!(sentence.starts_with("SESSIOND_LISTEN: cannot listen on 127.0.0.1:"), "{sentence}");
    }
    assert_eq!(stores.database.count("live_store", "retired_at IS NOT NULL"), 0, "Redis was taken from the other node");
    assert_eq!(stores.database.count("nodes", "1 = 1"), 1);
    assert!(elsewhere.keys("*").is_empty());
    owner.me().await.assert_status(200);

    let empty = Database::postgres();
    let taken = taken.with("DATABASE_URL", &empty.url());
    start(&taken).await.map(|_| ()).expect_err("its address is taken");
    let tables = "SELECT count(*)::text AS value FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(empty.value(tables), "0", "nor are tables made");
}

/// What all nodes share is compared before the tables are changed, which they share, too.
#[tokio::test]
async fn a_node_that_differs_does_not_bring_the_tables_up_to_date() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let mut node = start(&settings).await.expect("the first one");
    let steps = stores.database.count("__diesel_schema_migrations", "1 = 1");
    // As if an earlier version had made the tables: to make them twice fails.
    stores.database.execute(
        "UPDATE __diesel_schema_migrations SET version = '20200101000000' WHERE version IN (SELECT min(version) FROM \
         __diesel_schema_migrations)",
    );
    for (variable, other) in others(&settings) {
        let sentence = start(&other).await.map(|_| ()).expect_err(variable);
        assert!(sentence.starts_with(&format!("{variable} has a different value on a node")), "{sentence}");
    }
    let sentence = start(&settings).await.map(|_| ()).expect_err("it migrates");
    assert!(sentence.contains("its tables cannot be migrated"), "{sentence}");
    node.stop().await;
    // Without tables no node can differ: the first node creates them.
    stores.database.execute("DROP SCHEMA public CASCADE");
    stores.database.execute("CREATE SCHEMA public");
    let (_, other) = others(&settings).remove(0);
    start(&other).await.expect("nobody is there");
    assert_eq!(stores.database.count("__diesel_schema_migrations", "1 = 1"), steps);
}

/// It could not say that it stops.
#[tokio::test]
async fn a_node_that_was_killed_is_in_nobodys_way() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let mut killed = Process::start(&settings);
    let (_, other) = others(&settings).remove(0);
    killed.kill();
    assert_eq!(stores.database.count("nodes", "1 = 1"), 1, "its row is left");
    let alone = start(&other).await.unwrap_or_else(|error| panic!("it is alone: {error}"));
    start(&settings).await.map(|_| ()).expect_err("from now on this is what all are set to");
    drop(alone);
}

/// It was suspended, or its machine was: it could not renew its row, and wakes as if nothing had happened.
async fn stands_still_while_another_starts(number: usize) {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let (variable, other) = others(&settings).remove(number);
    let slow = Process::start(&settings);
    let owner = slow.anonymous().sign_up().await;
    owner.me().await.assert_status(200);
    slow.pause();
    let starts = other.clone();
    let mut quick = spawn_blocking(move || Process::start(&starts)).await.expect("nobody else is seen");
    slow.resume();
    until("it knows that its place is taken", PATIENCE, async || is_ready(&slow.url()).await == (503, false)).await;
    // For as long as the other one is there.
    let owner = owner.copy_at(&slow.url());
    for _ in 0..20 {
        let answers = [
            owner.me().await.status,
            owner.get("/auth/forward").await.status,
            owner.rename(Some("Nobody")).await.status,
            owner.sign_out().await.status,
            slow.anonymous().login(&owner.email, PASSWORD).await.status,
        ];
        assert_eq!(answers, [503; 5], "{variable}");
        assert_eq!((is_ready(&slow.url()).await, is_ready(&quick.url()).await), ((503, false), (200, true)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = format!("{variable} has a different value on a node that started while this node was paused");
    assert_eq!(slow.output().matches(&told).count(), 1, "{}", slow.output());
    // One that is told to stop says so. One that crashes does not.
    if number == 0 {
        quick.kill();
    } else {
        assert!(quick.terminate(), "{variable}");
    }
    until("it is answered again", PATIENCE, async || owner.me().await.status == 200).await;
    assert_eq!(is_ready(&slow.url()).await, (200, true), "{variable}");
    start(&other).await.map(|_| ()).expect_err("it has its place again");
}

#[tokio::test]
async fn a_node_that_stood_still_while_one_with_another_key_started_answers_nobody() {
    stands_still_while_another_starts(0).await;
}

#[tokio::test]
async fn a_node_that_stood_still_while_one_with_another_domain_started_answers_nobody() {
    stands_still_while_another_starts(1).await;
}

#[tokio::test]
async fn a_node_that_stood_still_while_one_with_another_prefix_started_answers_nobody() {
    stands_still_while_another_starts(2).await;
}

#[tokio::test]
async fn a_node_that_stood_still_while_one_with_another_lease_started_answers_nobody() {
    stands_still_while_another_starts(3).await;
}

/// The status, and whether its settings are those of the others.
async fn is_ready(url: &str) -> (u16, bool) {
    let ready = Anonymous::at(url).get("/health/ready").await;
    (ready.status, ready.json()["settings"] == "ok")
}

/// Whatever has happened meanwhile, it has to look before it says anything.
#[tokio::test]
async fn a_node_that_stood_still_answers_nobody_until_it_has_looked() {
    let stores = Stores::new(Backend::Production);
    let (settings, proxy) = stores.through_proxy();
    let slow = Process::start(&settings);
    let owner = slow.anonymous().sign_up().await;
    owner.me().await.assert_status(200);
    let look = proxy.hold(contains("LOCK TABLE nodes"));
    look.caught().await;
    // That it cannot look is no reason by itself: SQL answers everything else.
    tokio::time::sleep(GONE).await;
    owner.me().await.assert_status(200);
    assert_eq!(is_ready(&slow.url()).await, (200, true));
    slow.pause();
    tokio::time::sleep(GONE).await;
    slow.resume();
    let watch = stopwatch();
    while watch() < GONE {
        let answers = [owner.me().await.status, owner.get("/auth/forward").await.status, owner.sign_out().await.status];
        assert_eq!(answers, [503; 3], "after {:?}", watch());
        assert_eq!(is_ready(&slow.url()).await, (503, false));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(look);
    until("it has looked", PATIENCE, async || owner.me().await.status == 200).await;
}

/// A node's clock is wrong: it answers nobody, but is there.
#[tokio::test]
async fn a_node_that_answers_nobody_keeps_its_place() {
    let stores = Stores::new(Backend::Production);
    let (settings, clock) = (stores.settings(), Arc::<MovableClock>::default());
    let here = Node::try_start(&settings, &clock).await.expect("the first one");
    clock.set_wrong_by(92 * 86_400_000);
    until("it answers nobody", PATIENCE, async || here.anonymous().get("/health/ready").await.status == 503).await;
    let (_, other) = others(&settings).remove(0);
    start(&other).await.map(|_| ()).expect_err("it is there");
}

/// Two that start at once, and differ.
#[tokio::test]
async fn of_two_that_start_at_once_and_differ_one_does() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings();
    let (_, other) = others(&settings).remove(0);
    let (one, two) = tokio::join!(start(&settings), start(&other));
    assert!(one.is_ok() != two.is_ok(), "{:?} {:?}", one.map(|_| ()), two.map(|_| ()));
}

#[tokio::test]
async fn what_is_changed_node_by_node_is_told() {
    let stores = Stores::new(Backend::Production);
    let a = Process::start(&stores.settings().with("SESSIOND_ORIGIN", "https://a.example.org"));
    let mut b =
        Process::start(&stores.settings().with("SESSIOND_ORIGIN", "https://a.example.org,https://b.example.org"));
    let told = "SESSIOND_ORIGIN has a different value on another node";
    until("both tell", PATIENCE, async || a.output().contains(told) && b.output().contains(told)).await;
    assert!(b.terminate(), "it stops");
    until("it is over", PATIENCE, async || a.output().contains("have the same settings")).await;
    assert_eq!(a.output().matches(told).count(), 1);
}

/// A hint that pages open it under another name than this machine's own.
#[tokio::test]
async fn a_forgotten_origin_is_told_where_it_matters() {
    let told = "SESSIOND_ORIGIN is not set";
    let (production, embedded) = (Stores::new(Backend::Production), Stores::new(Backend::Embedded));
    let behind = embedded.settings().with("SESSIOND_TRUSTED_PROXIES", "10.0.0.0/8");
    let named = production.settings().with("SESSIOND_ORIGIN", "https://a.example.org");
    for (settings, warned) in [
        (production.settings(), true),
        (behind.with("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"), true),
        (embedded.settings(), false),
        (named, false),
    ] {
        let server = Process::start(&settings);
        assert_eq!(server.output().contains(told), warned, "{}", server.output());
    }
}
