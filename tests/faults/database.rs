//! SQL away, silent, slow, locked, refusing writes, used up: PostgreSQL with one Redis, seen from outside of a real
//! process.
//!
//! Owns what P1 to P3 say then: who is signed in keeps working where nothing but the session is asked for; what needs
//! SQL is 503, at once or within a bound; nothing is half done. Each test prints how long the recovery took.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use tokio::task::JoinHandle;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::process::{Process, signal};
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::{Requests, Response};
use crate::support::server::Stores;
use crate::support::wait::{stopwatch, until};

/// The longest that a request may wait for SQL: for its turn, and then for the answer.
const BOUND: Duration = Duration::from_secs(13);
/// The longest that a check may take which needs no SQL, on a busy machine.
const CHECK_BOUND: Duration = Duration::from_secs(2);
/// Longer than the lease of the store: what is trusted after that is trusted because Redis stands alone.
const LONG: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A process on one Redis and a PostgreSQL behind a proxy, and people.
struct World {
    // First, so that it stops before its stores.
    server: Process,
    sql: Proxy,
    stores: Stores,
    /// Have records that were read by every worker.
    warm: Vec<SignedIn>,
    /// Of the first of them; are ended while SQL is sick.
    victims: Vec<SignedIn>,
    /// Has a session and no record.
    cold: SignedIn,
}

impl World {
    async fn start() -> Self {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, sql) = stores.through_proxy();
        let server = Process::start(&settings);
        let owner = server.anonymous().sign_up().await;
        let victims = vec![owner.sign_in_again().await, owner.sign_in_again().await];
        let cold = owner.sign_in_again().await;
        let warm = vec![owner, server.anonymous().sign_up().await, server.anonymous().sign_up().await];
        for person in warm.iter().chain(&victims) {
            for _ in 0..4 {
                assert_eq!(person.copy_at(&server.url()).get("/auth/forward").await.status, 200);
            }
        }
        // As many connections to SQL as there can be, so that a silence later catches everybody on one of them.
        let busy = (0..16).map(|_| warm[0].me());
        assert!(futures_util::future::join_all(busy).await.iter().all(|answer| answer.status == 200));
        Self { server, sql, stores, warm, victims, cold }
    }

    fn owner(&self) -> &SignedIn {
        &self.warm[0]
    }

    /// A connection of somebody else, who takes what they take.
    fn intruder(&self, sql: &str) -> PgConnection {
        let Database::Postgres(database) = &self.stores.database else { panic!("PostgreSQL was asked for") };
        let mut connection = database.connect();
        connection.batch_execute(sql).expect("the intruder gets in");
        connection
    }

    /// From now on somebody who is signed in asks all the time.
    fn watch(&self) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let people: Vec<_> = self.warm.iter().map(|person| person.copy_at(&self.server.url())).collect();
        let stopped = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let (mut asked, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::SeqCst) {
                for person in &people {
                    let took = stopwatch();
                    let answer = person.get("/auth/forward").await;
                    longest = longest.max(took());
                    assert_eq!(answer.status, 200, "check {asked}: {answer}");
                    asked += 1;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (asked, longest)
        });
        Watch { stop, asking }
    }

    /// What changes something is refused, honestly and within a bound; so is a check without a record, if `reads` are.
    async fn assert_refused(&self, row: &str, reads: bool) {
        let stranger = self.server.anonymous();
        let took = stopwatch();
        let (owner, first) = (self.owner(), &self.victims[0].session_id);
        let (revoked, signed_in, registered, me, list, cold) = tokio::join!(
            owner.end_session(first),
            stranger.login(&owner.email, PASSWORD),
            stranger.register("newcomer@example.org"),
            owner.me(),
            self.warm[1].get("/sessions"),
            self.cold.get("/auth/forward"),
        );
        let took = took();
        for (what, answer) in [("revoke", revoked), ("sign in", signed_in), ("register", registered)] {
            assert_honest(&answer, &format!("{row}: {what}"));
        }
        for (what, answer) in [("/me", me), ("/sessions", list), ("a check", cold)] {
            if reads {
                assert_honest(&answer, &format!("{row}: {what}"));
            } else {
                assert_eq!(answer.status, 200, "{row}: {what}: {answer}");
            }
        }
        assert!(took < BOUND, "{row}: {took:?}");
        println!("{row}: refused within {took:?}");
    }

    /// Waits until everything works, while nothing may be worse than 503. Then: nobody lost, nothing half done.
    async fn assert_recovers(&self, row: &str) {
        let took = stopwatch();
        until("SQL is used again", PATIENCE, async || {
            let owner = self.owner();
            let login = self.server.anonymous().login(&owner.email, PASSWORD).await;
            let mut statuses = vec![login.status, self.cold.get("/auth/forward").await.status];
            for person in &self.warm {
                statuses.push(person.me().await.status);
            }
            assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{row}: {statuses:?}");
            statuses.iter().all(|status| *status == 200)
        })
        .await;
        println!("recovery: {row}: {:?}", took());
        self.assert_whole(row).await;
        for victim in &self.victims {
            until("a revocation is confirmed", PATIENCE, async || {
                let status = self.owner().end_session(&victim.session_id).await.status;
                assert!([204, 503].contains(&status), "{row}: {status}");
                status == 204
            })
            .await;
            for _ in 0..4 {
                assert_eq!(victim.copy_at(&self.server.url()).get("/auth/forward").await.status, 401, "{row}");
            }
        }
        println!("recovery: {row}: revocations {:?}", took());
        self.assert_whole(row).await;
    }

    /// Each session has its sign-in, each end its revocation, and everything that was ended is confirmed.
    async fn assert_whole(&self, row: &str) {
        let database = &self.stores.database;
        let settled = async || database.count("pending_invalidations", "1 = 1") == 0;
        until("revocations are confirmed", PATIENCE, settled).await;
        let lines = |event: &str| database.count("audit", &format!("event = '{event}'"));
        assert_eq!(database.count("sessions", "1 = 1"), lines("authn_login_success"), "{row}");
        assert_eq!(database.count("sessions", "ended_at IS NOT NULL"), lines("session_revoked"), "{row}");
        assert_eq!(database.count("users", "1 = 1"), lines("user_created"), "{row}");
        for victim in &self.victims {
            let ended = format!("id = '{}' AND ended_at IS NOT NULL", victim.session_id);
            let expected = if database.count("sessions", &ended) == 1 { 401 } else { 200 };
            for _ in 0..4 {
                let status = victim.copy_at(&self.server.url()).get("/auth/forward").await.status;
                assert_eq!(status, expected, "{row}: a session that is neither dead nor alive");
            }
        }
    }
}

