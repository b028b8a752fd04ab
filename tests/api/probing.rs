//! Session cookies that are nobody's: what guessing at them costs, and whom it hurts.

use std::time::Duration;

use reqwest::Method;

use crate::support::client::{COOKIE, SignedIn};
use crate::support::hash_cost;
use crate::support::issue::signed;
use crate::support::ports::random;
use crate::support::process::Process;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores, TestServer, on_each_backend};
#[cfg(feature = "postgres")]
use crate::support::wait::until;
use crate::tools::browser_with;

/// Different unknown tokens of an address that are answered like one.
const LIMIT: usize = 100;

/// A token that was never issued.
fn unknown() -> String {
    let bytes = [random().to_be_bytes(), random().to_be_bytes()].concat();
    uuid::Uuid::from_slice(&bytes).expect("16 bytes").to_string()
}

async fn shown(server: &TestServer, cookie: &str, address: &str, path: &str) -> Response {
    let thief = browser_with(server, cookie);
    thief.call(Method::GET, path).header("X-Forwarded-For", address).send().await
}

async fn me_from(owner: &SignedIn, address: &str) -> u16 {
    owner.call(Method::GET, "/me").header("X-Forwarded-For", address).send().await.status
}

/// It would be counted anew in the middle of one.
fn begin_a_minute(server: &TestServer) {
    let now = server.node().app().core.clock().now().ms();
    server.clock.advance(Duration::from_millis(u64::try_from(60_000 - now.rem_euclid(60_000)).expect("positive")));
}

fn assert_limited(answer: &Response) {
    answer.assert_problem(429, "too-many-attempts");
    let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    assert!((1..=60).contains(&seconds), "{answer}");
    assert_eq!(answer.header("ratelimit"), Some(format!("\"unknown-tokens\";r=0;t={seconds}").as_str()));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"unknown-tokens\";q=100;w=60"));
    assert!(answer.set_cookies().is_empty(), "the cookie is left alone: {answer}");
}

on_each_backend! {
    async fn c_17_and_l_28_guessing_at_tokens_is_limited_and_who_is_signed_in_there_does_not_notice(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let owner = server.signed_in().await;
        begin_a_minute(&server);
        // Forged, and well-formed with a good signature: as after the key was stolen.
        let mut answers = Vec::new();
        for number in 0..LIMIT + 20 {
            let cookie = if number % 2 == 0 { format!("forged-{number}") } else { signed(&server.settings, &unknown()) };
            answers.push(shown(&server, &cookie, "192.0.2.1", "/me").await);
        }
        for answer in &answers[..LIMIT] {
            answer.assert_problem(401, "unauthenticated");
        }
        for answer in &answers[LIMIT..] {
            assert_limited(answer);
        }
        for path in ["/me", "/session", "/sessions"] {
            assert_limited(&shown(&server, "forged", "192.0.2.1", path).await);
            assert_eq!(owner.call(Method::GET, path).header("X-Forwarded-For", "192.0.2.1").send().await.status, 200);
        }
        assert_eq!(me_from(&owner, "192.0.2.1").await, 200, "behind the same address");
        // A gateway is told what it understands.
        shown(&server, "forged", "192.0.2.1", "/auth/forward").await.assert_problem(401, "unauthenticated");
        // Without a cookie nobody guesses.
        let visitor = server.anonymous();
        visitor.call(Method::GET, "/me").header("X-Forwarded-For", "192.0.2.1").send().await.assert_problem(401, "unauthenticated");
        shown(&server, "forged", "192.0.2.2", "/me").await.assert_problem(401, "unauthenticated");
        // What is shown to a gateway counts as well.
        begin_a_minute(&server);
        for number in 0..=LIMIT {
            let answer = shown(&server, &format!("forged-{number}"), "192.0.2.3", "/auth/forward").await;
            answer.assert_problem(401, "unauthenticated");
        }
        assert_limited(&shown(&server, "forged", "192.0.2.3", "/me").await);
        server.clock.advance(Duration::from_secs(60));
        shown(&server, "forged", "192.0.2.1", "/me").await.assert_problem(401, "unauthenticated");
    }

    async fn l_28_who_was_signed_in_behind_one_address_learns_that_it_is_over_however_many_they_are(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "1000" } {
        let owner = server.signed_in().await;
        let mut others = Vec::new();
        // More than the limit in one minute, also when the next one begins meanwhile.
        for _ in 0..2 * LIMIT + 20 {
            others.push(server.issue(&owner).await);
        }
        owner.end_all().await.assert_status(200);
        for other in &others {
            other.get("/me").await.assert_problem(401, "unauthenticated");
        }
    }

    async fn c_17_a_browser_that_was_left_open_is_told_401_for_ever(server: TestServer) {
        let owner = server.signed_in().await;
        let dead = owner.copy_at(&server.url());
        owner.sign_out().await.assert_status(204);
        for _ in 0..3 * LIMIT {
            dead.me().await.assert_problem(401, "unauthenticated");
        }
    }
}

