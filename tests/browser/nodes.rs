//! Two servers, and a browser at each: what one ends, the other's tabs are told.

use std::time::Duration;

use super::driver::Driver;
use super::endings::{count_requests, listens, requests, says_ended};
use super::window::Window;
use crate::support::client::{PASSWORD, new_email};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::Stores;

const ELSEWHERE: &str = "This session was ended from another of your sessions.";

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

/// Ends the other session in the list of `here`; `there` says so by itself.
async fn ends_there(here: &Window, there: &Window) -> String {
    listens(there).await;
    count_requests(there).await;
    let row = here.rows(2).await.remove(1);
    here.end(&row).await;
    here.rows(1).await;
    says_ended(there, ELSEWHERE).await;
    assert_eq!(requests(there).await, Vec::<String>::new());
    format!("503 /sessions/{}", row.id)
}

async fn in_again(here: &Window, there: &Window) {
    let email = here.text("#who").await;
    there.click("#ended-sign-in").await;
    there.enter(&email, PASSWORD).await;
    there.rows(2).await;
    here.rows(2).await;
}

#[tokio::test]
async fn a_tab_is_told_by_its_own_node_also_while_redis_or_the_node_restarts() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::with(Persistence::Rdb, &[])));
    let (a, mut b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let driver = Driver::start();
    let [here, there] = two_windows(&driver, [&a, &b]).await;
    ends_there(&here, &there).await;
    in_again(&here, &there).await;

    // It is ended in the ledger; that it is over everywhere is confirmed when Redis is back, and asked until then.
    stores.redis().kill();
    let restart = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stores.redis().restart();
    };
    let (delayed, ()) = tokio::join!(ends_there(&here, &there), restart);
    in_again(&here, &there).await;
    here.assert_quiet_but_for(&[&delayed]).await;
    there.assert_quiet().await;

    // A server that stops is no sign-out: the page comes again, and looks for what it has missed.
    b.restart();
    let email = here.text("#who").await;
    let third = a.anonymous().sign_in(&email, PASSWORD).await;
    there.rows(3).await;
    assert!(!there.sees("#ended").await);
    third.end_others().await.assert_status(200);
    says_ended(&there, ELSEWHERE).await;
    says_ended(&here, ELSEWHERE).await;
}
