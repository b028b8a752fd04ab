//! A PostgreSQL whose machine is frozen: the system accepts what is sent, and nobody answers. The driver waits for ever.
//!
//! Owns what then holds: whoever waits is told 503 within a bound, the next ones are answered by a server that answers, and
//! nothing stays broken when the frozen one goes on.
#![cfg(feature = "postgres")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::postgres_server::PostgresServer;
use crate::support::process::Process;
use crate::support::proxy::{Proxy, contains};
use crate::support::requests::Requests;
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(60);
/// More than a pool has connections.
const PEOPLE: usize = 30;
/// Of a call that is past its bound; for each of four pools.
const LOST_THREADS: usize = 4 * 16;
/// Of calls that have a turn, and what else there may be.
const OTHER_THREADS: usize = 40;

/// People who ask all the time; what they were answered, and how often.
struct Traffic {
    stop: Arc<AtomicBool>,
    people: Vec<JoinHandle<Vec<u16>>>,
}

impl Traffic {
    fn of(owner: &SignedIn, process: &Process) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let people = (0..PEOPLE).map(|_| {
            let (person, stop) = (owner.copy_at(&process.url()), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    answers.push(person.me().await.status);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answers
            })
        });
        Self { people: people.collect(), stop }
    }

    /// Nobody was signed out, nor left without an answer.
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let mut said: BTreeMap<u16, usize> = BTreeMap::new();
        for answers in join_all(self.people).await {
            for status in answers.expect("no panic") {
                *said.entry(status).or_default() += 1;
            }
        }
        println!("they were answered {said:?}");
        assert!(said.keys().all(|status| [200, 503].contains(status)), "{said:?}");
        assert!(said.contains_key(&503), "nobody waited for the frozen one, so that nothing is shown: {said:?}");
    }
}

fn node(url: &str) -> Process {
    Process::start(&Settings::new().with("DATABASE_URL", url))
}

async fn ready(process: &Process) -> u16 {
    process.anonymous().get("/health/ready").await.status
}

/// Whether all who ask at once are answered.
async fn all_are_answered(owner: &SignedIn) -> bool {
    join_all((0..PEOPLE).map(|_| owner.me())).await.iter().all(|answer| answer.status == 200)
}

async fn everything_works(owner: &SignedIn, process: &Process) {
    assert_eq!(ready(process).await, 200);
    process.anonymous().login(&owner.email, PASSWORD).await.assert_status(200);
    let other = owner.sign_in_again().await;
    other.sign_out().await.assert_status(204);
    assert_eq!(other.me().await.status, 401);
    owner.rename(Some("Somebody")).await.assert_status(200);
    process.anonymous().sign_up().await.me().await.assert_status(200);
}

fn threads(process: &Process) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_freezes_under_load_the_promoted_standby_answers() {
    let primary = PostgresServer::primary();
    let standby = primary.synchronous_standby();
    let process = node(&primary.url().replace("/postgres", &format!(",{}/postgres", standby.address())));
    let owner = process.anonymous().sign_up().await;
    assert!(all_are_answered(&owner).await);
    let traffic = Traffic::of(&owner, &process);
    tokio::time::sleep(Duration::from_millis(500)).await;

    primary.freeze();
    standby.promote();
    let watch = stopwatch();
    until("it is ready", PATIENCE, async || ready(&process).await == 200).await;
    println!("it was ready after {:?}", watch());
    assert_eq!(owner.me().await.status, 200, "it says that it is ready");
    until("everybody is answered", PATIENCE, async || all_are_answered(&owner).await).await;
    println!("everybody was answered after {:?}", watch());
    everything_works(&owner, &process).await;
    traffic.end().await;

    // It wakes, and takes itself for the primary: nobody goes back to it.
    let ended = owner.sign_in_again().await;
    ended.sign_out().await.assert_status(204);
    primary.thaw();
    for _ in 0..20 {
        assert_eq!(ended.me().await.status, 401, "what the new primary has ended");
        assert!(all_are_answered(&owner).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_and_goes_on_leaves_nothing_broken() {
    let server = PostgresServer::primary();
    let process = node(&server.url());
    let owner = process.anonymous().sign_up().await;
    assert!(all_are_answered(&owner).await);
    for _ in 0..2 {
        let traffic = Traffic::of(&owner, &process);
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.freeze();
        assert_eq!(owner.me().await.status, 503, "the frozen one answers");
        let probes = join_all((0..3).map(|_| ready(&process))).await;
        assert_eq!(probes, [503; 3], "it cannot say who is signed in");
        assert!(threads(&process) <= LOST_THREADS + OTHER_THREADS, "{} threads", threads(&process));
        server.thaw();
        until("everybody is answered", PATIENCE, async || all_are_answered(&owner).await).await;
        everything_works(&owner, &process).await;
        traffic.end().await;
    }
}

/// A pooler, say: it answers whoever connects, and waits for a server that is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_made_and_then_hang_are_bounded_and_forgotten() {
    let server = PostgresServer::primary();
    let proxy = Proxy::start(server.address());
    let process = node(&proxy.in_url(&server.url()));
    let owner = process.anonymous().sign_up().await;
    let traffic = Traffic::of(&owner, &process);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held = proxy.hold(contains("SET synchronous_commit"));
    proxy.cut();
    held.caught().await;
    let watch = stopwatch();
    while watch() < Duration::from_secs(25) {
        assert!(threads(&process) <= LOST_THREADS + OTHER_THREADS, "{} threads", threads(&process));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("{} threads, {} connections", threads(&process), proxy.accepted());
    assert_eq!(ready(&process).await, 503);
    drop(held);
    until("everybody is answered", PATIENCE, async || all_are_answered(&owner).await).await;
    everything_works(&owner, &process).await;
    traffic.end().await;
}
