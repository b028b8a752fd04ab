//! Revocations, renewals and data: each of their steps held open, while somebody else fills, touches or ends.
//!
//! Owns P1 between the commit, the deletion of the record, the question who may speak, and the removal of the note.

use std::net::IpAddr;

use sessiond::domain::SessionId;
use sessiond::service::{Activity, App, AuditContext, SessionData};
use tokio::task::JoinHandle;

use crate::support::issue::client;
use crate::support::proxy::contains;
use crate::support::record::in_record;
use crate::support::wait::until;

use super::{IP, PATIENCE, Scene, a_moment, asked, command_line, is_live, key};

async fn session_of(app: &App, token: &sessiond::domain::Token) -> SessionId {
    app.check.authenticate(token, IP, Activity::Background).await.expect("an answer").expect("a live session").session
}

/// Whether signing out was answered with yes.
fn signed_out(app: &App, token: &sessiond::domain::Token) -> JoinHandle<bool> {
    let (app, hash) = (app.clone(), token.hash());
    tokio::spawn(async move { app.sessions.sign_out(&[hash], &client()).await.is_ok() })
}

/// The row has ended in a transaction that is not committed: a fill elsewhere still reads it as live, and puts a
/// record.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_while_a_revocation_commits_is_deleted_after_it() {
    let scene = Scene::open().await;
    scene.issue_on_record().await;
    let victim = scene.issue().await;
    // The first statement of the transaction is done, and the next one is not sent.
    let hold = scene.sql.hold_answers(1, contains(victim.hash().as_bytes().as_slice()));
    let ending = signed_out(&scene.slow, &victim);
    hold.caught().await;
    assert!(is_live(&scene.fast, &victim).await, "nothing is committed");
    assert!(scene.stands(&victim).is_some_and(|text| text.starts_with("1 ")));
    hold.release();
    assert!(ending.await.expect("an answer"));
    scene.assert_dead(&victim, "after the 2xx").await;
}

/// A fill has read the ledger; its put is on its way while the session ends and the key is evicted.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_was_on_its_way_stores_nothing_after_a_revocation() {
    let scene = Scene::open().await;
    let owner = scene.issue_on_record().await;
    for evicted in [true, false] {
        let victim = scene.issue().await;
        let session = session_of(&command_line(&scene.database).await, &victim).await;
        let hold = scene.way.hold_first(1, contains(in_record(&session.to_string())));
        let fill = asked(&scene.slow, &victim);
        hold.caught().await;
        scene.fast.sessions.sign_out(&[victim.hash()], &client()).await.expect("a 2xx");
        if !evicted {
            // Somebody else's fill has left its lease there since.
            scene.redis.cli::<()>(&["SET", &key(&victim), "lease AAAAAAAAAAAAAAAAAAAAAA", "PX", "5000"]);
        }
        hold.release();
        assert!(fill.await.expect("an answer"), "it was asked before the revocation");
        scene.assert_dead(&victim, if evicted { "nothing stood there" } else { "another lease stood there" }).await;
    }
    assert!(is_live(&scene.slow, &owner).await);
}

/// A touch is on its way while the session ends: it changes only the very record that was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_was_on_its_way_stores_nothing_after_a_revocation() {
    let scene = Scene::open().await;
    let victim = scene.issue_on_record().await;
    let session = session_of(&scene.fast, &victim).await;
    let hold = scene.way.hold_first(1, contains(in_record(&session.to_string())));
    // From another address, so that it is told at once.
    let elsewhere = IpAddr::from([192, 0, 2, 7]);
    assert!(scene.slow.check.authenticate(&victim, elsewhere, Activity::Active).await.expect("an answer").is_some());
    hold.caught().await;
    scene.fast.sessions.sign_out(&[victim.hash()], &client()).await.expect("a 2xx");
    hold.release();
    a_moment().await;
    scene.assert_dead(&victim, "after a late touch").await;
}

/// Data is stored, which adds a pending invalidation; before that one is removed, the session ends at the command line,
/// which adds another one for the same record. Removing the first does not remove the second.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_that_was_added_meanwhile_is_not_removed_with_the_one_before() {
    let scene = Scene::open().await;
    let victim = scene.issue_on_record().await;
    let checked =
        scene.slow.check.authenticate(&victim, IP, Activity::Background).await.expect("an answer").expect("a session");
    let is_removal = |message: &[u8]| contains("DELETE")(message) && contains("\"pending_invalidations\"")(message);
    let hold = scene.sql.hold_first(1, is_removal);
    let storing = tokio::spawn({
        let slow = scene.slow.clone();
        let data = SessionData::from([("cart".to_owned(), "[1]".to_owned())]);
        async move { slow.sign_in.store_data(&checked, &data).await }
    });
    hold.caught().await;
    assert!(is_live(&scene.fast, &victim).await, "a fill puts the record again, with data this time");
    let session = session_of(&scene.fast, &victim).await;
    let command = command_line(&scene.database).await;
    // It cannot delete the record, so it is told that this is still being done.
    let told = command.sessions.revoke(session, &AuditContext::command_line()).await;
    assert!(told.is_err(), "nobody has deleted the record");
    hold.release();
    storing.await.expect("an answer").expect("stored");
    assert_eq!(scene.database.count("pending_invalidations", "1 = 1"), 1, "the later one is still there");
    let background = scene.fast.serve();
    until("it is confirmed", PATIENCE, async || {
        command.sessions.revoke(session, &AuditContext::command_line()).await.is_ok()
    })
    .await;
    scene.assert_dead(&victim, "after the 2xx").await;
    background.stop().await;
}
