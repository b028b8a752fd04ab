//! A small population under a fault: people, live sessions, sessions that end before and meanwhile, and how long it
//! takes until everything is as before.
//!
//! Owns the traffic that goes on during the fault, and the one line that every row prints. Must never know the
//! fault: the row brings it about, and ends it.
//!
//! ```ignore
//! let mut drill = Drill::begin("FLUSHALL", &stores, &[node.url()]).await;
//! drill.end_some().await;
//! drill.open_to_traffic();
//! stores.redis().cli::<()>(&["FLUSHALL"]);
//! drill.recovers(&[stores.redis()]).await;
//! ```
//!
//! The test must run on several threads, or the traffic stands still while the row works.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sessiond::server::open_ledger;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::faults::judge::{Judge, Question, Session};
use crate::support::client::Anonymous;
use crate::support::issue::issue_at;
use crate::support::monitor::Monitor;
use crate::support::process::Process;
use crate::support::redis::PrivateRedis;
use crate::support::server::{Stores, near_cache};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

const USERS: usize = 3;
/// Sessions of each user that stay; the first of them ends others, and the last takes no part in the traffic.
const LIVE: usize = 3;
/// Sessions of each user that end before the fault.
const EARLY: usize = 2;
/// Sessions of each user that are there to be ended during the fault and after it.
const DOOMED: usize = 12;
/// Requests at once.
const CHECKERS: usize = 3;
/// Between one request and the next, so that the machine has time for the fault.
const BREATH: Duration = Duration::from_millis(5);
/// Between one revocation and the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Everything is back by then, or never will be.
const PATIENCE: Duration = Duration::from_secs(30);
const BOTH: [Question; 2] = [Question::Forward, Question::Me];

/// How long a fault lasts where its length is of no matter.
pub const A_WHILE: Duration = Duration::from_millis(500);

/// Lets the traffic go on for a while.
pub async fn a_while() {
    tokio::time::sleep(A_WHILE).await;
}

/// Two servers, as processes of their own, and their URLs.
pub fn two_nodes(settings: &Settings) -> ([Process; 2], Vec<String>) {
    let nodes = [Process::start(settings), Process::start(settings)];
    let urls = nodes.iter().map(Process::url).collect();
    (nodes, urls)
}

/// One row: a population before, during and after a fault.
pub struct Drill<'a> {
    row: &'a str,
    stores: &'a Stores,
    people: Arc<People>,
    traffic: Option<Traffic>,
}

struct People {
    judge: Judge,
    nodes: usize,
    users: Vec<User>,
    next_doomed: AtomicUsize,
}

struct User {
    live: Vec<Session>,
    early: Vec<Session>,
    doomed: Vec<Session>,
}

struct Traffic {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl<'a> Drill<'a> {
    /// People at these nodes, which run on `stores`. Every node has seen every session.
    pub async fn begin(row: &'a str, stores: &'a Stores, nodes: &[String]) -> Self {
        let settings = stores.settings();
        let app = open_ledger(&settings.config().expect("good settings")).await.expect("the ledger opens");
        let mut users = Vec::new();
        for _ in 0..USERS {
            let owner = Anonymous::at(&nodes[0]).sign_up().await;
            let mut sessions = vec![Session::new(&owner, nodes)];
            for _ in 1..LIVE + EARLY + DOOMED {
                sessions.push(Session::new(&issue_at(&app, &settings, &owner, &nodes[0]).await, nodes));
            }
            let doomed = sessions.split_off(LIVE + EARLY);
            let early = sessions.split_off(LIVE);
            users.push(User { live: sessions, early, doomed });
        }
        let people = People { judge: Judge::default(), nodes: nodes.len(), users, next_doomed: AtomicUsize::new(0) };
        for (session, node) in people.places(|_| true) {
            assert_eq!(people.judge.check(session, node, Question::Forward).await, 200, "{row}: before anything");
        }
        Self { row, stores, people: Arc::new(people), traffic: None }
    }

