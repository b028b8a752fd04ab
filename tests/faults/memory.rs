//! One Redis that is full.
//!
//! Owns the rows of memory: neither signing in, nor checking, nor revoking needs any in Redis, and what is evicted is
//! asked of SQL.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;

use crate::faults::recovery::{Drill, a_while, two_nodes};
use crate::support::client::{Anonymous, COOKIE, PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::issue::signed;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::settings::Settings;

fn world(policy: &str) -> (Stores, [Process; 2], Vec<String>) {
    let redis = PrivateRedis::with(Persistence::None, &["--maxmemory-policy", policy]);
    let stores = Stores::of(Database::postgres_with_tables(), Some(redis));
    let (nodes, urls) = two_nodes(&stores.settings());
    (stores, nodes, urls)
}

/// A number that `INFO` tells.
fn info(redis: &PrivateRedis, name: &str) -> usize {
    let info: String = redis.cli(&["INFO"]);
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("INFO tells no {name}"))
}

/// Gives Redis so much more memory than it uses now.
fn leave(redis: &PrivateRedis, bytes: usize) {
    let limit = info(redis, "used_memory") + bytes;
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noeviction_until_it_is_full() {
    let (stores, _nodes, urls) = world("noeviction");
    let redis = stores.redis();
    let mut drill = Drill::begin("full, noeviction", &stores, &urls).await;
    drill.end_some().await;
    let owner = Anonymous::at(&urls[0]).sign_up().await;
    let (warm, cold) = (owner.sign_in_again().await, owner.sign_in_again().await);
    assert!(warm.is_signed_in().await);
    leave(redis, 64 * 1024);
    let mut number = 0;
    while redis.try_cli::<()>(&["SET", &format!("filler:{number}"), &"x".repeat(1_000)]).is_ok() {
        number += 1;
        assert!(number < 10_000, "it is never full");
    }
    // Whoever connects now meets a Redis that is full from the start, whatever the lost connections have freed.
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    redis.cli::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    drill.open_to_traffic();
    for url in &urls {
        let newcomer = Anonymous::at(url).sign_in(&owner.email, PASSWORD).await;
        newcomer.me().await.assert_status(200);
        for person in [&owner, &warm] {
            person.copy_at(url).me().await.assert_status(200);
        }
    }
    for victim in [&warm, &cold] {
        owner.end_session(&victim.session_id).await.assert_status(204);
        for url in &urls {
            victim.copy_at(url).me().await.assert_status(401);
        }
    }
    a_while().await;
    let full = redis.try_cli::<()>(&["SET", "filler", "x"]);
    assert!(full.is_err_and(|error| error.code() == Some("OOM")), "still full");
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let refused = drill.recovers(&[redis]).await;
    assert_eq!(refused, 0, "nothing needs memory in Redis");
}

/// Sessions that were put into SQL by the thousand, each with a token that is known.
struct Crowd {
    owner: SignedIn,
    settings: Settings,
    urls: Vec<String>,
    ended: Vec<AtomicBool>,
    next: AtomicUsize,
    refused: AtomicUsize,
}

/// Of so many one is ended.
const ENDED_OF: usize = 50;
const CHECKERS: usize = 8;

impl Crowd {
    async fn gather(stores: &Stores, urls: &[String], size: usize) -> Self {
        let owner = Anonymous::at(&urls[0]).sign_up().await;
        let last = size - 1;
        stores.database.execute(&format!(
            "INSERT INTO sessions (id, user_id, token_hash, created_at, authenticated_at, last_seen_at, expires_at, \
             idle_seconds, remember, sign_in_ip, last_ip) \
             SELECT '019a0000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'), '{}', \
             sha256(decode('00112233445566' || lpad(to_hex(i), 18, '0'), 'hex')), now, now, now, now + 43200000, \
             1800, false, '127.0.0.1', '127.0.0.1' FROM generate_series(0, {last}) AS i, \
             (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock",
            owner.user_id
        ));
        let ended = (0..size).map(|_| AtomicBool::new(false)).collect();
        let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { owner, settings: stores.settings(), urls: urls.to_vec(), ended, next, refused }
    }

    fn id(number: usize) -> String {
        format!("019a0000-0000-7000-8000-{number:012x}")
    }

    fn token(number: usize) -> String {
        let number = u128::try_from(number).expect("a number");
        uuid::Uuid::from_u128((0x0000_1122_3344_5566 << 72) | number).to_string()
    }

    /// Checks one after another, until everybody was checked so many times; ends some on the way.
    async fn check(self: Arc<Self>, rounds: usize) {
        let browsers: Vec<_> = self.urls.iter().map(|url| (Anonymous::at(url), self.owner.copy_at(url))).collect();
        loop {
            let turn = self.next.fetch_add(1, Ordering::SeqCst);
            if turn >= rounds * self.ended.len() {
                return;
            }
            let number = turn % self.ended.len();
            let (anonymous, owner) = &browsers[turn % browsers.len()];
            let over = self.ended[number].load(Ordering::SeqCst);
            let cookie = format!("{COOKIE}={}", signed(&self.settings, &Self::token(number)));
            let answer = anonymous.call(Method::GET, "/auth/forward").header("Cookie", &cookie).send().await;
            match answer.status {
                200 if !over && answer.header("x-session-id") == Some(&Self::id(number)) => {}
                401 if over => {}
                503 if answer.header("retry-after").is_some() => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                _ => panic!("session {number}, ended: {over}: {answer}"),
            }
            if turn.is_multiple_of(ENDED_OF) && !over {
                owner.end_session(&Self::id(number)).await.assert_status(204);
                self.ended[number].store(true, Ordering::SeqCst);
            }
        }
    }
}

/// How many sessions, and in how much memory; if none is said, in a little more than is used without them.
fn size() -> (usize, Option<&'static str>) {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { (50_000, Some("5mb")) } else { (1_200, None) }
}

/// Where what a ledger has come to may be evicted, the log says so; once, however many connections there are.
#[tokio::test]
async fn a_policy_that_may_evict_the_ledgers_marker_is_told_once() {
    for (policy, maxmemory, told) in [
        ("allkeys-lru", "100mb", 1),
        ("volatile-random", "100mb", 1),
        ("volatile-ttl", "100mb", 0),
        ("noeviction", "100mb", 0),
        ("allkeys-lru", "0", 0),
    ] {
        let arguments = ["--maxmemory-policy", policy, "--maxmemory", maxmemory];
        let stores = Stores::of(Database::sqlite(), Some(PrivateRedis::with(Persistence::None, &arguments)));
        let node = Process::start(&stores.settings().with("SESSIOND_WORKERS", "2"));
        let owner = node.anonymous().sign_up().await;
        for _ in 0..3 {
            assert!(owner.copy_at(&node.url()).is_signed_in().await);
        }
        stores.redis().cli::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
        a_while().await;
        assert!(owner.is_signed_in().await);
        let log = node.output();
        assert_eq!(log.matches("maxmemory-policy").count(), told, "{policy} with {maxmemory}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allkeys_lru_with_far_too_many_sessions() {
    let (stores, _nodes, urls) = world("allkeys-lru");
    let (redis, (people, bytes)) = (stores.redis(), size());
    let row = format!("allkeys-lru, {people} sessions");
    let mut drill = Drill::begin(&row, &stores, &urls).await;
    drill.end_some().await;
    let crowd = Arc::new(Crowd::gather(&stores, &urls, people).await);
    match bytes {
        Some(bytes) => redis.cli::<()>(&["CONFIG", "SET", "maxmemory", bytes]),
        None => leave(redis, 192 << 10),
    }
    drill.open_to_traffic();
    let tasks: Vec<_> = (0..CHECKERS).map(|_| tokio::spawn(Arc::clone(&crowd).check(2))).collect();
    for task in tasks {
        task.await.expect("every answer is right");
    }
    let refused = crowd.refused.load(Ordering::SeqCst);
    let (evicted, kept) = (info(redis, "evicted_keys"), redis.cli::<usize>(&["DBSIZE"]));
    println!(
        "{row} in {} KiB: {} checks, {} of them 503, {} revocations, {evicted} records evicted, {kept} kept",
        info(redis, "maxmemory") / 1024,
        2 * people,
        refused,
        crowd.ended.iter().filter(|ended| ended.load(Ordering::SeqCst)).count(),
    );
    assert!(evicted > people / 2, "there was room for all");
    assert!(refused * 100 <= 2 * people, "what is evicted is asked of SQL, and not refused");
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    drill.recovers(&[redis]).await;
}
