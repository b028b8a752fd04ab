//! Several nodes, and what becomes of the messages of one that dies.

use std::time::Duration;

use crate::support::client::PASSWORD;
use crate::support::process::Process;
use crate::support::requests::Requests as _;
use crate::support::server::Backend;
use crate::support::wait::{stopwatch, until};
use crate::webhook::delivery::{PATIENCE, World};
use crate::webhook::receiver::Answer;

/// Longer than a claim holds.
const CLAIM: Duration = Duration::from_secs(60);

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_the_work_and_keep_the_order() {
    use std::collections::BTreeMap;

    use crate::webhook::receiver::assert_ordered;

    let world = World::new(Backend::Production).await;
    let nodes = [world.node().await, world.node().await];
    let mut people = Vec::new();
    for at in 0..6 {
        people.push(nodes[at % 2].anonymous().sign_up().await);
    }
    let rounds = if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { 200 } else { 15 };
    let watch = stopwatch();
    let busy = people.iter().enumerate().map(|(at, person)| {
        let (world, nodes) = (&world, &nodes);
        async move {
            for round in 0..rounds {
                // Signed in at one node and out at the other.
                let session = world.issue(&nodes[(at + round) % 2], person).await;
                session.copy_at(&nodes[(at + round + 1) % 2].url()).sign_out().await.assert_status(204);
            }
        }
    });
    // For a while nobody takes anything, and then a while everything is slow.
    let moody = async {
        world.receiver.stop().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        world.receiver.answer(Answer::TakeAfter(Duration::from_millis(5)));
        world.receiver.start_again().await;
    };
    tokio::join!(futures_util::future::join_all(busy), moody);
    let (busy, expected) = (watch(), 6 + 6 * rounds * 2);
    world.pass(Duration::from_secs(2), async || world.waiting() == 0).await;
    let taken = world.receiver.taken();
    assert_eq!(taken.len(), expected);
    assert_ordered(&taken);
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for message in world.receiver.messages().into_iter().filter(|one| one.taken) {
        *arrived.entry(message.id).or_default() += 1;
    }
    let twice = arrived.values().filter(|count| **count > 1).count();
    println!("{expected} messages from two nodes, made in {busy:?}, all told after {:?}; twice: {twice}", watch());
}

/// Wherever a node dies, the message arrives, and a second time only under the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_was_telling_is_told_by_another() {
    // Where it dies, and how often the message arrives in all.
    for (point, arrivals) in [("webhook: claimed", 1), ("webhook: answered", 2), ("webhook: settled", 1)] {
        let world = World::new(Backend::Embedded).await;
        let mut dying = Process::start(&world.settings.clone().with("SESSIOND_FAULT_POINT", point));
        let email = crate::support::client::new_email();
        let visitor = dying.anonymous();
        visitor.register(&email).await.assert_status(201);
        // It may die before it has answered.
        let _ = visitor
            .call(reqwest::Method::POST, "/login")
            .json(&serde_json::json!({"email": email, "password": PASSWORD}))
            .try_send()
            .await;
        assert!(dying.wait_for_end().is_some(), "{point} is not on its way");
        let _node = world.node().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let soon = world.receiver.messages().len();
        assert_eq!(
            soon,
            if point == "webhook: claimed" { 0 } else { 1 },
            "{point}: another node did not wait for the claim"
        );
        world.advance(CLAIM);
        until(point, PATIENCE, async || world.waiting() == 0).await;
        world.receiver.has_taken(1).await;
        assert_eq!(world.receiver.messages().len(), arrivals, "{point}");
    }
}

/// The message and what it tells are one: a node that dies between them has done neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_that_has_not_happened_and_nothing_happens_untold() {
    let world = World::new(Backend::Embedded).await;
    let mut dying = Process::start(&world.settings.clone().with("SESSIOND_FAULT_POINT", "webhook: message added"));
    let email = crate::support::client::new_email();
    let visitor = dying.anonymous();
    visitor.register(&email).await.assert_status(201);
    let body = serde_json::json!({"email": email, "password": PASSWORD});
    let answered = visitor.call(reqwest::Method::POST, "/login").json(&body).try_send().await;
    assert!(answered.is_err() && dying.wait_for_end().is_some(), "it lives");
    let rows = |table| world.stores.database.count(table, "1 = 1");
    assert_eq!((rows("sessions"), rows("webhook_outbox")), (0, 0));
}

#[tokio::test]
async fn a_node_that_stops_gives_back_what_it_was_telling() {
    let world = World::new(Backend::Embedded).await;
    let mut node = world.node().await;
    world.receiver.answer(Answer::Hang);
    node.anonymous().sign_up().await;
    world.receiver.was_asked(1).await;
    let watch = stopwatch();
    node.stop().await;
    println!("stopped in the middle of a delivery after {:?}", watch());
    world.receiver.answer(Answer::Take);
    let _next = world.node().await;
    world.receiver.has_taken(1).await;
}
