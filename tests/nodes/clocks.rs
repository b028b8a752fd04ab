//! Nodes whose clock is wrong, as libfaketime makes it: from the start, and by a jump while they run. Such a node answers
//! nobody and deletes nothing; the others go on, and so does it once its clock is right.
#![cfg(feature = "postgres")]

use std::time::Duration;

use serde_json::json;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until};
use crate::support::wall::Wall;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
/// SQL's clock, in milliseconds.
const SQL_NOW: &str = "SELECT CAST((extract(epoch FROM clock_timestamp()) * 1000)::bigint AS TEXT) AS value";
/// SQLite's clock is that of whoever asks: here, the test's.
const SQLITE_NOW: &str = "SELECT CAST(CAST(unixepoch('subsec') * 1000 AS INTEGER) AS TEXT) AS value";

fn now(database: &Database) -> i64 {
    let sql = if matches!(database, Database::Sqlite(_)) { SQLITE_NOW } else { SQL_NOW };
    database.value(sql).parse().expect("a time")
}

/// What a purge would take, and whatever stands there.
fn rows(database: &Database) -> [usize; 2] {
    // Lines about refusals come late.
    [database.count("sessions", "1 = 1"), database.count("audit", "event NOT LIKE 'login_%'")]
}

/// Every time in the ledger has passed.
fn assert_no_time_to_come(database: &Database, when: &str) {
    let now = now(database);
    for (table, column) in
        [("sessions", "last_seen_at"), ("sessions", "created_at"), ("sessions", "authenticated_at"), ("audit", "at")]
    {
        assert_eq!(database.count(table, &format!("{column} > {now}")), 0, "{when}: {table}.{column} is yet to come");
    }
}

async fn condition(node: &Process) -> (u16, String) {
    let ready = node.anonymous().get("/health/ready").await;
    (ready.status, ready.json()["clock"].as_str().unwrap_or_default().to_owned())
}

async fn until_clock(node: &Process, status: u16, says: &str) {
    let wanted = (status, says.to_owned());
    until(&format!("the clock is {says}"), PATIENCE, async || condition(node).await == wanted).await;
}

/// Nobody is answered: 503 with a time to come back, for those who are signed in and for those who are not.
async fn assert_answers_nobody(node: &Process, owner: &SignedIn, when: &str) {
    let here = owner.copy_at(&node.url());
    let answers = [
        ("/auth/forward", here.get("/auth/forward").await),
        ("/me", here.me().await),
        ("/sessions", here.get("/sessions").await),
        ("PATCH /me", here.rename(Some("Nobody")).await),
        ("DELETE /sessions", here.end_others().await),
        ("/logout", here.sign_out().await),
        ("/login", node.anonymous().login(&owner.email, PASSWORD).await),
        ("/register", node.anonymous().register("new@example.org").await),
        (
            "/reset",
            node.anonymous().post_json("/reset", &json!({ "token": owner.user_id, "password": PASSWORD })).await,
        ),
        ("/health/ready", node.anonymous().get("/health/ready").await),
    ];
    for (what, answer) in answers {
        if what == "/reset" && answer.status != 503 {
            continue;
        }
        assert_eq!(answer.status, 503, "{when}: {what}: {answer}");
        assert!(answer.header("retry-after").is_some(), "{when}: {what}: {answer}");
    }
    assert_eq!(node.anonymous().get("/health/live").await.status, 200, "{when}");
}

