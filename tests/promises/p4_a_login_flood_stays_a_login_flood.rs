//! P4: memory is bounded, every sign-in is answered in time, and neither people who are signed in nor those who sign in
//! from elsewhere notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::client::{PASSWORD, new_email};
use crate::support::database::Database;
use crate::support::hash_cost;
use crate::support::process::Process;
use crate::support::raw::{RawResponse, raw};
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::wait::stopwatch;

/// Sign-ins at once.
const FLOOD: usize = 2_000;
/// Two seconds in the queue, four for a hash that has begun; the rest is for a machine that is busy with the flood.
const DEADLINE: Duration = Duration::from_secs(10);
/// What so many connections and bodies may take beside the hashes, thirty for each: nothing is optimised in a test.
const CONNECTIONS_KIB: usize = 60 * 1024;
const HASH_KIB: usize = 19 * 1024;
/// Connections of the flood that goes on.
const STEADY: usize = 100;

/// What the process holds in memory, in KiB.
fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).clamp(1, 4)
}

/// A server behind a proxy, so that a test can come from any address.
fn server() -> (Stores, Process) {
    hash_cost::full();
    let stores = Stores::of(Database::sqlite(), None);
    // What is shown here is what the password gate withstands, not the throttle.
    let settings = stores.settings().with("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "1000000");
    let settings = settings.with("SESSIOND_TRUSTED_PROXIES", "127.0.0.1");
    let server = Process::start(&settings.with("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"));
    (stores, server)
}

/// A sign-in with a wrong password, from this address.
async fn wrong_sign_in(server: &str, address: &str) -> RawResponse {
    let body = json!({ "email": new_email(), "password": "wrong, all of it" }).to_string();
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(server, head.as_bytes()).await
}

/// Whether it was told to come back; panics unless it was that, or refused.
fn was_sent_away(answer: &RawResponse) -> bool {
    match answer.status {
        Some(401) => false,
        Some(429 | 503) => {
            let seconds: Vec<u64> = answer.header("retry-after").iter().filter_map(|text| text.parse().ok()).collect();
            assert!(seconds.len() == 1 && seconds[0] >= 1, "{answer:?}");
            true
        }
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l_01_l_02_sign_ins_by_the_thousand() {
    let (_stores, server) = server();
    let person = server.anonymous().sign_up().await;
    let idle = resident_kib(server.pid());
    let attempts: Vec<_> = (0..FLOOD)
        .map(|number| {
            let (url, address) = (server.url(), format!("10.0.{}.{}", number / 250, number % 250));
            tokio::spawn(async move {
                let elapsed = stopwatch();
                (wrong_sign_in(&url, &address).await, elapsed())
            })
        })
        .collect();
    let mut peak = idle;
    for _ in 0..20 {
        assert_eq!(person.get("/auth/forward").await.status, 200, "signed-in people go on");
        peak = peak.max(resident_kib(server.pid()));
    }
    let (mut sent_away, mut slowest) = (0, Duration::ZERO);
    for attempt in attempts {
        let (answer, took) = attempt.await.expect("every sign-in is answered");
        sent_away += usize::from(was_sent_away(&answer));
        slowest = slowest.max(took);
    }
    peak = peak.max(resident_kib(server.pid()));
    let refused = FLOOD - sent_away;
    println!(
        "{FLOOD} sign-ins at once: {refused} refused, {sent_away} told to come back, the slowest after {slowest:?}; \
         {idle} KiB, at most {peak} KiB"
    );
    assert!(slowest < DEADLINE, "{slowest:?}");
    assert!(peak - idle < HASH_KIB * workers() + CONNECTIONS_KIB, "{idle} KiB grew to {peak} KiB");
    person.me().await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l_07_a_flood_from_one_address_keeps_nobody_from_signing_in_at_another() {
    let (_stores, server) = server();
    let person = server.anonymous().sign_up().await;
    let (over, sent_away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let flood: Vec<_> = (0..STEADY)
        .map(|_| {
            let (url, over, sent_away) = (server.url(), Arc::clone(&over), Arc::clone(&sent_away));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let away = was_sent_away(&wrong_sign_in(&url, "192.0.2.1").await);
                    sent_away.fetch_add(usize::from(away), Ordering::SeqCst);
                }
            })
        })
        .collect();
    while sent_away.load(Ordering::SeqCst) < STEADY {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let body = json!({ "email": person.email, "password": PASSWORD });
    let mut times = Vec::new();
    for number in 0..5 {
        let stranger = server.anonymous();
        let elapsed = stopwatch();
        let request = stranger.call(Method::POST, "/login").header("X-Forwarded-For", &format!("198.51.100.{number}"));
        request.json(&body).send().await.assert_status(200);
        times.push(elapsed());
    }
    over.store(true, Ordering::SeqCst);
    for one in flood {
        one.await.expect("the flood is answered");
    }
    println!("five sign-ins from elsewhere during a flood from one address: {times:?}");
    assert!(times.iter().all(|took| *took < DEADLINE), "{times:?}");
}
