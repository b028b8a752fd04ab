//! One slow revoke: it waits for a lock in SQL, or for Redis, and nobody else does.
//!
//! Owns the proof that checks, fills, sign-ins and other revocations pass it by.
#![cfg(feature = "postgres")]

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{RunQueryDsl as _, sql_query};
use sessiond::domain::Token;
use tokio::task::JoinHandle;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::proxy::{Proxy, contains};
use crate::support::redis::PrivateRedis;
use crate::support::requests::{Requests, Response};
use crate::support::server::{Stores, TestServer};
use crate::support::wait::{stopwatch, until};

/// How long the others go on beside it.
const BESIDE: Duration = Duration::from_millis(2_400);
/// Who waits behind the slow one waits longer.
const BOUND: Duration = Duration::from_millis(1_200);

/// A server behind a proxy to Redis, and somebody with a session to be ended.
async fn scene() -> (TestServer, Proxy, SignedIn, SignedIn) {
    let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
    let proxy = Proxy::start(stores.redis().address());
    let settings = stores.settings().with("REDIS_URL", &proxy.in_url(&stores.redis().url()));
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    let victim = server.issue(&owner).await;
    assert!(owner.is_signed_in().await && victim.is_signed_in().await, "both have records");
    (server, proxy, owner, victim)
}

fn revoke(owner: &SignedIn, victim: &SignedIn, server: &TestServer) -> JoinHandle<u16> {
    let (owner, id) = (owner.copy_at(&server.url()), victim.session_id.clone());
    tokio::spawn(async move { owner.end_session(&id).await.status })
}

/// How long the slowest of each kind took.
#[derive(Clone, Copy, Debug, Default)]
struct Slowest {
    check: Duration,
    first_check: Duration,
    sign_in: Duration,
    revocation: Duration,
    rounds: usize,
}

impl Slowest {
    fn or(self, other: Self) -> Self {
        Self {
            check: self.check.max(other.check),
            first_check: self.first_check.max(other.first_check),
            sign_in: self.sign_in.max(other.sign_in),
            revocation: self.revocation.max(other.revocation),
            rounds: self.rounds + other.rounds,
        }
    }

    fn assert_within(self, bound: Duration) {
        let slowest = self.check.max(self.first_check).max(self.sign_in).max(self.revocation);
        assert!(slowest < bound && self.rounds > 0, "{self:?}");
    }
}

async fn timed(slowest: &mut Duration, status: u16, work: impl Future<Output = Response>) {
    let watch = stopwatch();
    work.await.assert_status(status);
    *slowest = watch().max(*slowest);
}

/// What one of the others does meanwhile, over and over.
async fn goes_on(server: &TestServer, person: &SignedIn) -> Slowest {
    let (watch, mut slowest) = (stopwatch(), Slowest::default());
    while watch() < BESIDE {
        let issuing = stopwatch();
        let fresh = server.issue(person).await;
        slowest.sign_in = issuing().max(slowest.sign_in);
        timed(&mut slowest.check, 200, person.get("/auth/forward")).await;
        timed(&mut slowest.first_check, 200, fresh.get("/auth/forward")).await;
        timed(&mut slowest.sign_in, 200, server.anonymous().login(&person.email, PASSWORD)).await;
        timed(&mut slowest.revocation, 204, person.end_session(&fresh.session_id)).await;
        slowest.rounds += 1;
    }
    slowest
}

async fn all_go_on(server: &TestServer, people: &[SignedIn; 3]) -> Slowest {
    let [a, b, c] = people;
    let (a, b, c) = tokio::join!(goes_on(server, a), goes_on(server, b), goes_on(server, c));
    a.or(b).or(c)
}

/// It is over everywhere as soon as it is answered 2xx.
async fn assert_revoked(owner: &SignedIn, victim: &SignedIn) {
    until("the revocation is answered", Duration::from_secs(10), async || {
        owner.end_session(&victim.session_id).await.status == 204
    })
    .await;
    assert!(!victim.is_signed_in().await && owner.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_waits_for_a_lock_in_sql_keeps_nobody_waiting() {
    let (server, _proxy, owner, victim) = scene().await;
    let people = [server.signed_in().await, server.signed_in().await, server.signed_in().await];
    println!("before: {:?}", all_go_on(&server, &people).await);
    let Database::Postgres(database) = &server.stores.database else { panic!("PostgreSQL") };
    let mut holder = database.connect();
    let lock = format!("SELECT 1 FROM sessions WHERE id = '{}' FOR UPDATE", victim.session_id);
    holder.batch_execute("BEGIN").expect("a transaction");
    sql_query(lock).execute(&mut holder).expect("the row is locked");
    let slow = revoke(&owner, &victim, &server);
    let waiting = "SELECT CAST(count(*) AS TEXT) AS value FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the revocation waits", Duration::from_secs(5), async || server.stores.database.value(waiting) != "0").await;
    let meanwhile = all_go_on(&server, &people).await;
    println!("beside a revocation that waits for a lock: {meanwhile:?}");
    meanwhile.assert_within(BOUND);
    assert_eq!(victim.get("/auth/forward").await.status, 200, "it has not been ended yet");
    holder.batch_execute("COMMIT").expect("the lock is given back");
    println!("the revocation itself was answered {}", slow.await.expect("an answer"));
    assert_revoked(&owner, &victim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_waits_for_redis_keeps_nobody_waiting() {
    let (server, proxy, owner, victim) = scene().await;
    let people = [server.signed_in().await, server.signed_in().await, server.signed_in().await];
    println!("before: {:?}", all_go_on(&server, &people).await);
    let hash = Token::parse(&victim.token()).expect("a token").hash();
    let hold = proxy.hold(contains(hash.to_base64url()));
    let slow = revoke(&owner, &victim, &server);
    hold.caught().await;
    let meanwhile = all_go_on(&server, &people).await;
    println!("beside a revocation whose DEL does not arrive ({} times): {meanwhile:?}", hold.count());
    meanwhile.assert_within(BOUND);
    println!("the revocation itself was answered {}", slow.await.expect("an answer"));
    hold.release();
    assert_revoked(&owner, &victim).await;
}