/// Two nodes on one PostgreSQL and one Redis; the clock of one of them is wrong.
#[tokio::test]
async fn a_node_whose_clock_is_wrong_answers_nobody_and_purges_nothing() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings().with("SESSIOND_AUDIT_RETENTION", "1d").with("SESSIOND_LAST_SEEN_RESOLUTION", "1s");
    let good = Process::start(&settings);
    let owner = good.anonymous().sign_up().await;
    let rested = owner.sign_in_again().await;
    let before = rows(&stores.database);
    // From the start on: housekeeping comes a second after that.
    let wall = Wall::showing("+500d");
    let bad = Process::start(&wall.of(&settings));
    assert_eq!(condition(&bad).await, (503, "failing".to_owned()));
    assert_answers_nobody(&bad, &owner, "from the start").await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(rows(&stores.database), before, "from the start: something was purged");
    for offset in ["+2h", "-2h", "+500d", "+45", "-500d"] {
        wall.show("+0");
        until_clock(&bad, 200, "ok").await;
        assert!(owner.copy_at(&bad.url()).is_signed_in().await, "{offset}: it serves again");
        let begun = stopwatch();
        wall.show(offset);
        // Nobody has to ask for its health: it finds out by itself.
        let refuses = async || owner.copy_at(&bad.url()).get("/auth/forward").await.status == 503;
        until("it answers nobody", PATIENCE, refuses).await;
        println!("{offset}: 503 after {:?}", begun());
        assert_eq!(condition(&bad).await, (503, "failing".to_owned()), "{offset}");
        assert_answers_nobody(&bad, &owner, offset).await;
        assert!(owner.is_signed_in().await && rested.is_signed_in().await, "{offset}: on the good node");
        assert_eq!(rows(&stores.database), before, "{offset}: something was purged");
        assert_no_time_to_come(&stores.database, offset);
    }
    assert!(bad.output().contains("ahead of the database's"), "it says so:\n{}", bad.output());
    wall.show("+0");
    until_clock(&bad, 200, "ok").await;
    let here = rested.copy_at(&bad.url());
    assert!(here.is_signed_in().await, "nobody is out because a clock was wrong");
    here.sign_out().await.assert_status(204);
    assert!(!rested.is_signed_in().await && owner.is_signed_in().await);
}

/// A node that is a little wrong judges by SQL's clock: no deadline is early or late by what it is wrong.
#[tokio::test]
async fn a_clock_that_is_a_little_wrong_changes_no_deadline() {
    let stores = Stores::new(Backend::Production);
    let settings = stores.settings().with("SESSIOND_IDLE_TIMEOUT", "4s").with("SESSIOND_LAST_SEEN_RESOLUTION", "1s");
    let [ahead, behind] = ["+1.5", "-1.5"].map(Wall::showing);
    let nodes = [Process::start(&ahead.of(&settings)), Process::start(&behind.of(&settings))];
    let owner = nodes[0].anonymous().sign_up().await;
    let sessions = [owner.sign_in_again().await, owner.copy_at(&nodes[1].url()).sign_in_again().await];
    for (node, name) in nodes.iter().zip(["ahead", "behind"]) {
        assert_eq!(condition(node).await, (200, "ok".to_owned()), "{name}");
    }
    assert_no_time_to_come(&stores.database, "a little wrong");
    let used = stopwatch();
    for session in &sessions {
        assert_eq!(session.get("/auth/forward").await.status, 200);
    }
    let sure = used();
    let swapped: Vec<_> =
        sessions.iter().zip(nodes.iter().rev()).map(|(session, node)| session.copy_at(&node.url())).collect();
    // By the clock that is ahead it would be over, by the other one it had just begun.
    tokio::time::sleep((3 * SECOND).saturating_sub(used())).await;
    let made = now(&stores.database);
    assert!(stores.database.count("sessions", &format!("created_at < {}", made - 20_000)) == 0, "made a moment ago");
    let first = swapped[1].get("/auth/forward").await.status;
    assert!(first == 200 || used() > 4 * SECOND, "by the node that is ahead: early");
    tokio::time::sleep((sure + 5 * SECOND).saturating_sub(used())).await;
    let late = swapped[0].get("/auth/forward").await.status;
    assert_eq!(late, 401, "by the node that is behind: late");
    assert_no_time_to_come(&stores.database, "a little wrong, later");
}

/// On one machine there is no second clock to compare with: sessions end by what its clock shows. But what a jump has made
/// old is not deleted, and is there when the clock is moved back.
#[tokio::test]
async fn a_jump_of_the_only_clock_purges_nothing() {
    let database = Database::sqlite();
    let settings = Settings::new().with("DATABASE_URL", &database.url()).with("SESSIOND_AUDIT_RETENTION", "1d");
    let wall = Wall::showing("+0");
    let node = Process::start(&wall.of(&settings));
    let owner = node.anonymous().sign_up().await;
    let before = rows(&database);
    tokio::time::sleep(2 * SECOND).await;
    wall.show("+500d");
    until("its session is over", PATIENCE, async || owner.me().await.status == 401).await;
    // Housekeeping comes within a second: half a day has passed.
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(rows(&database), before, "something was purged");
    wall.show("+0");
    until("its session is back", PATIENCE, async || owner.me().await.status == 200).await;
    assert!(node.output().contains("the database's clock jumped by"), "it says so:\n{}", node.output());
}
