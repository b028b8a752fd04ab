//! Which Redis may speak: what is decided while the answer to that very question is on its way.
//!
//! Owns a process that is enrolled while its ledger turns out to be an older copy, one that is retired by a transaction
//! that takes its time, and one that nobody seems to use any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sessiond::domain::{Clock, LedgerClock, Process, Stamp, SystemClock, SystemRandom, ThrottleKey, Timestamp, Token};
use sessiond::ledger::{self, Ledger, Refusal, live_store};
use sessiond::server::open_ledger;
use sessiond::service::{Activity, App, Background, Parts, Policy, Those};

use crate::support::crowd;
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::proxy::contains;
use crate::support::redis::PrivateRedis;
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};

use super::{IP, LONG_LEASE, PATIENCE, SECOND, Scene, compared, is_live, key, node};

/// An older copy of the ledger under a running service: it is there as soon as this is called, and refused within a
/// second.
struct Copy {
    scene: Scene,
    background: [Background; 2],
    /// Lives in both.
    owner: Token,
    /// Lives in the copy alone.
    victim: Token,
}

impl Copy {
    async fn prepare() -> Self {
        let scene = Scene::open().await;
        let (owner, victim) = (scene.issue_on_record().await, scene.issue().await);
        let background = [scene.slow.serve(), scene.fast.serve()];
        scene.database.back_up("backup");
        let height = || scene.database.value("SELECT CAST(height AS TEXT) AS value FROM lineage");
        let before = height();
        scene.fast.sessions.sign_out(&[victim.hash()], &client()).await.expect("a 2xx");
        until("Redis is told", PATIENCE, async || height() != before).await;
        tokio::time::sleep(SECOND / 2).await;
        Self { scene, background, owner, victim }
    }

    fn put_back(&self) {
        self.scene.database.put_back("backup");
    }

    async fn is_refused(&self) {
        until("the copy is refused", PATIENCE, async || self.scene.slow.core.ledger().refuses(Refusal::Outdated)).await;
    }

    async fn stop(self) {
        for background in self.background {
            background.stop().await;
        }
    }
}

/// A worker connects to Redis, and the ledger has said that this one may speak. Before the worker knows, the ledger is
/// found to be an older copy: nothing that Redis says can be checked against it any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_enrolled_while_the_ledger_turns_out_to_be_a_copy_is_not_trusted() {
    // Longer than it takes to find the copy.
    const LEASE: Duration = Duration::from_secs(4);
    let copy = Copy::prepare().await;
    let scene = &copy.scene;
    // A node that has compared the ledger, and whose lease of this Redis is over: it asks the ledger again.
    let late = node(&scene.sql.in_url(&scene.database.url()), Some(&scene.redis.url()), LEASE, &scene.clock);
    compared(&late).await;
    tokio::time::sleep(LEASE + SECOND / 2).await;
    let hold = scene.sql.hold_next("LOCK TABLE live_store", "COMMIT", true);
    let newcomer = tokio::spawn({
        let (worker, owner) = (late.for_worker(), copy.owner.clone());
        async move { worker.check.authenticate(&owner, IP, Activity::Background).await }
    });
    hold.caught().await;
    let background = late.serve();
    copy.put_back();
    until("the copy is refused", PATIENCE, async || late.core.ledger().refuses(Refusal::Outdated)).await;
    hold.release();
    let answer = newcomer.await.expect("an answer");
    assert!(answer.is_err(), "a record is trusted over an older copy of the ledger: {answer:?}");
    background.stop().await;
    copy.stop().await;
}

/// A node has not compared its ledger yet with what Redis knows of it, because Redis does not say: it may be an older
/// copy, so what stands in Redis is not trusted, not even when the ledger goes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_not_trusted_before_the_ledger_was_compared_with_what_it_knows() {
    let scene = Scene::open().await;
    let owner = scene.issue_on_record().await;
    let hold = scene.way.hold_first(1, contains("ledger:"));
    let new = node(
        &scene.sql.in_url(&scene.database.url()),
        Some(&scene.way.in_url(&scene.redis.url())),
        LONG_LEASE,
        &scene.clock,
    );
    let background = new.serve();
    hold.caught().await;
    let worker = new.for_worker();
    assert!(is_live(&worker, &owner).await, "the ledger says so");
    scene.sql.refuse();
    scene.sql.cut();
    let answer = worker.check.authenticate(&owner, IP, Activity::Background).await;
    assert!(answer.is_err(), "a record is trusted: {answer:?}");
    scene.sql.pass();
    hold.release();
    background.stop().await;
}

