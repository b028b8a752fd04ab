//! Session cookies that open no session: sessiond counts and reports them, and refuses no one for them.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;

use crate::api::tools::browser_with;
use crate::support::client::{COOKIE, SignedIn};
#[cfg(feature = "postgres")]
use crate::support::hash_cost;
use crate::support::issue::signed;
use crate::support::ports::random;
use crate::support::process::Process;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Backend, Stores, TestServer, on_each_backend};
#[cfg(feature = "postgres")]
use crate::support::wait::until;

/// Different unknown tokens of an address in a minute that nothing is said about.
const FEW: usize = 100;

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

/// The counting lines of the audit log: whom, and how many.
fn counted(server: &TestServer) -> Vec<(String, String)> {
    let of = |column: &str| {
        let sql = format!("SELECT {column} AS value FROM audit WHERE event = 'authn_token_fail' ORDER BY id");
        server.stores.database.values(&sql).into_iter().flatten().collect::<Vec<_>>()
    };
    let numbers = of("detail").into_iter().map(|text| text.split(' ').next().unwrap_or_default().to_owned());
    of("ip").into_iter().zip(numbers).collect()
}

/// Unknown tokens that one address shows: ten thousand with SESSIOND_TEST_SOAK. The half that is well signed costs a read
/// of SQL each.
fn burst() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 10_000 } else { 2_000 }
}

on_each_backend! {
    async fn c_17_and_l_28_any_number_of_unknown_tokens_is_401_and_who_is_signed_in_there_goes_on(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        const CLIENTS: usize = 4;
        let owner = server.signed_in().await;
        begin_a_minute(&server);
        // Forged, and well-formed with a good signature: as after the key was stolen.
        let clients = (0..CLIENTS).map(async |client| {
            let thief = browser_with(&server, "none");
            for number in 0..burst() / CLIENTS {
                let forged = format!("forged-{client}-{number}");
                let cookie = if number % 2 == 0 { forged } else { signed(&server.settings, &unknown()) };
                thief.browser().set_cookie(COOKIE, &cookie);
                let answer = thief.call(Method::GET, "/me").header("X-Forwarded-For", "192.0.2.1").send().await;
                answer.assert_problem(401, "unauthenticated");
                assert!(answer.header("retry-after").is_none() && answer.header("ratelimit").is_none(), "{answer}");
            }
        });
        join_all(clients).await;
        for path in ["/me", "/session", "/sessions"] {
            assert_eq!(owner.call(Method::GET, path).header("X-Forwarded-For", "192.0.2.1").send().await.status, 200);
        }
        for path in ["/me", "/session", "/sessions", "/auth/forward"] {
            let answer = shown(&server, "forged", "192.0.2.1", path).await;
            if path == "/session" { answer.assert_status(200) } else { answer.assert_problem(401, "unauthenticated") };
        }
        assert_eq!(me_from(&owner, "192.0.2.1").await, 200, "behind the same address");
        println!("{} unknown tokens: 401 each", burst());
    }

    async fn c_17_unknown_tokens_are_counted_for_each_address(server: TestServer)
    with { "SESSIOND_TRUSTED_PROXIES": "127.0.0.1", "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For" } {
        let owner = server.signed_in().await;
        begin_a_minute(&server);
        for number in 0..FEW + 20 {
            let cookie = if number % 2 == 0 { format!("forged-{number}") } else { signed(&server.settings, &unknown()) };
            let path = if number % 4 < 2 { "/me" } else { "/auth/forward" };
            shown(&server, &cookie, "192.0.2.1", path).await.assert_problem(401, "unauthenticated");
            shown(&server, &cookie, &format!("2001:db8::{number:x}"), "/me").await.assert_problem(401, "unauthenticated");
        }
        // A few are normal and not reported; requests with a live session, or without a cookie, are not counted.
        for _ in 0..2 * FEW {
            assert_eq!(me_from(&owner, "192.0.2.2").await, 200);
        }
        for number in 0..FEW {
            shown(&server, &format!("forged-{number}"), "192.0.2.3", "/me").await;
        }
        server.clock.advance(Duration::from_secs(61));
        server.until_audited("authn_token_fail", 2).await;
        let mut found = counted(&server);
        found.sort_unstable();
        let count = (FEW + 20).to_string();
        assert_eq!(found, [("192.0.2.1".to_owned(), count.clone()), ("2001:db8::".to_owned(), count)]);
    }

    async fn l_28_who_was_signed_in_behind_one_address_learns_that_it_is_over_however_many_they_are(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "1000" } {
        let owner = server.signed_in().await;
        let mut others = Vec::new();
        for _ in 0..2 * FEW + 20 {
            others.push(server.issue(&owner).await);
        }
        owner.end_all().await.assert_status(200);
        for other in &others {
            other.get("/me").await.assert_problem(401, "unauthenticated");
        }
    }

    async fn c_17_a_browser_that_was_left_open_is_not_reported(server: TestServer) {
        let owner = server.signed_in().await;
        let dead = owner.copy_at(&server.url());
        owner.sign_out().await.assert_status(204);
        begin_a_minute(&server);
        for _ in 0..3 * FEW {
            dead.me().await.assert_problem(401, "unauthenticated");
        }
        server.clock.advance(Duration::from_secs(61));
        // It would have been written by now.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(counted(&server), []);
    }
}

/// The log says it once for each address and minute, and neither the token nor its hash.
#[tokio::test]
async fn c_04_and_l_28_guessing_is_noted_once_a_minute_in_the_log() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings();
    let process = Process::start(&settings);
    let thief = process.anonymous();
    for number in 0..10 * FEW {
        thief.browser().set_cookie(COOKIE, &format!("forged-{number}"));
        thief.get("/me").await.assert_problem(401, "unauthenticated");
    }
    let noted = process.output().lines().filter(|line| line.contains("unknown session tokens")).count();
    // A minute may have passed.
    assert!((1..=2).contains(&noted), "{}", process.output());
    assert!(
        process.output().contains("event=authn_token_fail request=- ip=127.0.0.1 ")
            && !process.output().contains("forged-"),
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
                    assert!([401, 503].contains(&status), "{status}");
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