    /// Ends some sessions, answered 2xx.
    pub async fn end_some(&self) {
        for (number, user) in self.people.users.iter().enumerate() {
            for session in &user.early {
                let node = number % self.people.nodes;
                let status = self.people.judge.revoke(&user.live[0], session, node).await;
                assert_eq!(status, 204, "{}: before anything", self.row);
            }
        }
    }

    /// From now on everybody asks, and somebody ends one session after another.
    pub fn open_to_traffic(&mut self) {
        let (stop, stopped) = watch::channel(false);
        let mut tasks: Vec<_> = (0..CHECKERS)
            .map(|number| tokio::spawn(keep_checking(Arc::clone(&self.people), number, stopped.clone())))
            .collect();
        tasks.push(tokio::spawn(keep_revoking(Arc::clone(&self.people), stopped)));
        self.traffic = Some(Traffic { stop, tasks });
    }

    /// The fault is over: waits until everything is as before, judges all answers, and prints the row's line.
    /// `redis`: whoever serves records now; with nobody, checks are not waited for to be one command.
    /// Gives how many answers of 503 there were.
    pub async fn recovers(mut self, redis: &[&PrivateRedis]) -> usize {
        let (row, since) = (self.row, stopwatch());
        let (answers, revocations, hot_path) =
            tokio::join!(self.answers(&since), self.revocations(&since), self.hot_path(redis, &since));
        if let Some(Traffic { stop, tasks }) = self.traffic.take() {
            stop.send_replace(true);
            for task in tasks {
                task.await.expect("the traffic goes on to the end");
            }
        }
        self.is_as_before().await;
        let verdict = self.people.judge.verdict(row);
        println!(
            "recovery: {row}: 200 after {:.1} s, revocation after {:.1} s, one command after {:.1} s, {verdict}",
            answers.as_secs_f32(),
            revocations.as_secs_f32(),
            hot_path.as_secs_f32(),
        );
        self.people.judge.refused()
    }

    /// How many answers there were so far.
    pub fn answers_so_far(&self) -> usize {
        self.people.judge.judged()
    }

    /// How many sessions' revocations were answered 2xx so far.
    pub fn ended(&self) -> usize {
        let sessions = self.people.users.iter().flat_map(User::all);
        sessions.filter(|session| session.has_ended()).count()
    }

    /// Of how many sessions whose revocation was answered 2xx a record stands in Redis.
    pub fn brought_back(&self, redis: &PrivateRedis) -> usize {
        let ended = self.people.users.iter().flat_map(User::all).filter(|session| session.has_ended());
        let text = |session: &&Session| redis.cli::<Option<String>>(&["GET", &session.key()]);
        ended.filter(|session| text(session).is_some_and(|text| text.starts_with("1 "))).count()
    }

