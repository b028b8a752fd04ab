//! SQLite alone, and somebody else in the file: another process that holds the lock of all writers, and a database
//! that refuses writes.
//!
//! Owns what P1 to P3 say of the embedded default then: who is signed in stays so and can read; what writes is 503 and
//! has not happened. Each test prints how long the recovery took.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::requests::{Requests, Response};
use crate::support::server::Stores;
use crate::support::wait::{stopwatch, until};

const BOUND: Duration = Duration::from_secs(13);
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    server: Process,
    stores: Stores,
    owner: SignedIn,
    victim: SignedIn,
}

impl World {
    async fn start() -> Self {
        let stores = Stores::of(Database::sqlite(), None);
        let server = Process::start(&stores.settings());
        let owner = server.anonymous().sign_up().await;
        let victim = owner.sign_in_again().await;
        Self { server, stores, owner, victim }
    }

    /// Another process' connection, as far as SQLite can tell: the server is a process of its own.
    fn intruder(&self) -> SqliteConnection {
        let path = self.stores.database.url().replace("sqlite://", "");
        let mut connection = SqliteConnection::establish(&path).expect("SQLite opens");
        connection.batch_execute("PRAGMA busy_timeout = 5000").expect("the pragma is known");
        connection
    }

    async fn assert_writes_refused(&self, row: &str) {
        let (stranger, took) = (self.server.anonymous(), stopwatch());
        let (revoked, signed_in, renamed, checked, me, list) = tokio::join!(
            self.owner.end_session(&self.victim.session_id),
            stranger.login(&self.owner.email, PASSWORD),
            self.owner.rename(Some("Ana")),
            self.victim.get("/auth/forward"),
            self.owner.me(),
            self.owner.get("/sessions"),
        );
        for (what, answer) in [("revoke", revoked), ("sign in", signed_in), ("rename", renamed)] {
            assert_honest(&answer, &format!("{row}: {what}"));
        }
        for (what, answer) in [("a check", checked), ("/me", me), ("/sessions", list)] {
            assert_eq!(answer.status, 200, "{row}: {what} never waits for a writer: {answer}");
        }
        println!("{row}: refused within {:?}", took());
        assert!(took() < BOUND, "{row}: {:?}", took());
    }

    async fn assert_recovers(&self, row: &str) {
        let database = &self.stores.database;
        let (sessions, ended) =
            (database.count("sessions", "1 = 1"), database.count("sessions", "ended_at IS NOT NULL"));
        assert_eq!((sessions, ended), (2, 0), "{row}: what was refused has not happened");
        let took = stopwatch();
        until("SQLite is used again", PATIENCE, async || {
            let login = self.server.anonymous().login(&self.owner.email, PASSWORD).await.status;
            assert!([200, 503].contains(&login), "{row}: {login}");
            login == 200
        })
        .await;
        println!("recovery: {row}: {:?}", took());
        assert!(self.victim.is_signed_in().await, "{row}: nobody was signed out");
        self.owner.end_session(&self.victim.session_id).await.assert_status(204);
        assert!(!self.victim.is_signed_in().await && self.owner.is_signed_in().await);
        let lines = |event: &str| database.count("audit", &format!("event = '{event}'"));
        assert_eq!(database.count("sessions", "1 = 1"), lines("authn_login_success"), "{row}");
        assert_eq!(database.count("sessions", "ended_at IS NOT NULL"), lines("session_revoked"), "{row}");
    }
}

fn assert_honest(answer: &Response, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer}");
    assert!(answer.header("retry-after").is_some(), "{what}: {answer}");
    assert!(answer.set_cookies().is_empty(), "{what}: {answer}");
}

#[tokio::test]
async fn sqlite_locked_by_another_process() {
    let world = World::start().await;
    let row = "SQLite locked";
    let mut intruder = world.intruder();
    intruder.batch_execute("BEGIN EXCLUSIVE").expect("the lock of all writers");
    world.assert_writes_refused(row).await;
    intruder.batch_execute("ROLLBACK").expect("the lock is given back");
    world.assert_recovers(row).await;
}

/// File permissions do not hinder root, and a file that is open stays writable: so the refusal is made in the database.
#[tokio::test]
async fn sqlite_refuses_writes() {
    let (row, world) = ("SQLite read-only", World::start().await);
    let refused = [("users", "UPDATE"), ("sessions", "UPDATE"), ("sessions", "INSERT"), ("audit", "INSERT")];
    for (table, what) in refused {
        world
            .intruder()
            .batch_execute(&format!(
                "CREATE TRIGGER refused_{table}_{what} BEFORE {what} ON {table} BEGIN \
             SELECT RAISE(ABORT, 'attempt to write a readonly database'); END"
            ))
            .expect("a trigger");
    }
    world.assert_writes_refused(row).await;
    for (table, what) in refused {
        world.intruder().batch_execute(&format!("DROP TRIGGER refused_{table}_{what}")).expect("no trigger");
    }
    world.assert_recovers(row).await;
}
