//! Joining a question after it was sent, and answering from what was found on the way to the ledger.
//!
//! Owns P1 for those who ask while another's question about the same session is under way. Must never judge the one who
//! asked before the revocation: either answer is right for them.

use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::proxy::{Proxy, contains};
use crate::support::redis::PrivateRedis;
use crate::support::requests::Requests;
use crate::support::server::{Stores, TestServer};
use crate::support::wait::until;

use super::{PATIENCE, Scene, a_moment, asked, key};

/// A server whose way to PostgreSQL can be held.
async fn server(redis: Option<PrivateRedis>) -> (TestServer, Proxy) {
    let stores = Stores::of(Database::postgres(), redis);
    let (settings, sql) = stores.through_proxy();
    (TestServer::on(stores, settings).await, sql)
}

/// A request of the same person over a connection of its own.
fn forwarded(server: &TestServer, who: &SignedIn) -> tokio::task::JoinHandle<u16> {
    let who = who.copy_at(&server.url());
    tokio::spawn(async move { who.get("/auth/forward").await.status })
}

/// The ledger has said yes, and the answer is on its way. Then the session ends, and somebody asks anew.
async fn whoever_asks_after_a_revocation_joins_no_question_from_before_it(redis: Option<PrivateRedis>) {
    let (server, sql) = server(redis).await;
    let owner = server.signed_in().await;
    let victim = server.issue(&owner).await;
    let hash = sessiond::domain::Token::parse(&victim.token()).expect("a token").hash();
    let hold = sql.hold_answers(1, contains(hash.as_bytes().as_slice()));
    let before = forwarded(&server, &victim);
    hold.caught().await;
    owner.end_session(&victim.session_id).await.assert_status(204);
    let after = forwarded(&server, &victim);
    // If it joins, it waits for what is held.
    a_moment().await;
    hold.release();
    assert_eq!(after.await.expect("an answer"), 401, "it was answered with what was read before the revocation");
    assert!([200, 401].contains(&before.await.expect("an answer")));
    assert_eq!(forwarded(&server, &victim).await.expect("an answer"), 401);
    assert_eq!(forwarded(&server, &owner).await.expect("an answer"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_after_a_revocation_joins_no_question_from_before_it_with_redis() {
    whoever_asks_after_a_revocation_joins_no_question_from_before_it(Some(PrivateRedis::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_after_a_revocation_joins_no_question_from_before_it_without_redis() {
    whoever_asks_after_a_revocation_joins_no_question_from_before_it(None).await;
}

/// `/me` gathers the questions of many, and two batches may be on their way. Whoever asks after a change waits for a batch
/// of their own: what was read before it is nobody's answer.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_after_a_change_is_not_answered_with_a_batch_from_before_it() {
    let (server, sql) = server(Some(PrivateRedis::start())).await;
    let owner = server.signed_in().await;
    owner.me().await.assert_status(200);
    let me = || {
        let who = owner.copy_at(&server.url());
        tokio::spawn(async move { who.me().await.assert_status(200).json()["user"]["name"].clone() })
    };
    let hold = sql.hold_answers(2, contains(owner.session_id.as_bytes()));
    let before = [me(), me()];
    until("both batches are on their way", PATIENCE, async || hold.count() == 2).await;
    owner.rename(Some("Ana")).await.assert_status(200);
    let after = [me(), me()];
    a_moment().await;
    hold.release();
    for answer in after {
        assert_eq!(answer.await.expect("an answer"), "Ana", "it was answered with what was read before the change");
    }
    for answer in before {
        answer.await.expect("an answer");
    }
}

/// The taking of a lease finds a record that another node has put meanwhile. Before that is known here the session ends,
/// and somebody joins: the record answers nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_taking_of_a_lease_found_answers_nobody() {
    let scene = Scene::open().await;
    scene.issue_on_record().await;
    let victim = scene.issue().await;
    let (elsewhere, take) = (scene.slow.for_worker(), key(&victim));
    let is_take = move |message: &[u8]| contains("EVALSHA")(message) && contains(take.as_bytes())(message);
    let (request, answer) = (scene.way.hold_first(1, is_take.clone()), scene.way.hold_answers(1, is_take));
    let before = asked(&scene.slow, &victim);
    request.caught().await;
    assert!(asked(&scene.fast, &victim).await.expect("an answer"), "another node puts the record");
    assert!(scene.stands(&victim).is_some_and(|text| text.starts_with("1 ")));
    request.release();
    answer.caught().await;
    scene.fast.sessions.sign_out(&[victim.hash()], &crate::support::issue::client()).await.expect("a 2xx");
    let after = asked(&elsewhere, &victim);
    a_moment().await;
    answer.release();
    assert!(!after.await.expect("an answer"), "it was answered with a record from before the revocation");
    let _either = before.await.expect("an answer");
    scene.assert_dead(&victim, "at the end").await;
}

/// The taking of a lease finds another fill's lease: it reads the ledger and puts nothing over it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_the_lease_of_another_fill_asks_the_ledger_and_puts_nothing() {
    let scene = Scene::open().await;
    scene.issue_on_record().await;
    let victim = scene.issue().await;
    let hold = scene.sql.hold_answers(1, contains(victim.hash().as_bytes().as_slice()));
    let first = asked(&scene.slow, &victim);
    hold.caught().await;
    let lease = scene.stands(&victim).expect("a lease");
    assert!(lease.starts_with("lease "), "{lease}");
    assert!(asked(&scene.fast, &victim).await.expect("an answer"), "the ledger says yes");
    assert_eq!(scene.stands(&victim), Some(lease), "a lease is nobody's but its own fill's");
    hold.release();
    assert!(first.await.expect("an answer"));
    assert!(scene.stands(&victim).is_some_and(|text| text.starts_with("1 ")), "its own fill puts the record");
    scene.fast.sessions.sign_out(&[victim.hash()], &crate::support::issue::client()).await.expect("a 2xx");
    scene.assert_dead(&victim, "at the end").await;
}
