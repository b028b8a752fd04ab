//! What a bad receiver can do: keep its own messages waiting, and nothing else.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::support::server::Backend;
use crate::support::wait::{stopwatch, until};
use crate::webhook::delivery::{PATIENCE, World};
use crate::webhook::receiver::{Answer, assert_ordered, request};

/// Each of these is an answer that is none, and after each the same message arrives.
#[tokio::test]
async fn whatever_is_answered_but_2xx_is_asked_again_with_the_same_message() {
    let world = World::new(Backend::Embedded).await;
    // A server elsewhere, which must not be called.
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let elsewhere = trap.local_addr().expect("an address");
    let trapped = tokio::spawn(async move {
        let (mut stream, _) = trap.accept().await.expect("a connection");
        let _ = request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    });
    let node = world.node().await;
    let answer = |line: &str| Answer::Raw(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
    let long = "y".repeat(100_000);
    let bad = [
        answer("500 Oh"),
        answer("503 Later\r\nRetry-After: 5"),
        answer("429 Slowly\r\nRetry-After: tomorrow"),
        answer("404 Not Found"),
        answer("410 Gone"),
        answer(&format!("307 There\r\nLocation: http://{elsewhere}/hook")),
        answer(&format!("301 There\r\nLocation: http://{elsewhere}/hook")),
        answer("100 Continue"),
        answer(&format!("204 No Content\r\nX-Long: {long}")),
        Answer::Endless,
        Answer::Raw(String::new()),
        Answer::Raw("HTTP/1.1 200".to_owned()),
        Answer::Raw("SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
    ];
    let person = node.anonymous().sign_up().await;
    world.receiver.has_taken(1).await;
    for (count, bad) in bad.into_iter().enumerate() {
        let said: String = format!("{bad:?}").chars().take(90).collect();
        world.receiver.answer(bad);
        let asked = world.receiver.messages().len();
        world.issue(&node, &person).await;
        world.receiver.was_asked(asked + 1).await;
        let failed =
            async || world.stores.database.count("webhook_outbox", "last_error IS NOT NULL AND done_at IS NULL") == 1;
        until(&format!("it is written down: {said}"), PATIENCE, failed).await;
        let why = world.stores.database.value("SELECT last_error AS value FROM webhook_outbox WHERE done_at IS NULL");
        assert!(why.len() < 400 && !why.contains("hunter2"), "{why}");
        println!("{said}: {why}");
        world.receiver.answer(Answer::Take);
        world.pass(Duration::from_secs(600), async || world.receiver.taken().len() == count + 2).await;
    }
    assert!(!trapped.is_finished(), "a redirect was followed");
    trapped.abort();
}

#[tokio::test]
async fn one_message_that_is_refused_holds_up_its_own_users_and_nobody_elses() {
    let world = World::new(Backend::Embedded).await;
    let node = world.node().await;
    let (stuck, free) = (node.anonymous().sign_up().await, node.anonymous().sign_up().await);
    world.receiver.has_taken(2).await;
    world.receiver.answer(Answer::RefuseWith(stuck.user_id.clone()));
    for _ in 0..3 {
        world.issue(&node, &stuck).await.sign_out().await.assert_status(204);
    }
    world.receiver.was_asked(3).await;
    for _ in 0..5 {
        world.issue(&node, &free).await.sign_out().await.assert_status(204);
    }
    world.receiver.has_taken(12).await;
    let held: Vec<_> = world.receiver.messages().into_iter().filter(|one| !one.taken).map(|one| one.id).collect();
    assert!(held.iter().all(|id| *id == held[0]), "a later one was sent before the former was taken: {held:?}");
    world.receiver.answer(Answer::Take);
    world.pass(Duration::from_secs(60), async || world.receiver.taken().len() == 18).await;
    assert_ordered(&world.receiver.taken());
}

/// Slow is not bad; and silence keeps nobody from signing in or out.
#[tokio::test]
async fn a_slow_receiver_is_waited_for_and_a_silent_one_slows_nobody_down() {
    let world = World::new(Backend::Embedded).await;
    let node = world.node().await;
    let person = node.anonymous().sign_up().await;
    world.receiver.has_taken(1).await;
    let timed = async || {
        let watch = stopwatch();
        for _ in 0..30 {
            world.issue(&node, &person).await.sign_out().await.assert_status(204);
        }
        watch() / 30
    };
    let taken = timed().await;
    world.receiver.has_taken(61).await;
    world.receiver.answer(Answer::TakeAfter(Duration::from_secs(2)));
    let session = world.issue(&node, &person).await;
    let arrived = world.receiver.has_taken(62).await;
    assert_eq!(arrived[61].text("session_id"), session.session_id);
    until("it is written down", PATIENCE, async || world.waiting() == 0).await;
    assert_eq!(world.receiver.messages().len(), 62, "it was asked again meanwhile");
    world.receiver.answer(Answer::Hang);
    let silent = timed().await;
    println!("one sign-in and sign-out: {taken:?} with a good receiver, {silent:?} with a silent one");
    assert!(silent < Duration::from_secs(1), "{silent:?}");
    assert_eq!(world.waiting(), 60);
}

/// The real wait for an answer: the long run only.
#[tokio::test]
async fn a_receiver_that_hangs_is_asked_again() {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_none() {
        return;
    }
    let world = World::new(Backend::Embedded).await;
    let node = world.node().await;
    world.receiver.answer(Answer::Hang);
    node.anonymous().sign_up().await;
    let watch = stopwatch();
    let failed = async || world.stores.database.count("webhook_outbox", "last_error LIKE 'no answer within%'") == 1;
    until("the wait is over", 2 * PATIENCE, failed).await;
    println!("a silent receiver was given {:?}", watch());
    world.receiver.answer(Answer::Take);
    until("it arrives", PATIENCE, async || world.receiver.messages().iter().any(|one| one.taken)).await;
}
