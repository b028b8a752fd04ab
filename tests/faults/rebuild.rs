//! Recovery: Redis forgets everything while a crowd goes on clicking.
//!
//! Owns the proof that all of them stay signed in, that the flood of fills stays within the bound of the SQL pool,
//! and that afterwards a check costs one Redis command again.
#![cfg(feature = "postgres")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::COOKIE as COOKIE_HEADER;
use sessiond::domain::{Clock, SessionId, SystemClock, SystemRandom, Token};
use sessiond::server::open_ledger;

use crate::support::client::COOKIE;
use crate::support::issue::signed;
use crate::support::process::Process;
use crate::support::server::{Backend, Stores};
use crate::support::wait::{stopwatch, until};

/// Connections that ask all the time.
const CONNECTIONS: usize = 32;
/// How long the load goes on before Redis forgets.
const BEFORE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

fn sessions() -> usize {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 10_000 } else { 800 }
}

/// What the load was answered with.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    next: AtomicUsize,
    yes: AtomicUsize,
    unknown: AtomicUsize,
    other: AtomicUsize,
    slowest_ms: AtomicUsize,
}

/// One server with so many sessions of known tokens.
struct Crowd {
    http: reqwest::Client,
    url: String,
    cookies: Vec<String>,
    user: String,
    load: Load,
}