/// The copy was asked before it was found to be one, and has answered yes for a session that has ended since.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_while_the_ledger_turns_out_to_be_a_copy_is_nobodys_answer() {
    let copy = Copy::prepare().await;
    let (app, sql) = (&copy.scene.slow, &copy.scene.sql);
    let checked =
        app.check.authenticate(&copy.owner, IP, Activity::Background).await.expect("an answer").expect("a session");
    let hash = copy.victim.hash();
    let names = [hash.as_bytes().to_vec(), checked.session.to_string().into_bytes()];
    // Both questions are on their way when the copy is put back; it answers both.
    let questions = names.clone().map(|name| sql.hold_first(1, contains(name)));
    let answers = names.map(|name| sql.hold_answers(1, contains(name)));
    let victim = tokio::spawn({
        let (app, victim) = (app.clone(), copy.victim.clone());
        async move { app.check.authenticate(&victim, IP, Activity::Background).await.map(|found| found.is_some()) }
    });
    let owner = tokio::spawn({
        let app = app.clone();
        async move { app.users.me(&checked).await.map(|found| found.is_some()) }
    });
    for question in &questions {
        question.caught().await;
    }
    copy.put_back();
    drop(questions);
    for answer in &answers {
        answer.caught().await;
    }
    copy.is_refused().await;
    drop(answers);
    for asked in [victim, owner] {
        let answer = asked.await.expect("an answer");
        assert!(answer.is_err(), "the copy has said so: {answer:?}");
    }
    copy.stop().await;
}

/// The transaction that retires a Redis takes longer than a lease. A node that read who may speak just before its
/// commit trusts the old one for a lease from then on, not from when the retirement was begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_waited_out_from_the_commit_of_a_retirement() {
    const LEASE: Duration = Duration::from_secs(2);
    let scene = Scene::with_lease(LEASE).await;
    // This one stays with the old process, as behind a network that was cut in two.
    let old = node(&scene.database.url(), Some(&scene.redis.url()), LEASE, &scene.clock);
    compared(&old).await;
    let background = old.serve();
    let victim = scene.issue().await;
    assert!(is_live(&old, &victim).await && is_live(&old, &victim).await, "its record stands");
    // The slow one meets the process that takes its place.
    let new = PrivateRedis::start();
    let slow = node(&scene.sql.in_url(&scene.database.url()), Some(&new.url()), LEASE, &scene.clock);
    let hold = scene.sql.hold_next("LOCK TABLE live_store", "COMMIT", false);
    let enrolling = tokio::spawn({
        let (worker, victim) = (slow.for_worker(), victim.clone());
        async move { worker.check.authenticate(&victim, IP, Activity::Background).await }
    });
    hold.caught().await;
    tokio::time::sleep(LEASE + SECOND / 2).await;
    hold.release();
    drop(enrolling.await);
    let took = stopwatch();
    let ended = slow.sessions.sign_out(&[victim.hash()], &client()).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert!(!is_live(&old, &victim).await, "it was told as over after {:?}, and a node trusts the old one", took());
    background.stop().await;
}

/// A node that does not know yet that its Redis was retired deletes a record there. Another node has put one in the
/// Redis that may speak: the deletion is no proof, so the revocation is not answered with yes.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_counts_only_in_the_redis_that_may_speak() {
    // Short enough to be waited out by whoever takes this for a matter of waiting.
    const LEASE: Duration = Duration::from_secs(2);
    let scene = Scene::with_lease(LEASE).await;
    // The connection that deletes is made before the other Redis is there.
    scene.slow.sessions.sign_out(&[scene.issue_on_record().await.hash()], &client()).await.expect("a 2xx");
    let victim = scene.issue_on_record().await;
    let new = PrivateRedis::start();
    let other = node(&scene.database.url(), Some(&new.url()), LEASE, &scene.clock);
    compared(&other).await;
    assert!(is_live(&other, &victim).await && is_live(&other, &victim).await, "it has a record there");
    let ended = scene.slow.sessions.sign_out(&[victim.hash()], &client()).await;
    assert!(ended.is_err(), "it was deleted where nobody asks");
    let text: Option<String> = new.cli(&["GET", &key(&victim)]);
    assert!(text.is_some_and(|text| text.starts_with("1 ")), "the record that counts stands");
}

