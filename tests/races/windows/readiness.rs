//! Whoever asks whether a node is ready while another one asks gets the same answer: strangers can ask, too.

use futures_util::future::join_all;

use super::{MINUTE, Scene};
use crate::support::proxy::contains;

/// So many as would take every connection of the pool that watches, if each asked for itself.
const STRANGERS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_whether_a_node_is_ready_the_database_is_asked_once_at_a_time() {
    let scene = Scene::open().await;
    let hold = scene.sql.hold(contains("clock_timestamp"));
    let strangers = (0..STRANGERS).map(|_| {
        let app = scene.slow.clone();
        tokio::spawn(async move { app.fence.readiness().await })
    });
    let strangers: Vec<_> = strangers.collect();
    hold.caught().await;
    // Long enough for all of them to ask.
    tokio::time::sleep(MINUTE / 120).await;
    // Over a connection that watches, and over one that checks use.
    assert!((1..=2).contains(&hold.count()), "{} questions are under way", hold.count());
    hold.release();
    for answer in join_all(strangers).await {
        assert!(answer.expect("an answer").ready);
    }
}