    /// When a round began in which everybody who lives was let in everywhere.
    async fn answers(&self, since: &impl Fn() -> Duration) -> Duration {
        loop {
            let (begun, mut all) = (since(), true);
            for (session, node) in self.people.live() {
                for question in BOTH {
                    all &= self.people.judge.check(session, node, question).await == 200;
                }
            }
            if all {
                return begun;
            }
            assert!(begun < PATIENCE, "{}: live sessions are not let in again", self.row);
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn revocations(&self, since: &impl Fn() -> Duration) -> Duration {
        for node in 0..self.people.nodes {
            let Some((owner, session)) = self.people.next_doomed() else { panic!("{}: nobody left to end", self.row) };
            while self.people.judge.revoke(owner, session, node).await != 204 {
                assert!(since() < PATIENCE, "{}: revocations are not confirmed again", self.row);
                tokio::time::sleep(BREATH).await;
            }
        }
        since()
    }

    /// When a round began in which every check was at most one `GETEX`, and nothing else was asked of Redis for it.
    async fn hot_path(&self, redis: &[&PrivateRedis], since: &impl Fn() -> Duration) -> Duration {
        if redis.is_empty() {
            return Duration::ZERO;
        }
        let quiet: Vec<_> = self.people.users.iter().filter_map(|user| user.live.last()).collect();
        loop {
            let (begun, mut cheap) = (since(), true);
            for (session, node) in
                quiet.iter().flat_map(|session| (0..self.people.nodes).map(move |node| (session, node)))
            {
                let mut monitors: Vec<_> = redis.iter().map(|server| server.monitor()).collect();
                cheap &= self.people.judge.check(session, node, Question::Forward).await == 200;
                let key = format!("\"{}\"", session.key());
                let sent = monitors.iter_mut().flat_map(Monitor::commands);
                let sent: Vec<String> = sent.filter(|command| command.contains(&key)).collect();
                // A copy answers without any.
                cheap &= sent == [format!("\"GETEX\" {key}")] || (near_cache() && sent.is_empty());
            }
            if cheap {
                return begun;
            }
            assert!(begun < PATIENCE, "{}: checks are not one command again", self.row);
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Whoever was ended is dead at every node, whoever was not is alive, and nothing is left to confirm.
    async fn is_as_before(&self) {
        let (row, people) = (self.row, &self.people);
        until(&format!("{row}: nothing is left to confirm"), PATIENCE, async || {
            self.stores.database.count("pending_invalidations", "1 = 1") == 0
        })
        .await;
        for _ in 0..2 {
            for (session, node) in people.live() {
                for question in BOTH {
                    assert_eq!(people.judge.check(session, node, question).await, 200, "{row}: a live session is lost");
                }
            }
            for (session, node) in people.places(Session::has_ended) {
                assert_eq!(people.judge.check(session, node, Question::Forward).await, 401, "{row}: it came back");
            }
        }
    }
}

impl People {
    /// Each of some sessions, at each node.
    fn places(&self, which: impl Fn(&Session) -> bool) -> impl Iterator<Item = (&Session, usize)> {
        let sessions = self.users.iter().flat_map(User::all).filter(move |session| which(session));
        sessions.flat_map(|session| (0..self.nodes).map(move |node| (session, node)))
    }

    /// Each session that nobody ends, at each node.
    fn live(&self) -> impl Iterator<Item = (&Session, usize)> {
        let sessions = self.users.iter().flat_map(|user| &user.live);
        sessions.flat_map(|session| (0..self.nodes).map(move |node| (session, node)))
    }

    fn is_quiet(&self, session: &Session) -> bool {
        self.users.iter().filter_map(|user| user.live.last()).any(|quiet| std::ptr::eq(quiet, session))
    }

    /// Somebody's session that is to be ended, and the one that ends it.
    fn next_doomed(&self) -> Option<(&Session, &Session)> {
        let number = self.next_doomed.fetch_add(1, Ordering::SeqCst);
        let user = &self.users[number % USERS];
        user.doomed.get(number / USERS).map(|session| (&user.live[0], session))
    }
}

impl User {
    fn all(&self) -> impl Iterator<Item = &Session> {
        self.live.iter().chain(&self.early).chain(&self.doomed)
    }
}

async fn keep_checking(people: Arc<People>, number: usize, stop: watch::Receiver<bool>) {
    let mut turn = number;
    loop {
        for (session, node) in people.places(|session| !people.is_quiet(session)).skip(number).step_by(CHECKERS) {
            if *stop.borrow() {
                return;
            }
            turn += 1;
            people.judge.check(session, node, BOTH[turn % BOTH.len()]).await;
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// Leaves some for whoever asks when revocations are answered again.
async fn keep_revoking(people: Arc<People>, stop: watch::Receiver<bool>) {
    let mut node = 0;
    while people.next_doomed.load(Ordering::SeqCst) < (DOOMED - 2) * USERS {
        let Some((owner, session)) = people.next_doomed() else { return };
        loop {
            if *stop.borrow() {
                return;
            }
            node = (node + 1) % people.nodes;
            if people.judge.revoke(owner, session, node).await == 204 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