/// Somebody who asks all the time.
struct Watch {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl Watch {
    async fn finish(self, row: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let (asked, longest) = self.asking.await.unwrap_or_else(|error| panic!("{row}: {error}"));
        println!("{row}: {asked} checks of people who are signed in were answered 200, the slowest in {longest:?}");
        assert!(asked > 20 && longest < CHECK_BOUND, "{row}: {asked} checks, {longest:?}");
    }
}

/// 503: come back later, and the cookie is left alone.
fn assert_honest(answer: &Response, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer}");
    assert!(answer.header("retry-after").is_some(), "{what}: {answer}");
    assert!(answer.set_cookies().is_empty(), "{what}: {answer}");
}

#[tokio::test]
async fn sql_stopped() {
    let (row, world) = ("SQL stopped", World::start().await);
    let watch = world.watch();
    world.sql.refuse();
    world.sql.cut();
    world.assert_refused(row, true).await;
    tokio::time::sleep(LONG).await;
    world.assert_refused(row, true).await;
    world.sql.pass();
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// A connection to Redis that is lost while SQL is away is made anew: it leads to the very process that SQL has named.
/// Nobody who is signed in notices, not even the one whose question was lost with it.
#[tokio::test]
async fn redis_is_reached_anew_while_sql_is_stopped() {
    let (row, world) = ("SQL stopped, Redis lost", World::start().await);
    let watch = world.watch();
    world.sql.refuse();
    world.sql.cut();
    for _ in 0..3 {
        // Longer than a connection has to live for its loss to count for none of Redis' own.
        tokio::time::sleep(LONG / 2).await;
        let killed: usize = world.stores.redis().cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert!(killed > 0, "{row}");
    }
    tokio::time::sleep(LONG).await;
    world.assert_refused(row, true).await;
    world.sql.pass();
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// Connections stay open, and nothing comes back: a frozen machine, or a network that swallows.
#[tokio::test]
async fn sql_silent() {
    let (row, world) = ("SQL silent", World::start().await);
    let watch = world.watch();
    world.sql.black_hole();
    world.assert_refused(row, true).await;
    world.sql.pass();
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

#[tokio::test]
async fn sql_slow() {
    let (row, world) = ("SQL slow", World::start().await);
    let watch = world.watch();
    let soaking = std::env::var_os("SESSIOND_TEST_SOAK").is_some();
    let delay = Duration::from_millis(if soaking { 100 } else { 15 });
    world.sql.delay(delay);
    let took = stopwatch();
    world.assert_recovers("SQL slow: while it is").await;
    println!("{row}: everything was answered with {:?} to and fro, all in all in {:?}", 2 * delay, took());
    world.sql.pass();
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// Somebody holds the rows: only who needs those waits, and not for ever.
#[tokio::test]
async fn sql_rows_locked() {
    let (row, world) = ("SQL rows locked", World::start().await);
    let watch = world.watch();
    let (owner, victim) = (world.owner(), &world.victims[0]);
    let rows = format!(
        "BEGIN; SELECT 1 FROM users WHERE id = '{}' FOR UPDATE; SELECT 1 FROM sessions WHERE id = '{}' FOR UPDATE",
        owner.user_id, victim.session_id
    );
    let intruder = world.intruder(&rows);
    let (stranger, bystander) = (world.server.anonymous(), &world.warm[1]);
    let (took, elsewhere) = (stopwatch(), world.server.anonymous());
    let (revoked, signed_in, other, me) = tokio::join!(
        owner.end_session(&victim.session_id),
        stranger.login(&owner.email, PASSWORD),
        elsewhere.login(&bystander.email, PASSWORD),
        owner.me(),
    );
    assert_honest(&revoked, "a row that is locked: revoke");
    assert_honest(&signed_in, "a row that is locked: sign in");
    assert!(took() < BOUND, "{:?}", took());
    println!("{row}: refused within {:?}", took());
    assert_eq!((other.status, me.status), (200, 200), "others do not wait");
    drop(intruder);
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// A database that has become read-only reads on. The setting that any role can be given is overruled by the session
/// (invariant 9); so the refusal is made by hand, with the state that PostgreSQL would answer.
#[tokio::test]
async fn sql_read_only() {
    let (row, world) = ("SQL read-only", World::start().await);
    let database = &world.stores.database;
    let name = database.value("SELECT current_database()::text AS value");
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    world.sql.cut();
    world.assert_recovers("SQL read-only by a default that is overruled").await;

    let world = World::start().await;
    let database = &world.stores.database;
    let watch = world.watch();
    let tables = ["users", "sessions", "audit", "pending_invalidations", "live_store"];
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'cannot execute in a read-only \
         transaction' USING ERRCODE = '25006'; END $$",
    );
    for table in tables {
        database.execute(&format!(
            "CREATE TRIGGER refused BEFORE INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION refuse()"
        ));
    }
    world.assert_refused(row, false).await;
    for table in tables {
        database.execute(&format!("DROP TRIGGER refused ON {table}"));
    }
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// Connections that the server has closed are noticed however often they are used.
#[tokio::test]
async fn sql_connections_closed_under_steady_requests() {
    let (row, world) = ("SQL connections closed, requests every 20 ms", World::start().await);
    for _ in 0..3 {
        world.sql.cut();
        let took = stopwatch();
        // Sixteen connections at most: each fails one request, and is not seen again.
        let mut refused = 0;
        let mut in_a_row = 0;
        while in_a_row < 50 {
            let status = world.owner().me().await.status;
            assert!([200, 503].contains(&status), "{row}: {status}");
            in_a_row = if status == 200 { in_a_row + 1 } else { 0 };
            refused += usize::from(status == 503);
            assert!(refused <= 16, "{row}: a connection that is closed is used again and again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("{row}: {refused} requests refused, fifty served after {:?}", took());
    }
    world.assert_recovers(row).await;
}

/// All connections wait for a lock, and many more requests for a connection.
#[tokio::test]
async fn sql_tables_locked_and_the_pool_exhausted() {
    let (row, world) = ("SQL tables locked, pool exhausted", World::start().await);
    let clients: Vec<_> = (0..80).map(|number| world.warm[number % 3].copy_at(&world.server.url())).collect();
    let watch = world.watch();
    let intruder = world.intruder("BEGIN; LOCK TABLE users, sessions IN ACCESS EXCLUSIVE MODE");
    let took = stopwatch();
    let mut waiting = Vec::new();
    for (number, person) in clients.into_iter().enumerate() {
        waiting.push(tokio::spawn(async move {
            match number % 4 {
                0 => person.get("/sessions").await,
                1 => person.rename(Some("Ana")).await,
                _ => person.me().await,
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.assert_refused(row, true).await;
    for request in waiting {
        assert_honest(&request.await.expect("a request"), row);
    }
    assert!(took() < 2 * BOUND, "{:?}", took());
    println!("{row}: 86 requests were refused within {:?}", took());
    world.assert_refused(row, true).await;
    drop(intruder);
    world.assert_recovers(row).await;
    watch.finish(row).await;
}

/// A database that never answers again does not keep the program from ending.
#[tokio::test]
async fn sql_silent_does_not_keep_the_program_from_stopping() {
    let mut world = World::start().await;
    // By then every background task has a connection, which it asks again and again.
    tokio::time::sleep(LONG / 2).await;
    world.sql.black_hole();
    tokio::time::sleep(LONG / 2).await;
    let took = stopwatch();
    let pid = world.server.pid();
    signal("TERM", pid);
    until("the process ends", PATIENCE, async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    })
    .await;
    println!("SQL silent: stopped in order after {:?}", took());
    world.server.kill();
}