/// A node has read that its Redis may speak, and learns of it when a lease has passed and another has taken its place:
/// a lease lasts from the start of the read. The Redis has a replica, which might have: so nobody trusts it for longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lasts_from_the_start_of_the_read_that_allows_it() {
    const LEASE: Duration = Duration::from_secs(2);
    let scene = Scene::with_lease(LEASE).await;
    scene.redis.cli::<()>(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    let replica = PrivateRedis::start();
    replica.cli::<()>(&["REPLICAOF", "127.0.0.1", &scene.redis.address().port().to_string()]);
    until("it follows", PATIENCE, async || {
        replica.cli::<String>(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    // Each is asked about once: whatever is doubted makes way for a lease.
    let mut victims = Vec::new();
    for _ in 0..12 {
        let victim = scene.issue().await;
        assert!(is_live(&scene.slow, &victim).await && is_live(&scene.slow, &victim).await, "its record stands");
        victims.push(victim);
    }
    let hold = scene.sql.hold_answers(1, contains("FROM \"live_store\""));
    let background = scene.slow.serve();
    hold.caught().await;
    let new = PrivateRedis::start();
    let other = node(&scene.database.url(), Some(&new.url()), LEASE, &scene.clock);
    assert!(is_live(&other, &victims[0]).await, "another one may speak now");
    let checked =
        other.check.authenticate(&victims[0], IP, Activity::Background).await.expect("an answer").expect("a session");
    other.sessions.sign_out_sessions(&checked, Those::All(None), &client()).await.expect("a 2xx");
    let (lapsed, told) = victims.split_at(2);
    for victim in lapsed {
        let answer = scene.slow.check.authenticate(victim, IP, Activity::Background).await;
        assert!(!matches!(answer, Ok(Some(_))), "trusted beyond its lease: {answer:?}");
    }
    hold.release();
    // What it has read allows it to trust until a moment that has passed.
    for victim in told {
        let answer = scene.slow.check.authenticate(victim, IP, Activity::Background).await;
        assert!(!matches!(answer, Ok(Some(_))), "trusted on the strength of an old answer: {answer:?}");
        tokio::time::sleep(SECOND / 50).await;
    }
    background.stop().await;
}

/// A clock whose stopwatch can be moved by hand, too, and goes on by itself.
#[derive(Default)]
struct Stopwatch {
    system: SystemClock,
    ahead_ms: AtomicU64,
}

impl Stopwatch {
    fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).expect("small"), Ordering::SeqCst);
    }
}

impl Clock for Stopwatch {
    fn now(&self) -> Timestamp {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

/// A node without Redis, which is started by mistake, or not.
struct Stray {
    app: App,
    /// For a revocation that waits for somebody to confirm it.
    command: App,
    clock: Arc<Stopwatch>,
    database: Database,
}

impl Stray {
    async fn beside_another_nodes_redis() -> Self {
        let database = Database::sqlite();
        let config = Settings::new().with("DATABASE_URL", &database.url()).config().expect("settings");
        let command = open_ledger(&config).await.expect("the service");
        let path = database.url().replace("sqlite://", "");
        let ledger = Ledger::open(ledger::Database::Sqlite { path }).expect("a ledger");
        let clock = Arc::new(Stopwatch::default());
        let app = App::new(Parts {
            ledger: ledger.clone(),
            live: None,
            clock: Arc::new(LedgerClock::new(Arc::<Stopwatch>::clone(&clock))),
            random: Arc::new(SystemRandom),
            policy: Policy::from(&config),
            throttle_key: ThrottleKey::derive(&[7; 64]),
            webhook: None,
            locator: None,
            tokens: None,
            exchange: None,
        });
        let (run_id, replid, prefix) = ("a".repeat(40), "b".repeat(40), String::new());
        let redis = Process { run_id, replid, database: 0, prefix, shard: None };
        let enrol = move |db: &mut ledger::Db| live_store::enroll(db, &redis, Stamp::generate(&SystemRandom));
        ledger.write(enrol).await.expect("it is enrolled");
        Self { app, command, clock, database }
    }

    fn is_left_behind(&self) -> bool {
        self.database.count("live_store", "retired_at IS NOT NULL") == 1
    }

    fn waiting(&self) -> usize {
        self.database.count("pending_invalidations", "1 = 1")
    }

    /// Has a revocation wait, and watches for as long as nothing may come of it.
    async fn wait_almost(&self, user: sessiond::domain::UserId) {
        let begun = self.clock.monotonic();
        let token = self.command.sign_in.issue(user, false, &[], &client()).await.expect("a session").token;
        self.command.sessions.sign_out(&[token.hash()], &client()).await.expect_err("nobody confirms it");
        assert_eq!(self.waiting(), 1);
        self.clock.advance(5 * SECOND);
        loop {
            let left = self.is_left_behind();
            if self.clock.monotonic() - begun >= 10 * SECOND {
                return;
            }
            assert!(!left, "too soon: after {:?}", self.clock.monotonic() - begun);
            tokio::time::sleep(SECOND / 20).await;
        }
    }
}

/// The Redis of a deployment counts as left behind when the same revocation has waited for ten seconds, and no sooner:
/// where another one waits each time, a node that reaches Redis confirms them.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_counts_as_left_behind_after_ten_seconds_of_one_revocation_and_no_sooner() {
    let stray = Stray::beside_another_nodes_redis().await;
    let user = crowd::user(stray.app.core.ledger(), stray.clock.now()).await;
    let background = stray.app.serve();
    let token = stray.command.sign_in.issue(user, false, &[], &client()).await.expect("a session").token;
    stray.command.sessions.sign_out(&[token.hash()], &client()).await.expect_err("nobody confirms it");
    tokio::time::sleep(SECOND).await;
    stray.clock.advance(4 * SECOND);
    // Another node confirms it; the next one is another one's business.
    stray.database.execute("DELETE FROM pending_invalidations");
    stray.wait_almost(user).await;
    stray.clock.advance(3 * SECOND);
    until("it is left behind", PATIENCE, async || stray.is_left_behind()).await;
    until("the revocation is confirmed", PATIENCE, async || stray.waiting() == 0).await;
    background.stop().await;
}
