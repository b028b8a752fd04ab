//! One Redis that does not answer, answers late, or is cut off in the middle of a word.
//!
//! Owns the rows of freezes, networks that swallow and delay, pauses and lost connections. While Redis is silent,
//! every check is answered from SQL.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::faults::recovery::{A_WHILE, Drill, a_while, two_nodes};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::server::Stores;
use crate::support::wait::stopwatch;

/// Longer than any command is waited for, and than the lease of a store.
fn frozen_for() -> Duration {
    Duration::from_secs(if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 10 } else { 2 })
}

fn world() -> (Stores, [Process; 2], Vec<String>) {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let (nodes, urls) = two_nodes(&stores.settings());
    (stores, nodes, urls)
}

/// The same with a network between the nodes and Redis.
fn world_with_a_network() -> (Stores, Proxy, [Process; 2], Vec<String>) {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let proxy = Proxy::start(stores.redis().address());
    let (nodes, urls) = two_nodes(&stores.settings().with("REDIS_URL", &proxy.in_url(&stores.redis().url())));
    (stores, proxy, nodes, urls)
}

async fn under_traffic<'a>(row: &'a str, stores: &'a Stores, urls: &[String]) -> Drill<'a> {
    let mut drill = Drill::begin(row, stores, urls).await;
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    drill
}

/// Nobody waits for Redis to speak again: if all did, each of the four who ask would have one answer meanwhile.
async fn silent_for(duration: Duration, drill: &Drill<'_>) {
    let before = drill.answers_so_far();
    tokio::time::sleep(duration).await;
    let answers = drill.answers_so_far() - before;
    println!("{answers} answers in {duration:?} of silence");
    assert!(answers > 8, "they waited for Redis: only {answers} answers in {duration:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigstop() {
    let (stores, _nodes, urls) = world();
    let row = format!("SIGSTOP for {:?}", frozen_for());
    let drill = under_traffic(&row, &stores, &urls).await;
    stores.redis().pause();
    silent_for(frozen_for(), &drill).await;
    stores.redis().resume();
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_milliseconds_of_latency() {
    let (stores, proxy, _nodes, urls) = world_with_a_network();
    let drill = under_traffic("600 ms latency", &stores, &urls).await;
    proxy.delay(Duration::from_millis(600));
    silent_for(4 * A_WHILE, &drill).await;
    proxy.pass();
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections() {
    let (stores, proxy, _nodes, urls) = world_with_a_network();
    let drill = under_traffic("half-open connections", &stores, &urls).await;
    proxy.black_hole();
    silent_for(4 * A_WHILE, &drill).await;
    proxy.pass();
    drill.recovers(&[stores.redis()]).await;
}

/// Sometimes after the first byte, sometimes in the middle of a record; now and then for long enough that whoever
/// connects again is cut off, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_in_the_middle_of_a_reply() {
    let (stores, proxy, _nodes, urls) = world_with_a_network();
    let drill = under_traffic("reset in mid-reply", &stores, &urls).await;
    for bytes in [1, 4, 30, 100] {
        proxy.reset_after(bytes);
        tokio::time::sleep(A_WHILE / 7).await;
        proxy.pass();
        a_while().await;
    }
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_pause() {
    let (stores, _nodes, urls) = world();
    let drill = under_traffic("CLIENT PAUSE", &stores, &urls).await;
    let pause = 4 * A_WHILE;
    for mode in ["WRITE", "ALL"] {
        stores.redis().cli::<()>(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), mode]);
        silent_for(pause, &drill).await;
    }
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_kill() {
    let (stores, _nodes, urls) = world();
    let drill = under_traffic("CLIENT KILL", &stores, &urls).await;
    let (watch, mut killed) = (stopwatch(), 0);
    while watch() < 2 * A_WHILE {
        killed += stores.redis().cli::<usize>(&["CLIENT", "KILL", "TYPE", "normal"]);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    println!("CLIENT KILL: {killed} connections");
    assert!(killed > 0);
    drill.recovers(&[stores.redis()]).await;
}
