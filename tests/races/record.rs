//! Records against revocations: late touches, late fills.
//!
//! Owns the proof that nothing which was on its way to Redis while a session ended brings it back. Only where there
//! is a Redis.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::races::rounds;
use crate::support::database::Database;
use crate::support::proxy::{Proxy, contains};
use crate::support::record::in_record;
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores, TestServer};

/// Every key has a time to live, and none holds a record.
fn assert_nothing_lives(redis: &PrivateRedis) {
    for key in redis.keys("*session:*") {
        let left: i64 = redis.cli(&["PTTL", &key]);
        assert_ne!(left, -1, "{key} is immortal");
        let value: Option<String> = redis.cli(&["GET", &key]);
        assert!(value.is_none_or(|value| value.starts_with("lease ")), "{key} holds a record");
    }
}

/// A touch is due whenever the address changes, so that every request here is one.
#[tokio::test(flavor = "multi_thread")]
async fn touches_against_a_revoke() {
    let proxied = [("SESSIOND_TRUSTED_PROXIES", "127.0.0.1/32"), ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For")];
    let server = TestServer::with(Backend::Production, &proxied).await;
    let owner = server.signed_in().await;
    for round in 0..rounds() {
        let victim = server.issue(&owner).await;
        let check = |number: usize| {
            let address = format!("192.0.2.{}", number % 250 + 1);
            let call = victim.call(reqwest::Method::GET, "/auth/forward").header("X-Forwarded-For", &address);
            async move { call.send().await.status }
        };
        assert_eq!(check(round).await, 200, "round {round}");
        let (revoked, ..) = tokio::join!(victim.sign_out(), check(round + 1), check(round + 2), check(round + 3));
        assert_eq!(revoked.status, 204, "round {round}");
        assert_eq!(check(round + 4).await, 401, "round {round}: a touch brought the session back");
    }
    owner.sign_out().await.assert_status(204);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_nothing_lives(server.stores.redis());
}

/// One node fills through a proxy that holds its `put` back; another node revokes; the key is evicted; then the
/// `put` arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_arrives_after_a_revoke_and_an_eviction() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::start()));
    let proxy = Proxy::start(stores.redis().address());
    let through = stores.settings().with("REDIS_URL", &proxy.in_url(&stores.redis().url()));
    let direct = stores.settings();
    let slow = TestServer::on(stores, through).await;
    let fast = crate::support::node::Node::start(&direct, &slow.clock).await;
    let owner = slow.signed_in().await.copy_at(&fast.url());
    let (mut held, mut round) = (0, 0);
    // On a busy machine a node may give Redis up and put nothing: that shows nothing, and there is another round.
    while held < rounds() {
        round += 1;
        assert!(round <= 2 * rounds(), "only {held} of {round} puts were held back");
        let victim = slow.issue(&owner).await;
        // A record repeats the session's id; a lease does not.
        let hold = proxy.hold_first(1, contains(in_record(&victim.session_id)));
        let mut fill = tokio::spawn({
            let victim = victim.copy_at(&slow.url());
            async move { victim.get("/auth/forward").await.status }
        });
        let answered = tokio::select! {
            () = hold.caught() => None,
            answer = &mut fill => Some(answer),
        };
        held += usize::from(answered.is_none());
        let elsewhere = victim.copy_at(&fast.url());
        assert_eq!(owner.end_session(&victim.session_id).await.status, 204, "round {round}");
        for key in slow.stores.redis().keys("*session:*") {
            let _gone: i64 = slow.stores.redis().cli(&["DEL", &key]);
        }
        hold.release();
        let answer = match answered {
            Some(answer) => answer,
            None => fill.await,
        };
        assert_eq!(answer.expect("a request"), 200, "round {round}: it began before the revocation");
        for who in [&elsewhere, &victim] {
            assert_eq!(who.get("/auth/forward").await.status, 401, "round {round}: a late put brought it back");
        }
    }
    owner.sign_out().await.assert_status(204);
    assert_nothing_lives(slow.stores.redis());
}
