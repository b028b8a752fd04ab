//! Uses of a session on their way into the ledger: between the row that was read and the note that was written, and when
//! a write has failed.
//!
//! Owns P2 and P7 there: who was in use is not taken for somebody who rested.

use std::sync::Arc;

use sessiond::domain::{Clock, MovableClock, Token};
use sessiond::service::{Activity, App};

use crate::support::crowd;
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::proxy::{Proxy, contains};
use crate::support::wait::until;

use super::{IP, LONG_LEASE, MINUTE, PATIENCE, SECOND, Scene, a_moment, asked, command_line, node};

async fn use_of(app: &App, token: &Token) -> bool {
    app.check.authenticate(token, IP, Activity::Active).await.expect("an answer").is_some()
}

/// What the ledger knows of the last use, after the sign-in.
fn known_after(database: &Database) -> i64 {
    let sql = "SELECT CAST(max(last_seen_at - created_at) AS TEXT) AS value FROM sessions";
    database.value(sql).parse().expect("a number")
}

/// Without Redis a use is in the row or in this node's notes. A check that has read the row before the use was in it, and
/// asks the notes after it has left them, looks at the row again.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_goes_from_the_notes_into_the_row_between_two_looks_counts() {
    let database = Database::postgres();
    let Database::Postgres(private) = &database else { panic!("PostgreSQL was asked for") };
    let (sql, clock) = (Proxy::start(private.address()), Arc::new(MovableClock::default()));
    drop(command_line(&database).await);
    let app = node(&sql.in_url(&database.url()), None, LONG_LEASE, &clock);
    let user = crowd::user(app.core.ledger(), clock.now()).await;
    let issued = app.sign_in.issue(user, false, &[], &client()).await.expect("a session");
    let (token, session) = (issued.token, issued.session.id.to_string());
    assert!(use_of(&app, &token).await);
    let background = app.serve();
    until("nothing waits to be written", PATIENCE, async || sql.accepted() > 0 && known_after(&database) >= 0).await;
    // A use after 29 of 30 minutes, which is on its way into the row.
    clock.advance(29 * MINUTE);
    let writing = sql.hold_first(1, contains(session.as_bytes()));
    assert!(use_of(&app, &token).await);
    writing.caught().await;
    // Two minutes later: the row says 31 minutes, and the notes say two.
    clock.advance(2 * MINUTE);
    let reading = sql.hold_answers(1, contains(token.hash().as_bytes().as_slice()));
    let check = asked(&app, &token);
    reading.caught().await;
    writing.release();
    until("the row knows", PATIENCE, async || known_after(&database) >= 29 * 60_000).await;
    // And the notes know no more.
    a_moment().await;
    reading.release();
    assert!(check.await.expect("an answer"), "it was used two minutes ago");
    background.stop().await;
}

/// A use whose write failed is written when the ledger is back, although nobody uses the session again.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_whose_write_failed_is_written_when_the_ledger_is_back() {
    let scene = Scene::open().await;
    let token = scene.issue_on_record().await;
    scene.clock.advance(5 * MINUTE);
    assert!(use_of(&scene.slow, &token).await);
    scene.sql.refuse();
    scene.sql.cut();
    let background = scene.slow.serve();
    // The first use is told after a second; it is tried at least once while nobody listens.
    tokio::time::sleep(2 * SECOND).await;
    assert!(known_after(&scene.database) < 1_000, "nothing can be written");
    scene.sql.pass();
    until("the row knows", PATIENCE, async || known_after(&scene.database) >= 5 * 60_000).await;
    background.stop().await;
}

/// While a use is overdue, because the ledger was away, nothing else is written before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_redis_did_not_take_is_told_to_the_ledger_at_once() {
    let scene = Scene::open().await;
    let token = scene.issue_on_record().await;
    scene.clock.advance(5 * MINUTE);
    // The first use is told soon in any case; what follows would wait for half of the ledger's lag.
    assert!(use_of(&scene.slow, &token).await);
    let background = scene.slow.serve();
    until("the first use is told", PATIENCE, async || known_after(&scene.database) >= 5 * 60_000).await;
    scene.clock.advance(5 * MINUTE);
    // Redis answers the read, and takes no write.
    scene.redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(use_of(&scene.slow, &token).await);
    until("the row knows", 5 * SECOND, async || known_after(&scene.database) >= 10 * 60_000).await;
    background.stop().await;
}

/// A use that makes the record is in it: another node, which asks before the ledger knows, goes by the record alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_makes_the_record_is_in_it() {
    let scene = Scene::open().await;
    let token = scene.issue().await;
    // A use after 29 of 30 minutes. Nobody writes it into the row here.
    scene.clock.advance(29 * MINUTE);
    assert!(use_of(&scene.slow, &token).await);
    scene.clock.advance(2 * MINUTE);
    assert_eq!(known_after(&scene.database), 0);
    assert!(use_of(&scene.fast, &token).await, "it was used two minutes ago");
}
