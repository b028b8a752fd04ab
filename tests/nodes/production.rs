//! Processes on one PostgreSQL, with one Redis and without.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::process::{Process, command_line_ok};
use crate::support::proxy::Proxy;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::server::{Backend, Stores};
use crate::support::wait::until;

/// Signs in on A, is seen on B, is ended on B, is gone on A.
async fn assert_one_mind(stores: &Stores) {
    let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let owner = a.anonymous().sign_up().await;
    for round in 0..50 {
        let victim = owner.sign_in_again().await;
        let elsewhere = victim.copy_at(&b.url());
        assert!(victim.is_signed_in().await && elsewhere.is_signed_in().await, "round {round}");
        owner.copy_at(&b.url()).end_session(&victim.session_id).await.assert_status(204);
        assert!(!victim.is_signed_in().await, "round {round}: the very next request on A");
        assert!(!elsewhere.is_signed_in().await, "round {round}");
    }
}

#[tokio::test]
async fn two_processes_on_one_redis_and_one_postgresql_are_of_one_mind() {
    assert_one_mind(&Stores::new(Backend::Production)).await;
}

#[tokio::test]
async fn two_processes_on_one_postgresql_without_redis_are_of_one_mind() {
    assert_one_mind(&Stores::of(Database::postgres(), None)).await;
}

/// Somebody whose session lives and somebody whose session was ended, both with records in Redis before.
struct Pair {
    owner: SignedIn,
    ended: SignedIn,
}

impl Pair {
    /// A snapshot of Redis is taken between the first check and the revocation.
    async fn new(server: &Process, redis: &PrivateRedis) -> (Self, Vec<u8>) {
        let owner = server.anonymous().sign_up().await;
        let ended = owner.sign_in_again().await;
        assert!(owner.is_signed_in().await && ended.is_signed_in().await);
        let before = redis.snapshot();
        owner.end_session(&ended.session_id).await.assert_status(204);
        (Self { owner, ended }, before)
    }

    async fn assert_unchanged(&self, nodes: &[&Process], when: &str) {
        for node in nodes {
            assert!(self.owner.copy_at(&node.url()).is_signed_in().await, "{when}: signed out");
            assert!(!self.ended.copy_at(&node.url()).is_signed_in().await, "{when}: a revoked session came back");
        }
    }
}

/// Restarts A, B and Redis in every order, Redis with what it held before the revocation.
#[tokio::test]
async fn restarts_in_any_order_sign_nobody_out_and_nobody_in() {
    let stores = Stores::of(Database::postgres(), Some(PrivateRedis::with(Persistence::Rdb, &[])));
    let (mut a, mut b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let (pair, before) = Pair::new(&a, stores.redis()).await;
    for order in ["ABR", "ARB", "BAR", "BRA", "RAB", "RBA", "R", "RR"] {
        for which in order.chars() {
            match which {
                'A' => a.restart(),
                'B' => b.restart(),
                _ => stores.redis().restart_from(&before),
            }
            pair.assert_unchanged(&[&a, &b], &format!("{order}, after {which}")).await;
        }
    }
}

#[tokio::test]
async fn flushall_signs_nobody_out_and_nobody_in() {
    let stores = Stores::new(Backend::Production);
    let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let (pair, _) = Pair::new(&a, stores.redis()).await;
    let _ok: String = stores.redis().cli(&["FLUSHALL"]);
    pair.assert_unchanged(&[&a, &b], "FLUSHALL").await;
}

/// The command line has no Redis: a serving node confirms what it has ended.
#[tokio::test]
async fn a_revocation_at_the_command_line_is_confirmed_by_a_serving_node() {
    let stores = Stores::new(Backend::Production);
    let server = Process::start(&stores.settings());
    let owner = server.anonymous().sign_up().await;
    assert!(owner.is_signed_in().await, "there is a record");
    command_line_ok(&stores.settings().without("REDIS_URL"), &["sessions", "revoke", &owner.session_id], "");
    assert!(!owner.is_signed_in().await);
    assert_eq!(stores.database.count("pending_invalidations", "1 = 1"), 0);
}

/// A deployment that goes on without Redis: its nodes retire it once nobody confirms any more.
#[tokio::test]
async fn a_deployment_may_leave_redis_behind() {
    let stores = Stores::new(Backend::Production);
    let mut with = Process::start(&stores.settings());
    let owner = with.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    assert!(owner.is_signed_in().await && victim.is_signed_in().await);
    with.terminate();
    let without = Process::start(&stores.settings().without("REDIS_URL"));
    let owner = owner.copy_at(&without.url());
    owner.end_session(&victim.session_id).await.assert_problem(503, "unconfirmed");
    assert!(!victim.copy_at(&without.url()).is_signed_in().await);
    until("the revocation is confirmed", Duration::from_secs(40), || async {
        owner.end_session(&victim.session_id).await.status == 204
    })
    .await;
    assert!(owner.is_signed_in().await);
    assert_eq!(stores.database.count("pending_invalidations", "1 = 1"), 0, "what was repeated was noted once");
}

/// One node that was started without Redis by mistake changes nothing for the others.
#[tokio::test]
async fn a_stray_node_without_redis_disables_nothing() {
    let stores = Stores::new(Backend::Production);
    let server = Process::start(&stores.settings());
    let owner = server.anonymous().sign_up().await;
    let mut stray = Process::start(&stores.settings().without("REDIS_URL"));
    let (here, there) = (owner.sign_in_again().await, owner.sign_in_again().await);
    assert!(here.is_signed_in().await && there.is_signed_in().await, "there are records");
    owner.copy_at(&stray.url()).end_session(&there.session_id).await.assert_status(204);
    assert!(!there.is_signed_in().await, "the other node has confirmed it");
    stray.terminate();
    owner.end_session(&here.session_id).await.assert_status(204);
    assert!(!here.is_signed_in().await && owner.is_signed_in().await);
}

/// Renewals that could not be confirmed leave tokens behind; ending the session ends them all.
#[tokio::test]
async fn a_token_from_two_renewals_ago_does_not_outlive_the_session() {
    let stores = Stores::new(Backend::Production);
    let proxy = Proxy::start(stores.redis().address());
    let cut_off = stores.settings().with("REDIS_URL", &proxy.in_url(&stores.redis().url()));
    let (a, b) = (Process::start(&cut_off), Process::start(&stores.settings()));
    for round in 0..5 {
        let owner = a.anonymous().sign_up().await;
        let oldest = owner.copy_at(&b.url());
        assert!(oldest.is_signed_in().await, "round {round}: there is a record");
        proxy.refuse();
        proxy.cut();
        let (second, third) = ("a second password of theirs", "a third password of theirs");
        for (current, new) in [(PASSWORD, second), (second, third)] {
            let answer = owner.change_password(current, new).await;
            assert!([200, 503].contains(&answer.status), "round {round}: {answer}");
        }
        owner.copy_at(&b.url()).sign_out().await.assert_status(204);
        assert!(!oldest.is_signed_in().await, "round {round}: it answers after the session was ended");
        proxy.pass();
    }
}