impl Crowd {
    /// Sessions as the ledger would hold them, written there by hand: signing in so often would take an hour.
    async fn new(stores: &Stores, server: &Process) -> Self {
        let owner = server.anonymous().sign_up().await;
        let now = SystemClock::new().now();
        let (settings, mut cookies) = (stores.settings(), Vec::new());
        let made: Vec<_> = (0..sessions())
            .map(|_| (SessionId::generate(now, &SystemRandom), Token::generate(&SystemRandom)))
            .collect();
        for chunk in made.chunks(1_000) {
            let mut rows = String::new();
            for (id, token) in chunk {
                let hash: String = token.hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let (comma, at, until) = (if rows.is_empty() { "" } else { "," }, now.ms(), now.ms() + 43_200_000);
                write!(
                    rows,
                    "{comma}('{id}','{}','\\x{hash}',{at},{at},{at},{until},43200,false,'127.0.0.1','127.0.0.1')",
                    owner.user_id
                )
                .expect("a text takes everything");
                cookies.push(format!("{COOKIE}={}", signed(&settings, &token.expose())));
            }
            stores.database.execute(&format!(
                "INSERT INTO sessions (id, user_id, token_hash, created_at, authenticated_at, last_seen_at, \
                 expires_at, idle_seconds, remember, sign_in_ip, last_ip) VALUES {rows}"
            ));
        }
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, url: server.url(), cookies, user: owner.user_id.clone(), load: Load::default() }
    }

    /// Asks about one session; the answer must be its owner's.
    async fn ask(&self, number: usize) {
        let watch = stopwatch();
        let request = self.http.get(format!("{}/auth/forward", self.url));
        let answer = request.header(COOKIE_HEADER, &self.cookies[number]).send().await.expect("an answer");
        let count = match answer.status().as_u16() {
            200 => &self.load.yes,
            503 => &self.load.unknown,
            _ => &self.load.other,
        };
        if answer.status() == 200 {
            let user = answer.headers().get("x-session-user").and_then(|value| value.to_str().ok());
            assert_eq!(user, Some(self.user.as_str()), "somebody else");
        }
        count.fetch_add(1, Ordering::Relaxed);
        let ms = usize::try_from(watch().as_millis()).expect("not so slow");
        self.load.slowest_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// Asks about every session once, on all connections.
    async fn ask_all(self: &Arc<Self>) {
        self.load.next.store(0, Ordering::SeqCst);
        self.on_all_connections(|crowd, number| number < crowd.cookies.len()).await;
    }

    /// Asks about one session after the other, round and round, until it is told to stop.
    async fn keep_asking(self: &Arc<Self>) {
        self.on_all_connections(|crowd, _| !crowd.load.stop.load(Ordering::SeqCst)).await;
    }

    async fn on_all_connections(self: &Arc<Self>, more: fn(&Self, usize) -> bool) {
        let tasks = (0..CONNECTIONS).map(|_| {
            let crowd = Arc::clone(self);
            tokio::spawn(async move {
                loop {
                    let number = crowd.load.next.fetch_add(1, Ordering::SeqCst);
                    if !more(&crowd, number) {
                        return;
                    }
                    crowd.ask(number % crowd.cookies.len()).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("an answer of its own");
        }
    }

    /// How many were answered 200, 503, anything else, and the slowest, since the last call.
    fn told(&self) -> [usize; 4] {
        let load = &self.load;
        [&load.yes, &load.unknown, &load.other, &load.slowest_ms].map(|count| count.swap(0, Ordering::SeqCst))
    }
}

/// Samples the connections to the database until it is told to stop; the most there were.
async fn most_connections(stores: Arc<Stores>, stop: Arc<AtomicBool>) -> usize {
    let sql = "SELECT CAST(count(*) AS TEXT) AS value FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut most = 0;
    while !stop.load(Ordering::SeqCst) {
        most = most.max(stores.database.value(sql).parse().expect("a number"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn flushall_under_load_signs_nobody_out_and_is_over_soon() {
    let stores = Arc::new(Stores::new(Backend::Production));
    // No touch falls due meanwhile, however slow the machine: what is counted are checks.
    let settings = stores.settings().with("SESSIOND_IDLE_TIMEOUT", "12h").with("SESSIOND_LAST_SEEN_RESOLUTION", "30m");
    let server = Process::start(&settings);
    let app = open_ledger(&stores.settings().config().expect("settings")).await.expect("the ledger");
    let bound = app.core.ledger().connection_bound();
    drop(app);
    let crowd = Arc::new(Crowd::new(&stores, &server).await);
    let number = crowd.cookies.len();
    until("everybody has a record", PATIENCE, async || {
        crowd.ask_all().await;
        stores.redis().keys("session:*").len() == number
    })
    .await;
    let [_, unknown, other, _] = crowd.told();
    assert_eq!((unknown, other), (0, 0), "everybody is signed in");

    let sampled = Arc::new(AtomicBool::new(false));
    let connections = tokio::spawn(most_connections(Arc::clone(&stores), Arc::clone(&sampled)));
    let asking = tokio::spawn({
        let crowd = Arc::clone(&crowd);
        async move { crowd.keep_asking().await }
    });
    tokio::time::sleep(BEFORE).await;
    let [yes, unknown, other, slowest] = crowd.told();
    println!("{number} sessions; before, in {BEFORE:?}: {yes} answers, the slowest after {slowest} ms");
    assert_eq!((unknown, other), (0, 0), "all well");
    stores.redis().cli::<()>(&["FLUSHALL"]);
    let flushed = stopwatch();
    until("everybody has a record again", PATIENCE, async || stores.redis().keys("session:*").len() >= number).await;
    let rebuilt = flushed();
    crowd.load.stop.store(true, Ordering::SeqCst);
    asking.await.expect("the load");
    let [yes, unknown, other, slowest] = crowd.told();
    sampled.store(true, Ordering::SeqCst);
    let most = connections.await.expect("the samples");
    println!(
        "FLUSHALL: {yes} answers, the slowest after {slowest} ms, {unknown} times 503, {other} times anything else; \
         all had a record again after {rebuilt:?}; at most {most} of {bound} SQL connections"
    );
    assert_eq!((unknown, other), (0, 0), "nobody is signed out, and nobody is turned away by so small a crowd");
    assert!(most <= bound, "{most} connections to SQL, and {bound} is the bound");

    // A busy machine may miss a deadline of a few milliseconds, once; a way that is longer would be so every time.
    until("each check is one Redis command and nothing else", PATIENCE, async || {
        let mut monitor = stores.redis().monitor();
        crowd.ask_all().await;
        let mut of_sessions = monitor.commands();
        // Beside them the node asks whether Redis takes writes, under a key of no session.
        of_sessions.retain(|command| command.contains("\"session:") && !command.contains("\"session:\""));
        of_sessions.len() == number && of_sessions.iter().all(|command| command.starts_with("\"GETEX\""))
    })
    .await;
    println!("each of {number} was served by one Redis command {:?} after FLUSHALL", flushed());
    let [_, unknown, other, _] = crowd.told();
    assert_eq!((unknown, other), (0, 0), "all of them are signed in");
}
