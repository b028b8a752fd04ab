//! Two servers, and a browser at each: what one ends, the other's tabs are told.

use super::driver::Driver;
use super::endings::{count_requests, requests, says_ended};
use super::page::NOBODY;
use super::window::Window;
use crate::support::client::{PASSWORD, new_email};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::Stores;

const ELSEWHERE: &str = "This session was ended from another place where you are signed in.";

fn site(node: &Process) -> String {
    node.url().replace("127.0.0.1", "localhost")
}

/// Two windows, each at a server of its own, signed in as one person.
async fn two_windows(driver: &Driver, nodes: [&Process; 2]) -> [Window; 2] {
    let (email, here, there) = (new_email(), driver.window().await, driver.window().await);
    here.register(&site(nodes[0]), &email, PASSWORD).await;
    there.sign_in(&site(nodes[1]), &email, PASSWORD).await;
    there.rows(2).await;
    here.rows(2).await;
    [here, there]
}

#[tokio::test]
async fn a_session_that_is_ended_on_one_node_is_told_on_the_other() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::start()));
    let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let driver = Driver::start();
    let [here, there] = two_windows(&driver, [&a, &b]).await;
    count_requests(&there).await;
    let rows = here.rows(2).await;
    here.end(&rows[1]).await;
    here.rows(1).await;
    says_ended(&there, ELSEWHERE).await;
    assert_eq!(requests(&there).await, Vec::<String>::new());
    here.assert_quiet_but_for(&[NOBODY]).await;
    there.assert_quiet_but_for(&[NOBODY]).await;
}

#[tokio::test]
async fn it_is_told_while_redis_restarts() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::with(Persistence::Rdb, &[])));
    let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let driver = Driver::start();
    let [here, there] = two_windows(&driver, [&a, &b]).await;
    count_requests(&there).await;
    let rows = here.rows(2).await;
    stores.redis().kill();
    here.end(&rows[1]).await;
    // It is ended in the ledger; that it is over everywhere is confirmed when Redis is back, and asked until then.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    stores.redis().restart();
    here.rows(1).await;
    says_ended(&there, ELSEWHERE).await;
    assert_eq!(requests(&there).await, Vec::<String>::new());
    // And whoever was not concerned has heard of nothing but a shorter list.
    assert!(!here.sees("#ended").await);
    here.assert_quiet_but_for(&[NOBODY, &format!("503 /sessions/{}", rows[1].id)]).await;
    there.assert_quiet_but_for(&[NOBODY]).await;
}

#[tokio::test]
async fn a_page_outlives_its_server() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::start()));
    let (a, mut b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let driver = Driver::start();
    let [here, there] = two_windows(&driver, [&a, &b]).await;
    b.restart();
    let third = a.anonymous();
    let email = here.text("#who").await;
    let third = third.sign_in(&email, PASSWORD).await;
    there.rows(3).await;
    assert!(!there.sees("#ended").await, "a server that stops is no sign-out");
    third.end_others().await.assert_status(200);
    says_ended(&there, ELSEWHERE).await;
    says_ended(&here, ELSEWHERE).await;
}
