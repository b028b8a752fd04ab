//! The windows between two steps, held open: each test fails every time when its guard is gone.
//!
//! Owns what is held: a deletion, an answer, a renewal. docs/guards.md names the guards.

use std::time::Duration;

use super::messages::asks_to_drop;
use super::{GIVE, Member, PATIENCE, RENEWAL, World};
use crate::support::client::SignedIn;
use crate::support::proxy::contains;
use crate::support::requests::Requests;
use crate::support::wait::until;

/// So slow is a way to SQL that a renewal takes half a second, and is not given up.
const SLOW: Duration = Duration::from_millis(40);

fn key(person: &SignedIn) -> String {
    let token = sessiond::domain::Token::parse(&person.token()).expect("a token");
    token.hash().to_base64url()
}

/// Whether a request of one's own is answered yes; one that waits for what is held is left.
async fn says_yes(member: &Member, person: &SignedIn) -> bool {
    let asked = person.copy_at(&member.node.url());
    let answer =
        tokio::time::timeout(Duration::from_millis(300), asked.call(reqwest::Method::GET, "/auth/forward").try_send());
    answer.await.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
}

/// Guard: a node drops its own copies after the deletion. Before it, a fill would make a copy of what is deleted next.
#[tokio::test]
async fn a_copy_that_is_made_before_the_deletion_is_dropped_after_it() {
    let world = World::of(1).await;
    let (owner, member) = (world.owner().await, &world.members[0]);
    let mut made = 0;
    for _ in 0..6 {
        let victim = world.warmed(&owner).await;
        let held = member.redis.hold_first(1, contains("DEL"));
        let ending = world.end(&owner, &victim, 0);
        let filling = async {
            held.caught().await;
            // Whatever was copied is dropped, so that the record is read again.
            world.stores.redis().cli::<i64>(&["PUBLISH", "near:drop", &format!("a-stranger 1 {}", key(&victim))]);
            tokio::time::sleep(Duration::from_millis(50)).await;
            for _ in 0..8 {
                made += usize::from(says_yes(member, &victim).await);
            }
            held.release();
        };
        let ((status, _), ()) = tokio::join!(ending, filling);
        assert_eq!(status, 204);
        for _ in 0..8 {
            assert_ne!(member.status(&victim).await, 200);
        }
    }
    assert!(made > 0, "no copy was made meanwhile, so that nothing is shown");
}

