//! What is read before a lock counts only as it is under the lock: two first sign-ins at once, and a token that is renewed
//! while the times of its session are mended.
//!
//! Owns the window: the lock is the test's own, so that it is open in every run. On PostgreSQL: on SQLite a transaction is
//! alone from its first statement on.
#![cfg(feature = "postgres")]

use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use sessiond::domain::{Client, SystemRandom, Token, UserId};

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::server::{Backend, TestServer};
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CURL: &str = "curl/8.5.0";

/// Takes the lock on somebody's row, in a transaction of the test's own.
fn hold(server: &TestServer, who: &SignedIn) -> PgConnection {
    let Database::Postgres(database) = &server.stores.database else { panic!("PostgreSQL was asked for") };
    let mut window = database.connect();
    let sql = format!("BEGIN; SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", who.user_id);
    window.batch_execute(&sql).expect("the lock");
    window
}

/// Until so many transactions wait for a lock.
async fn until_they_wait(server: &TestServer, how_many: usize) {
    let waiting = "SELECT CAST(count(*) AS TEXT) AS value FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let all_wait = async || server.stores.database.value(waiting) == how_many.to_string();
    until("they wait for the lock", PATIENCE, all_wait).await;
}

/// Nobody's first sign-in is strange. Of two at once from different devices one is the first, and the other is not.
#[tokio::test]
async fn of_two_first_sign_ins_at_once_the_second_is_compared_with_the_first() {
    let server = TestServer::with(Backend::Production, &[("SESSIOND_RISK_WEIGHTS", "new_device=100")]).await;
    let person = server.signed_in().await;
    let database = &server.stores.database;
    database.execute(&format!("DELETE FROM sessions WHERE id = '{}'", person.session_id));
    let alerts = || database.count("alerts", &format!("user_id = '{}'", person.user_id));
    let (app, user) = (server.node().app().clone(), UserId::parse(&person.user_id).expect("an id"));
    let from = |device: &str| Client { user_agent: Some(device.to_owned()), ..client() };
    let (firefox, curl) = (from(FIREFOX), from(CURL));
    let mut window = hold(&server, &person);
    let (one, other, ()) = tokio::join!(
        app.sign_in.issue(user, false, &[], &firefox),
        app.sign_in.issue(user, false, &[], &curl),
        async {
            until_they_wait(&server, 2).await;
            window.batch_execute("COMMIT").expect("the lock is free");
        }
    );
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(alerts(), 1, "the second one is on a device that the first one was not on");
}

/// The record of the token that a session has when its times are mended is outdated with them, whichever token that is.
#[tokio::test]
async fn a_token_that_is_renewed_while_times_are_mended_loses_its_record() {
    let server = TestServer::start(Backend::Production).await;
    let owner = server.signed_in().await;
    let database = &server.stores.database;
    let day = 24 * 60 * 60 * 1_000;
    let row = format!("WHERE id = '{}'", owner.session_id);
    database.execute(&format!("UPDATE sessions SET authenticated_at = authenticated_at + {day} {row}"));
    let mut window = hold(&server, &owner);
    // When the node next looks for what is to be mended.
    server.clock.advance(Duration::from_secs(601));
    until_they_wait(&server, 1).await;
    // A renewal by whoever has the lock, and the record that comes of it.
    let hash = Token::generate(&SystemRandom).hash();
    let digits: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let renewal = format!("UPDATE sessions SET token_hash = decode('{digits}', 'hex') {row}");
    window.batch_execute(&renewal).expect("a renewal");
    let (redis, key) = (server.stores.redis(), format!("session:{}", hash.to_base64url()));
    redis.cli::<()>(&["SET", &key, "a record that tells of a proof to come", "PX", "600000"]);
    window.batch_execute("COMMIT").expect("the lock is free");
    until("the record is gone", PATIENCE, async || redis.cli::<usize>(&["EXISTS", &key]) == 0).await;
    let mended = format!("id = '{}' AND authenticated_at = 0", owner.session_id);
    assert_eq!(database.count("sessions", &mended), 1, "and the proof counts no more");
}
