//! Last-seen times when SQL was away: whoever was in use meanwhile is not taken for somebody who rested.
//!
//! Owns what the issue says of overdue last-seen times, and the idle deadlines after an outage that was longer than an
//! eighth of the idle timeout.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sessiond::domain::{Clock, UserId};

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::node::Node;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::server::{Stores, TestServer};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(24);
/// What the ledger may lag: an eighth of that.
const LAG: Duration = Duration::from_secs(3);

/// A server whose way to SQL can be cut, and people who all have records.
struct Office {
    server: TestServer,
    sql: Proxy,
    people: Vec<SignedIn>,
}

impl Office {
    async fn open(people: usize) -> Self {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, sql) = stores.through_proxy();
        let idle = format!("{}s", IDLE.as_secs());
        let server = TestServer::on(
            stores,
            settings.with("SESSIOND_IDLE_TIMEOUT", &idle).with("SESSIOND_MAX_SESSIONS", "10000"),
        )
        .await;
        let owner = server.signed_in().await;
        let mut office = Self { server, sql, people: vec![owner] };
        for _ in 1..people {
            let person = office.server.issue(&office.people[0]).await;
            office.people.push(person);
        }
        office.assert_all(200, "before anything").await;
        let told =
            || office.server.stores.database.count("sessions", "last_seen_at > created_at") == office.people.len();
        // The first use is told at once, so that the next one is only due after half of the lag.
        until("the first uses are written", PATIENCE, async || {
            office.server.clock.advance(2 * SECOND);
            office.assert_all(200, "in use").await;
            told()
        })
        .await;
        office
    }

    async fn assert_all(&self, status: u16, when: &str) {
        for person in &self.people {
            let answer = person.get("/auth/forward").await;
            assert_eq!(answer.status, status, "{when}: {answer}");
        }
    }

    /// Everybody is at work while SQL is away, for longer than the ledger may lag.
    async fn work_without_sql(&self) {
        self.sql.refuse();
        self.sql.cut();
        let away = stopwatch();
        while away() < LAG + SECOND {
            self.server.clock.advance(5 * SECOND);
            self.assert_all(200, "while SQL is away").await;
            tokio::time::sleep(SECOND).await;
        }
    }

    fn now(&self) -> i64 {
        self.server.clock.now().ms()
    }

    /// How many the ledger knows to have been in use since then.
    fn known_since(&self, ms: i64) -> usize {
        self.server.stores.database.count("sessions", &format!("last_seen_at >= {ms}"))
    }
}

#[tokio::test]
async fn overdue_last_seen_times_are_the_first_thing_written_when_sql_is_back() {
    let office = Office::open(40).await;
    let user = UserId::parse(&office.people[0].user_id).expect("a user id");
    let (stop, since) = (Arc::new(AtomicBool::new(false)), office.now());
    office.work_without_sql().await;
    // Whoever wants to write something else tries all the time: more of them than there are connections.
    let others: Vec<_> = (0..24)
        .map(|_| {
            let (app, stop) = (office.server.node().app().clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match app.sign_in.issue(user, false, &[], &client()).await {
                        Ok(issued) => written.push(issued.session.id.to_string()),
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
                written
            })
        })
        .collect();
    tokio::time::sleep(SECOND).await;
    office.sql.pass();
    let back = stopwatch();
    until("everybody is known to be in use", PATIENCE, async || office.known_since(since) >= office.people.len()).await;
    println!("recovery: SQL away for longer than last-seen may lag: overdue times were written after {:?}", back());
    tokio::time::sleep(SECOND / 2).await;
    stop.store(true, Ordering::SeqCst);
    let mut written = Vec::new();
    for other in others {
        written.extend(other.await.expect("no panic"));
    }
    assert!(!written.is_empty(), "SQL is back for all");
    // PostgreSQL numbers transactions in the order in which they begin to write.
    let written_in = |which: &str, ids: Vec<&String>| -> i64 {
        let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
        let sql =
            format!("SELECT {which}(xmin::text::bigint)::text AS value FROM sessions WHERE id IN ({})", ids.join(","));
        office.server.stores.database.value(&sql).parse().expect("a number")
    };
    let told = written_in("max", office.people.iter().map(|person| &person.session_id).collect());
    let first = written_in("min", written.iter().collect());
    println!(
        "{} overdue times by transaction {told}, {} other writes from {first} on",
        office.people.len(),
        written.len()
    );
    assert!(told < first, "something else was written before them");
}

/// P2 and P7 after the outage: nobody who was at work is out, also where Redis is lost at that very moment and another
/// node has to take the ledger's word; and who rests after that is out in time.
#[tokio::test]
async fn idle_deadlines_hold_after_sql_was_away_for_longer_than_last_seen_may_lag() {
    let office = Office::open(12).await;
    let other: Node = office.server.another_node().await;
    let rested = office.people.last().expect("somebody").copy_at(&other.url());
    let since = office.now();
    let (working, resting) = office.people.split_at(11);
    assert_eq!(resting.len(), 1);
    let office = Office { people: working.iter().map(|one| one.copy_at(&office.server.url())).collect(), ..office };
    office.work_without_sql().await;
    // The session at rest is over by now on any machine; the others were used a moment ago.
    office.server.clock.advance(LAG);
    assert!(office.now() - since > 27_000, "{} ms", office.now() - since);
    office.sql.pass();
    until("everybody is known to be in use", PATIENCE, async || office.known_since(since) >= office.people.len()).await;
    let _ok: String = office.server.stores.redis().cli(&["FLUSHALL"]);
    for person in &office.people {
        let there = person.copy_at(&other.url());
        assert_eq!(there.get("/auth/forward").await.status, 200, "at work until a moment ago, and out");
    }
    assert_eq!(rested.get("/auth/forward").await.status, 401, "rested");
    // A second before the end everybody is in; the first half was asked, so it is used, and the other half is not.
    let (below, above) = office.people.split_at(5);
    office.server.clock.advance(IDLE - 2 * SECOND);
    for person in below {
        assert_eq!(person.get("/auth/forward").await.status, 200, "below");
    }
    office.server.clock.advance(LAG + 2 * SECOND);
    for person in above {
        for url in [office.server.url(), other.url()] {
            assert_eq!(person.copy_at(&url).get("/auth/forward").await.status, 401, "above");
        }
    }
    for person in below {
        assert_eq!(person.get("/auth/forward").await.status, 200, "used a moment ago");
    }
}