/// Guard: a fill notes the mark before it reads, and its copy counts only while that mark stands.
#[tokio::test]
async fn a_fill_that_read_before_the_drop_leaves_no_copy() {
    let world = World::of(2).await;
    let (owner, member) = (world.owner().await, &world.members[1]);
    let mut read = 0;
    for _ in 0..5 {
        let victim = owner.sign_in_again().await;
        for _ in 0..4 {
            // Both workers have a connection, and there is a record.
            assert_eq!(member.status(&victim).await, 200);
        }
        world.stores.redis().cli::<i64>(&["PUBLISH", "near:drop", &format!("a-stranger 1 {}", key(&victim))]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let held = member.redis.hold_answers(1, contains(key(&victim)));
        let url = member.node.url();
        let asked = victim.copy_at(&url);
        let asking = tokio::spawn(async move { asked.get("/auth/forward").await.status });
        held.caught().await;
        let (status, took) = world.end(&owner, &victim, 0).await;
        assert_eq!(status, 204);
        assert!(took < GIVE, "{took:?}");
        held.release();
        read += usize::from(asking.await.expect("an answer") == 200);
        for _ in 0..8 {
            assert_ne!(member.status(&victim).await, 200, "it was read before the revocation and kept after it");
        }
    }
    assert!(read > 0, "no record was read meanwhile, so that nothing is shown");
}

/// Guard: that a renewal was committed says nothing; that its reading was applied does.
#[tokio::test]
async fn a_renewal_that_is_committed_and_not_applied_confirms_nothing() {
    let world = World::of(2).await;
    let (owner, member) = (world.owner().await, &world.members[1]);
    for _ in 0..4 {
        let victim = world.warmed(&owner).await;
        let lost = member.redis.lose_deliveries(asks_to_drop);
        member.sql.delay(SLOW);
        tokio::time::sleep(2 * RENEWAL).await;
        let (status, took) = world.end(&owner, &victim, 0).await;
        assert!(!says_yes(member, &victim).await, "answered after {took:?}");
        assert_eq!(status, 204);
        assert!(lost.count() > 0, "nothing was lost");
        member.sql.pass();
        until("it keeps copies", PATIENCE, async || member.figures().in_use).await;
    }
}

/// Guard: a node stops to use copies before its row says so.
#[tokio::test]
async fn a_row_without_copies_is_a_node_that_uses_none() {
    let world = World::of(2).await;
    let (owner, member) = (world.owner().await, &world.members[1]);
    // Right before it notices that it is deaf: the very next renewal says so.
    for before in [500, 600, 700, 800, 900, 1_000] {
        let victim = world.warmed(&owner).await;
        member.sql.delay(SLOW);
        // It hears neither the others nor itself, and gives its lease for copies up.
        let lost = member.redis.lose_deliveries(contains("near:"));
        tokio::time::sleep(Duration::from_millis(before)).await;
        let (status, took) = world.end(&owner, &victim, 0).await;
        assert!(!says_yes(member, &victim).await, "answered after {took:?}");
        assert_eq!(status, 204);
        drop(lost);
        member.sql.pass();
        until("it keeps copies", PATIENCE, async || member.figures().in_use).await;
        assert_ne!(member.status(&victim).await, 200);
    }
}

/// Guard: attempts are numbered. One that says "no copies", was given up and arrives when the node has copies again,
/// changes nothing.
#[tokio::test]
async fn a_renewal_that_was_given_up_and_arrives_late_changes_nothing() {
    let world = World::of(2).await;
    let (owner, member) = (world.owner().await, &world.members[1]);
    let renews = |message: &[u8]| contains("UPDATE \"node_leases\"")(message);
    let deaf = member.redis.lose_deliveries(contains("near:"));
    until("it uses no copies", PATIENCE, async || !member.figures().in_use).await;
    // Only a new connection sends the text of its statements.
    let late = member.sql.hold_first(1, renews);
    while late.count() == 0 {
        member.sql.cut();
        tokio::time::sleep(RENEWAL).await;
    }
    drop(deaf);
    until("it keeps copies again", PATIENCE, async || member.figures().in_use).await;
    let victim = world.warmed(&owner).await;
    let _lost = member.redis.lose_deliveries(asks_to_drop);
    late.release();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, took) = world.end(&owner, &victim, 0).await;
    assert_eq!(status, 204);
    assert_ne!(member.status(&victim).await, 200, "answered after {took:?}");
}

/// Guard: a node that does not read what is pending, because it is too much, drops every copy.
#[tokio::test]
async fn more_than_a_renewal_reads_is_everything() {
    let world = World::of(2).await;
    let (owner, member) = (world.owner().await, &world.members[1]);
    for round in 0..2 {
        let victim = world.warmed(&owner).await;
        let lost = member.redis.lose_deliveries(asks_to_drop);
        // Its own sweep would drop them, too.
        let swept = member.redis.hold(contains("\r\nDEL\r\n"));
        world.stores.database.execute(&format!(
            "INSERT INTO pending_invalidations SELECT lpad(to_hex({round}), 8, '0') || '-0000-7000-8000-' || \
             lpad(to_hex(number), 12, '0'), sha256(number::text::bytea), '00000000-0000-7000-8000-000000000000', 0 \
             FROM generate_series(1, 2500) AS number"
        ));
        let (status, took) = world.end(&owner, &victim, 0).await;
        assert!(!says_yes(member, &victim).await, "answered after {took:?}");
        assert_eq!(status, 204);
        drop((lost, swept));
        until("nothing is pending", PATIENCE, async || {
            world.stores.database.count("pending_invalidations", "1 = 1") == 0
        })
        .await;
        until("it keeps copies", PATIENCE, async || member.figures().in_use).await;
    }
}
