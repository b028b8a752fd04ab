//! P2: losing all of Redis logs nobody out, and while it is down sessions are checked against SQL.
#![cfg(feature = "postgres")]

use crate::promises::origin::{Origin, People, for_both_origins};
use crate::support::client::SignedIn;
use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};

async fn several(people: &People, server: &Process, number: usize) -> Vec<SignedIn> {
    let mut several = Vec::new();
    for _ in 0..number {
        let person = people.somebody(&server.url()).await;
        assert!(person.is_signed_in().await);
        several.push(person);
    }
    several
}

async fn assert_all_signed_in(people: &[SignedIn], when: &str) {
    for person in people {
        let answer = person.get("/auth/forward").await;
        assert_eq!(answer.status, 200, "{when}: {answer}");
    }
}

for_both_origins! {
    async fn redis_forgets_dies_and_comes_back_empty(origin: Origin) {
        let stores = Stores::new(Backend::Production);
        let server = Process::start(&stores.settings());
        let people = People::of(origin, &stores.settings(), &server.url());
        let several = several(&people, &server, 20).await;
        let _ok: String = stores.redis().cli(&["FLUSHALL"]);
        assert_all_signed_in(&several, "FLUSHALL").await;
        stores.redis().kill();
        assert_all_signed_in(&several, "Redis is down").await;
        let newcomer = people.somebody(&server.url()).await;
        assert!(newcomer.is_signed_in().await, "signing in needs no Redis");
        stores.redis().restart();
        assert_all_signed_in(&several, "Redis is back, empty").await;
    }

    async fn a_redis_that_hangs_is_done_without(origin: Origin) {
        let stores = Stores::new(Backend::Production);
        let server = Process::start(&stores.settings());
        let people = People::of(origin, &stores.settings(), &server.url());
        let several = several(&people, &server, 3).await;
        stores.redis().pause();
        assert_all_signed_in(&several, "Redis hangs").await;
        stores.redis().resume();
        assert_all_signed_in(&several, "Redis goes on").await;
    }
}
