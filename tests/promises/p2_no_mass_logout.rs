//! P2: losing all of Redis logs nobody out, and while it is down sessions are checked against SQL.
#![cfg(feature = "postgres")]

use crate::support::client::SignedIn;
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};

async fn people(server: &Process, number: usize) -> Vec<SignedIn> {
    let mut people = Vec::new();
    for _ in 0..number {
        let person = server.anonymous().sign_up().await;
        assert!(person.is_signed_in().await);
        people.push(person);
    }
    people
}

async fn assert_all_signed_in(people: &[SignedIn], when: &str) {
    for person in people {
        let answer = person.get("/auth/forward").await;
        assert_eq!(answer.status, 200, "{when}: {answer}");
    }
}

#[tokio::test]
async fn redis_forgets_dies_and_comes_back_empty() {
    let stores = Stores::new(Backend::Production);
    let server = Process::start(&stores.settings());
    let people = people(&server, 20).await;
    let _ok: String = stores.redis().cli(&["FLUSHALL"]);
    assert_all_signed_in(&people, "FLUSHALL").await;
    stores.redis().kill();
    assert_all_signed_in(&people, "Redis is down").await;
    let newcomer = server.anonymous().sign_up().await;
    assert!(newcomer.is_signed_in().await, "signing in needs no Redis");
    stores.redis().restart();
    assert_all_signed_in(&people, "Redis is back, empty").await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_done_without() {
    let stores = Stores::new(Backend::Production);
    let server = Process::start(&stores.settings());
    let people = people(&server, 3).await;
    stores.redis().pause();
    assert_all_signed_in(&people, "Redis hangs").await;
    stores.redis().resume();
    assert_all_signed_in(&people, "Redis goes on").await;
}
