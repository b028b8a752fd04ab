//! One Redis that loses what it held, or brings back what it should have lost.
//!
//! Owns the rows of crashes, restored files and flushes. Each prints how long it took until all was as before.
#![cfg(feature = "postgres")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::faults::recovery::{A_WHILE, Drill, a_while, two_nodes};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::Stores;
use crate::support::wait::stopwatch;

/// A Redis, and two nodes.
fn world(persistence: Persistence) -> (Stores, [Process; 2], Vec<String>) {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::with(persistence, &[])));
    let (nodes, urls) = two_nodes(&stores.settings());
    (stores, nodes, urls)
}

async fn killed(row: &str, persistence: Persistence) {
    let (stores, _nodes, urls) = world(persistence);
    let mut drill = Drill::begin(row, &stores, &urls).await;
    if persistence == Persistence::Rdb {
        stores.redis().cli::<()>(&["SAVE"]);
    }
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    stores.redis().kill();
    a_while().await;
    stores.redis().restart();
    let (records, revived) = (stores.redis().keys("session:*").len(), drill.brought_back(stores.redis()));
    println!(
        "{row}: {records} records were there again, {revived} of them of the {} sessions that had ended",
        drill.ended()
    );
    assert!(records > 0, "{row}: the file brought nothing back");
    assert_eq!(revived > 0, persistence == Persistence::Rdb, "{row}: only a log knows of what was deleted");
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_with_rdb_only() {
    killed("SIGKILL, RDB only", Persistence::Rdb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_with_aof() {
    killed("SIGKILL, AOF", Persistence::Aof).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_rdb_from_before_the_revocation_is_restored() {
    let (stores, _nodes, urls) = world(Persistence::Rdb);
    let mut drill = Drill::begin("an RDB from before the revocation", &stores, &urls).await;
    let before = stores.redis().snapshot();
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    stores.redis().restart_from(&before);
    assert!(drill.brought_back(stores.redis()) > 0, "what has ended is there again");
    drill.recovers(&[stores.redis()]).await;
}

/// The one file of the append-only log that is written to.
fn log_file(redis: &PrivateRedis) -> PathBuf {
    let folder = fs::read_dir(redis.folder().join("appendonlydir")).expect("the folder of the log");
    let files = folder.map(|entry| entry.expect("a file").path());
    files.into_iter().find(|path| path.to_string_lossy().ends_with(".incr.aof")).expect("the log")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aof_tail_is_cut_off_before_the_del() {
    let (stores, _nodes, urls) = world(Persistence::Aof);
    let mut drill = Drill::begin("the AOF cut off before the DEL", &stores, &urls).await;
    let length = fs::metadata(log_file(stores.redis())).expect("the log").len();
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    stores.redis().kill();
    let log = fs::File::options().write(true).open(log_file(stores.redis())).expect("the log");
    log.set_len(length).expect("the log is cut off");
    stores.redis().restart();
    assert!(drill.brought_back(stores.redis()) > 0, "what has ended is there again");
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushall() {
    let (stores, _nodes, urls) = world(Persistence::None);
    let mut drill = Drill::begin("FLUSHALL", &stores, &urls).await;
    drill.end_some().await;
    drill.open_to_traffic();
    a_while().await;
    stores.redis().cli::<()>(&["FLUSHALL"]);
    drill.recovers(&[stores.redis()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushdb_over_and_over() {
    let (stores, _nodes, urls) = world(Persistence::None);
    let mut drill = Drill::begin("FLUSHDB during load", &stores, &urls).await;
    drill.end_some().await;
    drill.open_to_traffic();
    let (watch, mut flushes) = (stopwatch(), 0);
    while watch() < 3 * A_WHILE {
        stores.redis().cli::<()>(&["FLUSHDB"]);
        flushes += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    println!("FLUSHDB during load: {flushes} times");
    drill.recovers(&[stores.redis()]).await;
}