/// The log says it once for each address and minute, and neither the token nor its hash.
#[tokio::test]
async fn c_04_guessing_is_noted_once_in_the_log() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings();
    let process = Process::start(&settings);
    let thief = process.anonymous();
    for number in 0..3 * LIMIT {
        thief.browser().set_cookie(COOKIE, &format!("forged-{number}"));
        thief.get("/me").await;
    }
    let noted = process.output().lines().filter(|line| line.contains("session tokens that open nothing")).count();
    // A minute may have passed.
    assert!((1..=2).contains(&noted), "{}", process.output());
    assert!(
        process.output().contains("from 127.0.0.1") && !process.output().contains("forged-"),
        "{}",
        process.output()
    );
}

/// How many are shown. A million of each are shown to the tables themselves, beside their code.
#[cfg(feature = "postgres")]
fn tokens() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 50_000 } else { 1_000 }
}

/// C-04, V-06: nothing is kept of what is not known, for longer than a fill may last.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v_06_unknown_tokens_leave_nothing_behind() {
    let stores = Stores::new(Backend::Production);
    let process = Process::start(&stores.settings());
    let owner = process.anonymous().sign_up().await;
    assert!(owner.is_signed_in().await);
    let keys = stores.servers().keys("*").len();
    let key = stores.settings();
    // Warm: what a thousand take stays with the allocator.
    probe(&process, &key, 400).await;
    let before = resident_kib(process.pid());
    probe(&process, &key, tokens()).await;
    let after = resident_kib(process.pid());
    until("what the last fills left is gone", Duration::from_secs(20), async || {
        stores.servers().keys("*").len() <= keys
    })
    .await;
    println!("{} tokens: {before} KiB before, {after} KiB after, {keys} keys in Redis before and after", tokens());
    assert!(after < before + 20_000, "{before} KiB grew to {after} KiB");
    assert!(owner.is_signed_in().await);
}

/// Shows so many tokens, half of them with a good signature, over a few connections.
#[cfg(feature = "postgres")]
async fn probe(process: &Process, settings: &crate::support::settings::Settings, count: usize) {
    const CLIENTS: usize = 8;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (thief, settings) = (process.anonymous(), settings.clone());
            tokio::spawn(async move {
                for number in 0..count / CLIENTS {
                    let cookie = if number % 2 == 0 { unknown() } else { signed(&settings, &unknown()) };
                    thief.browser().set_cookie(COOKIE, &cookie);
                    let status = thief.get("/me").await.status;
                    assert!([401, 429, 503].contains(&status), "{status}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
}

/// What the process holds in memory, in KiB.
#[cfg(feature = "postgres")]
fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// L-23: of names that nobody has, too, no more is kept than an address may try.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l_23_random_names_leave_no_more_counters_than_an_address_may_try() {
    hash_cost::full();
    use serde_json::json;
    const CLIENTS: usize = 8;
    let stores = Stores::new(Backend::Production);
    let process = Process::start(&stores.settings().with("SESSIOND_SIGN_IN_ADDRESS_LIMIT", "20"));
    process.anonymous().get("/health/ready").await;
    let before = resident_kib(process.pid());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let stranger = process.anonymous();
            tokio::spawn(async move {
                let mut hashed = 0;
                for _ in 0..tokens() / CLIENTS {
                    let body = json!({ "email": crate::support::client::new_email(), "password": "wrong, all of it" });
                    match stranger.post_json("/login", &body).await.status {
                        401 => hashed += 1,
                        // 503: the machine is busy with others, and the gate's time was over.
                        429 | 503 => {}
                        status => panic!("{status}"),
                    }
                }
                hashed
            })
        })
        .collect();
    let mut hashed = 0;
    for client in clients {
        hashed += client.await.expect("a client");
    }
    let (after, keys) = (resident_kib(process.pid()), stores.servers().keys("attempts:*").len());
    println!("{} names: {hashed} hashed, {keys} counters in Redis, {before} KiB before, {after} KiB after", tokens());
    // Twenty for each ten minutes, and as many counters and one of the address.
    let windows = if tokens() > 1_000 { 12 } else { 2 };
    assert!((20..=20 * windows).contains(&hashed), "{hashed}");
    assert!(keys <= hashed + windows, "{keys}");
    assert!(after < before + 60_000, "{before} KiB grew to {after} KiB");
}
